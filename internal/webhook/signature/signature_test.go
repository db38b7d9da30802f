package signature

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/takovm/tako/test/vectors"
)

// TestVectors runs what all clients are run on, too.
func TestVectors(t *testing.T) {
	all, err := vectors.Read[vectors.Webhook]("../../../test/vectors/webhooks.json")
	if err != nil {
		t.Fatal(err)
	}
	wanted := map[string]error{"": nil, "signature": ErrInvalid, "stale": ErrStale}
	for _, x := range all {
		t.Run(x.Name, func(t *testing.T) {
			want, known := wanted[x.Error]
			if !known {
				t.Fatalf("no error %q", x.Error)
			}
			err := Verify(x.Secret, x.Header, []byte(x.Body), time.Duration(x.Tolerance)*time.Second, time.Unix(x.Now, 0))
			if !errors.Is(err, want) {
				t.Errorf("%v, want %v", err, want)
			}
			if x.SignedAt == 0 {
				return
			}
			if got := Sign(x.Secret, time.Unix(x.SignedAt, 0), []byte(x.Body)); got != x.Header {
				t.Errorf("signed as %s, want %s", got, x.Header)
			}
		})
	}
}

// A moment counts, too.
func TestStale(t *testing.T) {
	now := time.Unix(1767323045, 0)
	header := Sign("secret", now, nil)
	for _, at := range []time.Time{now.Add(DefaultTolerance + 1), now.Add(-DefaultTolerance - 1)} {
		if err := Verify("secret", header, nil, 0, at); !errors.Is(err, ErrStale) {
			t.Errorf("at %v: %v", at, err)
		}
	}
}

// No header but one that Sign could have made passes.
func FuzzVerify(f *testing.F) {
	now := time.Unix(1767323045, 0)
	f.Add(Sign("secret", now, []byte("body")), []byte("body"))
	f.Add("t=1,v1=00", []byte{})
	f.Add("t=999999999999,v1="+strings.Repeat("0", 64)+",,=,t", []byte{})
	f.Fuzz(func(t *testing.T, header string, body []byte) {
		err := Verify("secret", header, body, time.Hour, now)
		if err == nil {
			s, parseErr := parseSignature(header)
			if parseErr != nil || !strings.Contains(strings.ToLower(header), strings.TrimPrefix(Sign("secret", s.at, body), "t="+s.text+",")) {
				t.Fatalf("%q passes", header)
			}
			return
		}
		if !errors.Is(err, ErrInvalid) && !errors.Is(err, ErrStale) {
			t.Fatalf("%q: %v", header, err)
		}
		if Verify("secret", Sign("secret", now, body), body, 0, now) != nil {
			t.Fatal("what was signed does not pass")
		}
	})
}
