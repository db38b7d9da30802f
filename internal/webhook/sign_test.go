package webhook

import (
	"errors"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Computed with another implementation: what receivers in other languages do.
func TestSignKnown(t *testing.T) {
	got := Sign("whsec_0123456789abcdef", time.Unix(1767323045, 0), []byte(`{"execution_id":"x"}`))
	if want := "t=1767323045,v1=8e2c8292dde37a2c48a1872fb772fd27781bc4ccdbd8b6ae364f38be1ad273ae"; got != want {
		t.Errorf("%s", got)
	}
}

func TestVerify(t *testing.T) {
	now := time.Unix(1767323045, 0)
	body := []byte(`{"a": 1}`)
	good := Sign("secret", now, body)
	sum := strings.TrimPrefix(good, "t=1767323045,v1=")
	other := Sign("other", now, body)
	otherSum := strings.TrimPrefix(other, "t=1767323045,v1=")
	for _, tc := range []struct {
		name, secret, header string
		body                 string
		tolerance            time.Duration
		now                  time.Time
		want                 error
	}{
		{"good", "secret", good, `{"a": 1}`, 0, now, nil},
		{"with spaces", "secret", "t=1767323045, v1=" + sum, `{"a": 1}`, 0, now, nil},
		{"in upper case", "secret", "t=1767323045,v1=" + strings.ToUpper(sum), `{"a": 1}`, 0, now, nil},
		{"one of two", "secret", other + ",v1=" + sum, `{"a": 1}`, 0, now, nil},
		{"the other of two", "secret", good + ",v1=" + otherSum, `{"a": 1}`, 0, now, nil},
		{"with what is not known", "secret", good + ",v2=x,v0", `{"a": 1}`, 0, now, nil},
		{"as old as may be", "secret", good, `{"a": 1}`, 0, now.Add(5 * time.Minute), nil},
		{"as young as may be", "secret", good, `{"a": 1}`, 0, now.Add(-5 * time.Minute), nil},
		{"too old", "secret", good, `{"a": 1}`, 0, now.Add(5*time.Minute + 1), ErrStale},
		{"of the future", "secret", good, `{"a": 1}`, 0, now.Add(-5*time.Minute - 1), ErrStale},
		{"too old for this tolerance", "secret", good, `{"a": 1}`, time.Second, now.Add(2 * time.Second), ErrStale},
		{"another time was written in", "secret", "t=1767323046,v1=" + sum, `{"a": 1}`, 0, now, ErrSignature},
		{"the same time in other words", "secret", "t=01767323045,v1=" + sum, `{"a": 1}`, 0, now, ErrSignature},
		{"another body", "secret", good, `{"a": 2}`, 0, now, ErrSignature},
		{"another secret", "secret", other, `{"a": 1}`, 0, now, ErrSignature},
		{"no secret", "", Sign("", now, body), `{"a": 1}`, 0, now, ErrSignature},
		{"nothing", "secret", "", `{"a": 1}`, 0, now, ErrSignature},
		{"no time", "secret", "v1=" + sum, `{"a": 1}`, 0, now, ErrSignature},
		{"no sum", "secret", "t=1767323045", `{"a": 1}`, 0, now, ErrSignature},
		{"an empty time", "secret", "t=,v1=" + sum, `{"a": 1}`, 0, now, ErrSignature},
		{"a negative time", "secret", "t=-1767323045,v1=" + sum, `{"a": 1}`, 0, now, ErrSignature},
		{"a time of too many digits", "secret", "t=1767323045000,v1=" + sum, `{"a": 1}`, 0, now, ErrSignature},
		{"two times", "secret", good + ",t=1767323045", `{"a": 1}`, 0, now, ErrSignature},
		{"half a sum", "secret", "t=1767323045,v1=" + sum[:32], `{"a": 1}`, 0, now, ErrSignature},
		{"no hex", "secret", "t=1767323045,v1=" + strings.Repeat("x", 64), `{"a": 1}`, 0, now, ErrSignature},
		{"an empty sum", "secret", "t=1767323045,v1=", `{"a": 1}`, 0, now, ErrSignature},
		{"too long", "secret", good + strings.Repeat(",x=1", 300), `{"a": 1}`, 0, now, ErrSignature},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if err := Verify(tc.secret, tc.header, []byte(tc.body), tc.tolerance, tc.now); !errors.Is(err, tc.want) {
				t.Errorf("%v, want %v", err, tc.want)
			}
		})
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
		if !errors.Is(err, ErrSignature) && !errors.Is(err, ErrStale) {
			t.Fatalf("%q: %v", header, err)
		}
		if Verify("secret", Sign("secret", now, body), body, 0, now) != nil {
			t.Fatal("what was signed does not pass")
		}
	})
}

func TestWaitAfter(t *testing.T) {
	for _, tc := range []struct {
		tries  int
		random float64
		want   time.Duration
	}{
		{0, 0, 10 * time.Second}, {1, 0, 10 * time.Second}, {2, 0, 20 * time.Second}, {5, 0, 160 * time.Second},
		{9, 0, 2560 * time.Second}, {10, 0, time.Hour}, {100, 0, time.Hour}, {1, 1, 5 * time.Second}, {100, 0.5, 45 * time.Minute},
	} {
		if got := waitAfter(tc.tries, tc.random); got != tc.want {
			t.Errorf("after %d tries at %v: %v, want %v", tc.tries, tc.random, got, tc.want)
		}
	}
}

func TestAgenda(t *testing.T) {
	a, now := newAgenda(), time.Unix(0, 0)
	for _, s := range []int{30, 10, 20} {
		a.add(now.Add(time.Duration(s) * time.Second))
	}
	for _, tc := range []struct{ at, want int }{{0, 10}, {10, 10}, {15, 5}, {25, 5}, {30, 60}} {
		if got := a.next(now.Add(time.Duration(tc.at)*time.Second), time.Minute); got != time.Duration(tc.want)*time.Second {
			t.Errorf("at %d s the next is in %v, want %d s", tc.at, got, tc.want)
		}
	}
	for i := range 2 * agendaSize {
		a.add(now.Add(time.Duration(i) * time.Hour))
	}
	if len(a.due) != agendaSize || a.next(now.Add(-time.Hour), time.Minute) != time.Minute {
		t.Errorf("%d entries", len(a.due))
	}
}
