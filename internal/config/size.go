package config

import (
	"math"
	"strconv"
	"strings"

	"github.com/takovm/tako/internal/job"
)

// Size is a number of bytes, written "100m" in a configuration file.
type Size int64

// String writes the size with the largest suffix that loses nothing.
func (s Size) String() string {
	for _, u := range []struct {
		suffix string
		bytes  Size
	}{{"g", 1 << 30}, {"m", 1 << 20}, {"k", 1 << 10}} {
		if s != 0 && s%u.bytes == 0 {
			return strconv.FormatInt(int64(s/u.bytes), 10) + u.suffix
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// MarshalText is String, for JSON and YAML.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// ParseSize reads a number of bytes: digits, then nothing or one of k, m, g,
// t, KiB, MiB, GiB, TiB in any case, all of them powers of 1,024. "512MB" is
// refused, because it means one thing to docker and another to a disk maker.
// Signs, fractions and spaces between number and unit are refused, too. 0 to
// 2^63-1; the error is of KindInvalid.
func ParseSize(text string) (int64, error) {
	n, problem := parseSize(text)
	if problem != "" {
		return 0, job.Errorf(job.KindInvalid, "%q is not a size: %s", text, problem).
			WithHint("write 512m, 1g, 64KiB or a number of bytes")
	}
	return n, nil
}

// parseSize is ParseSize with the problem in words that do not repeat the text.
func parseSize(text string) (n int64, problem string) {
	text = strings.TrimSpace(text)
	digits := strings.TrimRight(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
	unit := strings.ToLower(text[len(digits):])
	if digits == "" {
		return 0, "it has no number"
	}
	if strings.Trim(digits, "0123456789") != "" {
		return 0, "only whole numbers without sign or spaces are taken"
	}
	factor, problem := unitBytes(unit)
	if problem != "" {
		return 0, problem
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n > math.MaxInt64/factor {
		return 0, "it is too large"
	}
	return n * factor, ""
}

func unitBytes(unit string) (factor int64, problem string) {
	switch unit {
	case "", "b":
		return 1, ""
	case "k", "kib":
		return 1 << 10, ""
	case "m", "mib":
		return 1 << 20, ""
	case "g", "gib":
		return 1 << 30, ""
	case "t", "tib":
		return 1 << 40, ""
	case "kb", "mb", "gb", "tb":
		return 0, "the unit may mean powers of 1,000 or of 1,024"
	}
	return 0, "its unit is unknown"
}
