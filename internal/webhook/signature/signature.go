// Package signature signs webhooks and checks them. The server and its client
// share it.
package signature

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Header is the name of the header that has what Sign answers.
const Header = "Tako-Signature"

var (
	// ErrInvalid is wrapped where a body was not signed with this secret.
	ErrInvalid = errors.New("the signature of the webhook is not valid")
	// ErrStale is wrapped where it was, but at another time.
	ErrStale = errors.New("the signature of the webhook is too old, or of the future")
)

// DefaultTolerance is how far a signature's time may be from the receiver's.
const DefaultTolerance = 5 * time.Minute

const (
	// maxHeader bounds what Verify looks at, in bytes.
	maxHeader = 1024
	// maxDigits of seconds since 1970 reach beyond the year 30,000.
	maxDigits = 12
)

// Sign answers the value of Tako-Signature for a body that is sent at that
// time.
func Sign(secret string, at time.Time, body []byte) string {
	t := strconv.FormatInt(at.Unix(), 10)
	return "t=" + t + ",v1=" + hex.EncodeToString(mac(secret, t, body))
}

func mac(secret, t string, body []byte) []byte {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte(t + "."))
	h.Write(body)
	return h.Sum(nil)
}

// Verify is for receivers: it answers nil if the body was signed with this
// secret, not longer than tolerance from now in either direction; 0 is
// DefaultTolerance. An empty secret verifies nothing. header is the value of
// Tako-Signature and body what was received, before anything decodes it. The
// errors wrap ErrInvalid or ErrStale.
//
// A header with several v1 is valid if one of them is, as while a secret is
// replaced. Elements that are not known are left out of account.
func Verify(secret, header string, body []byte, tolerance time.Duration, now time.Time) error {
	if secret == "" {
		return fmt.Errorf("%w: there is no secret to check it with", ErrInvalid)
	}
	s, err := parseSignature(header)
	if err != nil {
		return err
	}
	want := mac(secret, s.text, body)
	good := false
	for _, sum := range s.sums {
		good = hmac.Equal(sum, want) || good
	}
	if !good {
		return fmt.Errorf("%w: it was made with another secret or for another body", ErrInvalid)
	}
	if tolerance == 0 {
		tolerance = DefaultTolerance
	}
	if age := now.Sub(s.at); age > tolerance || age < -tolerance {
		return fmt.Errorf("%w: it was made at %s", ErrStale, s.at.UTC().Format(time.RFC3339))
	}
	return nil
}

// signature is a header taken apart.
type signature struct {
	text string // of the time, as it was written: it is part of what is signed
	at   time.Time
	sums [][]byte
}

func parseSignature(header string) (signature, error) {
	var s signature
	if len(header) > maxHeader {
		return s, fmt.Errorf("%w: the header is too long", ErrInvalid)
	}
	for element := range strings.SplitSeq(header, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(element), "=")
		switch name {
		case "t":
			if s.text != "" {
				return s, fmt.Errorf("%w: it has two times", ErrInvalid)
			}
			if value == "" || len(value) > maxDigits || strings.Trim(value, "0123456789") != "" {
				return s, fmt.Errorf("%w: its time is not a number of seconds", ErrInvalid)
			}
			seconds, err := strconv.ParseInt(value, 10, 64)
			if err != nil {
				return s, fmt.Errorf("%w: its time: %w", ErrInvalid, err)
			}
			s.text, s.at = value, time.Unix(seconds, 0)
		case "v1":
			sum, err := hex.DecodeString(value)
			if err != nil || len(sum) != sha256.Size {
				return s, fmt.Errorf("%w: v1 is not %d hex digits", ErrInvalid, 2*sha256.Size)
			}
			s.sums = append(s.sums, sum)
		}
	}
	if s.text == "" || len(s.sums) == 0 {
		return s, fmt.Errorf("%w: t or v1 is missing", ErrInvalid)
	}
	return s, nil
}
