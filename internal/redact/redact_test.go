package redact

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"
)

const value = `s3cr<t"\&-value`

func TestForms(t *testing.T) {
	quoted, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	m := New(value, `ke/y+va=l'ue<"`, "with a space")
	for name, tt := range map[string]struct {
		text, left string
	}{
		"as it is":            {"a" + value + "b", "ab"},
		"twice":               {value + value, ""},
		"in JSON":             {`{"k":` + string(quoted) + `}`, `{"k":""}`},
		"in JSON, plainly":    {`s3cr<t\"\\&-value`, ""},
		"percent-encoded":     {"k=" + strings.ReplaceAll(url.QueryEscape(value), "+", "%20"), "k="},
		"PHP's JSON":          {`ke\/y+va=l'ue<\"`, ""},
		"Gson's":              {`ke/y+va\u003dl\u0027ue\u003c\"`, ""},
		".NET's":              {`ke/y\u002Bva=l\u0027ue\u003C\u0022`, ""},
		"Python's quote":      {"ke/y%2Bva%3Dl%27ue%3C%22", ""},
		"encodeURIComponent":  {"ke%2Fy%2Bva%3Dl'ue%3C%22", ""},
		"encodeURI":           {"ke/y+va=l'ue%3C%22", ""},
		"a quote at its end":  {`{"k":"ke/y+va=l'ue<\""}`, `{"k":""}`},
		"a form":              {"k=with+a+space", "k="},
		"in lower case":       {"s3cr%3ct%22%5c%26-value", ""},
		"a part of it":        {value[:len(value)-1], value[:len(value)-1]},
		"a part, then it":     {value[:5] + value, value[:5]},
		"nothing of the sort": {"hello", "hello"},
		"nothing":             {"", ""},
	} {
		got := m.String(tt.text)
		if left := strings.ReplaceAll(got, "*", ""); left != tt.left || len(got) != len(tt.text) {
			t.Errorf("%s: %q is left of %q", name, got, tt.text)
		}
	}
}

// Whatever stands around a value that is encoded in base64, at most the
// characters remain that the value shares with its neighbours.
func TestBase64(t *testing.T) {
	m := New(value)
	for before := range 6 {
		for after := range 4 {
			text := strings.Repeat("x", before) + value + strings.Repeat("y", after)
			for _, alphabet := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding, base64.RawStdEncoding} {
				encoded := alphabet.EncodeToString([]byte(text))
				if got := m.String(encoded); strings.Count(got, "*") < len(value)*8/6-2 {
					t.Errorf("%d and %d: %s became %s", before, after, encoded, got)
				}
			}
		}
	}
}

func TestNothingToFind(t *testing.T) {
	m := New("", "short")
	if m != nil {
		t.Error("short values are looked for")
	}
	if got := m.String("short"); got != "short" {
		t.Error(got)
	}
	s := m.Stream()
	if got := string(s.Next([]byte("a"))) + string(s.End()); got != "a" {
		t.Error(got)
	}
	if r := strings.NewReader("a"); m.Reader(r) != io.Reader(r) {
		t.Error("a reader in between")
	}
}

// However it is cut into pieces, a text comes out as it would in one.
func TestPieces(t *testing.T) {
	m := New("aabaabaab", "baabaabc", "secret-one")
	for seed := range uint64(3000) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		var text []byte
		for range rnd.IntN(12) {
			text = append(text, []string{"a", "aab", "aabaabaab", "baabaabc", "secret-", "one", "c", "\n"}[rnd.IntN(8)]...)
		}
		want := m.Bytes(text)
		var got []byte
		s := []*Stream{m.Stream(), m.Lines()}[seed%2]
		for rest := text; len(rest) > 0; {
			n := 1 + rnd.IntN(min(len(rest), 7))
			got = append(got, s.Next(bytes.Clone(rest[:n]))...)
			rest = rest[n:]
		}
		if got = append(got, s.End()...); !bytes.Equal(got, want) {
			t.Fatalf("seed %d: %q became %q, in one piece %q", seed, text, got, want)
		}
		for _, r := range []io.Reader{bytes.NewReader(text), iotest.OneByteReader(bytes.NewReader(text)), iotest.DataErrReader(bytes.NewReader(text))} {
			if read, err := io.ReadAll(iotest.HalfReader(m.Reader(r))); err != nil || !bytes.Equal(read, want) {
				t.Fatalf("seed %d: %q was read as %q, %v", seed, text, read, err)
			}
		}
	}
}

// What cannot be part of a value is not held back.
func TestPrompt(t *testing.T) {
	s := New("secret-one").Stream()
	for _, tt := range []struct{ in, out string }{
		{"data: 1\n\n", "data: 1\n\n"}, {"a sec", "a "}, {"ond", "second"}, {"secret-", ""}, {"one", "**********"}, {"secret", ""},
	} {
		if got := string(s.Next([]byte(tt.in))); got != tt.out {
			t.Errorf("after %q there is %q, want %q", tt.in, got, tt.out)
		}
	}
	if got := string(s.End()); got != "secret" {
		t.Errorf("at the end %q", got)
	}
}

// What is late does not tell whether it is the beginning of a value.
func TestLines(t *testing.T) {
	for _, text := range []string{"s", "secret-", "secret-o", "secret-x", "zecret-x", "data: ", "c2Vj", "%"} {
		s := New("secret-one").Lines()
		if got := string(s.Next([]byte("one line\nand " + text))); got != "one line\n" {
			t.Errorf("with %q there is %q", text, got)
		}
		if got := string(s.Next([]byte("\n"))); got != "and "+text+"\n" {
			t.Errorf("after %q there is %q", text, got)
		}
	}
	s := New("secret-one").Lines()
	if got := len(s.Next([]byte(strings.Repeat("x", 1000)))); got < 1000-len("secret-one")*3 {
		t.Errorf("of a long line %d bytes pass", got)
	}
}

func TestReaderFails(t *testing.T) {
	r := New("secret-one").Reader(io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(io.ErrUnexpectedEOF)))
	if got, err := io.ReadAll(r); string(got) != "abc" || err != io.ErrUnexpectedEOF {
		t.Errorf("%q, %v", got, err)
	}
}

func FuzzPieces(f *testing.F) {
	f.Add("secret-value", "a secret-valuesecret-value", uint8(3))
	f.Add("aaaaaaaaa", "aaaaaaaaaaaaaaaaaaaaaaaaaaab", uint8(1))
	f.Fuzz(func(t *testing.T, value, text string, size uint8) {
		m := New(value)
		want := m.String(text)
		if m != nil && strings.Contains(want, value) && strings.Trim(value, "*") != "" {
			t.Fatalf("%q is still in %q", value, want)
		}
		s, got := m.Stream(), ""
		for rest := text; rest != ""; {
			n := min(int(size)+1, len(rest))
			got += string(s.Next([]byte(rest[:n])))
			rest = rest[n:]
		}
		if got += string(s.End()); got != want {
			t.Fatalf("%q in pieces of %d is %q, in one %q", text, size+1, got, want)
		}
	})
}

func BenchmarkReader(b *testing.B) {
	text := bytes.Repeat([]byte("a line of output, as programs print them 0123456789\n"), 20_000)
	m := New("sk-0123456789abcdef0123456789abcdef")
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := io.Copy(io.Discard, m.Reader(bytes.NewReader(text))); err != nil {
			b.Fatal(err)
		}
	}
}
