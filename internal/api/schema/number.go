package schema

import (
	"encoding/json"
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"

	"github.com/takovm/tako/internal/api/jsondoc"
	"github.com/takovm/tako/internal/config"
)

func (c *checker) integer(t *Type, v jsondoc.Value, loc []any) *Value {
	raw := v.Raw()
	var whole *big.Int
	switch v.Kind() {
	case jsondoc.Bool:
		whole = big.NewInt(bit(v.Bool()))
	case jsondoc.Number:
		n, kind, msg := wholeNumber(string(raw))
		if n == nil {
			return c.wrong(Problem{Type: kind, Loc: loc, Msg: msg, Input: raw})
		}
		whole = n
	case jsondoc.String:
		s, _ := v.Text()
		n, kind, msg := parseInt(s)
		if n == nil {
			return c.wrong(Problem{Type: kind, Loc: loc, Msg: msg, Input: raw})
		}
		whole = n
	default:
		return c.wrong(Problem{Type: "int_type", Loc: loc, Msg: "Input should be a valid integer", Input: raw})
	}
	approx, _ := new(big.Float).SetInt(whole).Float64()
	if p, wrong := t.rangeProblem(approx); wrong {
		p.Loc, p.Input = loc, raw
		return c.wrong(p)
	}
	if !whole.IsInt64() {
		return c.wrong(Problem{Type: "int_parsing_size", Loc: loc, Input: raw, Msg: tooLarge})
	}
	return &Value{int: whole.Int64()}
}

const tooLarge = "Unable to parse input string as an integer, exceeded maximum size"

// wholeNumber reads a JSON number that has no fraction, or answers the problem.
func wholeNumber(raw string) (n *big.Int, kind, msg string) {
	if !strings.ContainsAny(raw, ".eE") {
		n, _ = new(big.Int).SetString(raw, 10)
		return n, "", ""
	}
	f, err := strconv.ParseFloat(raw, 64)
	switch {
	case err != nil || math.IsInf(f, 0):
		return nil, "finite_number", "Input should be a finite number"
	case f != math.Trunc(f):
		return nil, "int_from_float", "Input should be a valid integer, got a number with a fractional part"
	case math.Abs(f) >= 1<<63:
		return nil, "int_parsing_size", tooLarge
	}
	return big.NewInt(int64(f)), "", ""
}

// parseInt reads what pydantic takes for an integer in text: a sign, digits with
// single underscores between them, a fraction of zeros; or answers the problem.
func parseInt(s string) (n *big.Int, kind, msg string) {
	parts := regexp.MustCompile(`^([+-]?)([0-9]+(?:_[0-9]+)*)(?:\.0+)?$`).FindStringSubmatch(strings.TrimSpace(s))
	if parts == nil {
		return nil, "int_parsing", "Input should be a valid integer, unable to parse string as an integer"
	}
	digits := strings.TrimLeft(strings.ReplaceAll(parts[2], "_", ""), "0")
	if len(digits) > jsondoc.MaxDigits {
		return nil, "int_parsing_size", tooLarge
	}
	n, _ = new(big.Int).SetString(parts[1]+"0"+digits, 10)
	return n, "", ""
}

func (c *checker) float(t *Type, v jsondoc.Value, loc []any) *Value {
	raw := v.Raw()
	var f float64
	switch v.Kind() {
	case jsondoc.Bool:
		f = float64(bit(v.Bool()))
	case jsondoc.Number:
		f, _ = strconv.ParseFloat(string(raw), 64) // infinite when it is out of range
	case jsondoc.String:
		s, _ := v.Text()
		var ok bool
		if f, ok = parseFloat(s); !ok {
			return c.wrong(Problem{Type: "float_parsing", Loc: loc, Input: raw,
				Msg: "Input should be a valid number, unable to parse string as a number"})
		}
	default:
		return c.wrong(Problem{Type: "float_type", Loc: loc, Msg: "Input should be a valid number", Input: raw})
	}
	if p, wrong := t.rangeProblem(f); wrong {
		p.Loc, p.Input = loc, raw
		return c.wrong(p)
	}
	return &Value{float: f}
}

// parseFloat reads what pydantic takes for a float in text: it drops single
// underscores wherever they are, but for the ends.
func parseFloat(s string) (f float64, ok bool) {
	s = strings.ToLower(strings.TrimSpace(s))
	if strings.HasPrefix(s, "_") || strings.HasSuffix(s, "_") || strings.Contains(s, "__") {
		return 0, false
	}
	s = strings.ReplaceAll(s, "_", "")
	if !regexp.MustCompile(`^[+-]?(([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?|inf|infinity|nan)$`).MatchString(s) {
		return 0, false
	}
	if strings.HasSuffix(s, "nan") {
		return math.NaN(), true // whatever its sign
	}
	f, _ = strconv.ParseFloat(s, 64)
	return f, true
}

// rangeProblem says whether f is out of bounds. NaN is above every maximum, as
// pydantic has it; where there is none, it is below the minimum.
func (t *Type) rangeProblem(f float64) (p Problem, wrong bool) {
	switch {
	case !t.Bounded:
		return Problem{}, false
	case f < t.Min, math.IsNaN(f) && math.IsInf(t.Max, 1):
		return Problem{Type: "greater_than_equal", Ctx: json.RawMessage(`{"ge":` + t.bound(t.Min) + `}`),
			Msg: "Input should be greater than or equal to " + plain(t.Min)}, true
	case !(f <= t.Max):
		return Problem{Type: "less_than_equal", Ctx: json.RawMessage(`{"le":` + t.bound(t.Max) + `}`),
			Msg: "Input should be less than or equal to " + plain(t.Max)}, true
	}
	return Problem{}, false
}

// plain writes a bound as messages do: 1, 0.1.
func plain(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// bound writes a bound as ctx does: a Float's is 1.0.
func (t *Type) bound(f float64) string {
	if t.Kind == Float && f == math.Trunc(f) {
		return strconv.FormatFloat(f, 'f', 1, 64)
	}
	return plain(f)
}

func (c *checker) boolean(v jsondoc.Value, loc []any) *Value {
	raw := v.Raw()
	switch v.Kind() {
	case jsondoc.Bool:
		return &Value{bool: v.Bool()}
	case jsondoc.String:
		s, _ := v.Text()
		if b, ok := parseBool(s); ok {
			return &Value{bool: b}
		}
	case jsondoc.Number:
		f, err := strconv.ParseFloat(string(raw), 64)
		if err == nil && (f == 0 || f == 1) {
			return &Value{bool: f == 1}
		}
		if err != nil || f != math.Trunc(f) || math.Abs(f) >= 1<<63 {
			return c.wrong(Problem{Type: "bool_type", Loc: loc, Msg: "Input should be a valid boolean", Input: raw})
		}
	default:
		return c.wrong(Problem{Type: "bool_type", Loc: loc, Msg: "Input should be a valid boolean", Input: raw})
	}
	return c.wrong(Problem{Type: "bool_parsing", Loc: loc, Input: raw, Msg: "Input should be a valid boolean, unable to interpret input"})
}

func parseBool(s string) (b, ok bool) {
	switch strings.ToLower(s) {
	case "1", "true", "t", "yes", "y", "on":
		return true, true
	case "0", "false", "f", "no", "n", "off":
		return false, true
	}
	return false, false
}

func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// size reads a number of bytes, or text with a unit.
func (c *checker) size(t *Type, v jsondoc.Value, loc []any) *Value {
	raw := v.Raw()
	var n int64
	var err error
	switch v.Kind() {
	case jsondoc.Number:
		n, err = strconv.ParseInt(string(raw), 10, 64)
	case jsondoc.String:
		s, _ := v.Text()
		n, err = config.ParseSize(s)
	default:
		err = strconv.ErrSyntax
	}
	if err != nil {
		return c.wrong(Invalid("a size is a number of bytes, or text such as 512m", raw, loc...))
	}
	if p, wrong := t.rangeProblem(float64(n)); wrong {
		p.Loc, p.Input = loc, raw
		return c.wrong(p)
	}
	return &Value{int: n}
}
