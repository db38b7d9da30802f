package job

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
)

var statuses = []Status{Queued, Running, Succeeded, Failed, Timeout, OOM, Cancelled}

// The whole state machine: rows are from, columns to, in the order of statuses.
func TestCanBecome(t *testing.T) {
	for from, row := range map[Status]string{
		Queued:    "-R-F--C",
		Running:   "Q-SFTOC",
		Succeeded: "-------",
		Failed:    "-------",
		Timeout:   "-------",
		OOM:       "-------",
		Cancelled: "-------",
	} {
		for i, to := range statuses {
			if want := row[i] != '-'; from.CanBecome(to) != want {
				t.Errorf("%s can become %s: %v, want %v", from, to, !want, want)
			}
		}
	}
	for _, odd := range []Status{"", "QUEUED", "done"} {
		for _, s := range statuses {
			if odd.CanBecome(s) || s.CanBecome(odd) {
				t.Errorf("%q and %s can become each other", odd, s)
			}
		}
		if odd.Terminal() {
			t.Errorf("%q is an end", odd)
		}
	}
}

// An end is what nothing follows, and nothing else is.
func TestTerminal(t *testing.T) {
	for _, from := range statuses {
		leads := slices.ContainsFunc(statuses, from.CanBecome)
		if from.Terminal() == leads {
			t.Errorf("%s: terminal is %v, but something follows: %v", from, from.Terminal(), leads)
		}
		if !from.Terminal() && !from.CanBecome(Cancelled) {
			t.Errorf("%s cannot be cancelled", from)
		}
	}
}

func TestErrorText(t *testing.T) {
	e := Errorf(KindInvalid, "%s is %d", "memory", 1)
	if e.Error() != "memory is 1" || e.Kind != KindInvalid || e.Hint != "" || e.Unwrap() != nil {
		t.Errorf("%+v", e)
	}
	hinted := e.WithHint("raise it to %d", 2)
	if hinted.Error() != "memory is 1; raise it to 2" || hinted.Kind != KindInvalid {
		t.Errorf("with a hint it is %q", hinted)
	}
	if e.Hint != "" {
		t.Error("WithHint has changed the error it was called on")
	}
	if again := hinted.WithHint("do not"); again.Error() != "memory is 1; do not" || hinted.Hint != "raise it to 2" {
		t.Errorf("with another hint it is %q, and the first is %q", again, hinted)
	}
}

func TestErrorWraps(t *testing.T) {
	path := &fs.PathError{Op: "open", Path: "/x", Err: fs.ErrNotExist}
	e := Errorf(KindUnavailable, "no data: %w", path).WithHint("make it")
	if !errors.Is(e, fs.ErrNotExist) {
		t.Error("its cause is lost")
	}
	var p *fs.PathError
	if !errors.As(e, &p) || p != path {
		t.Error("its cause cannot be had")
	}
	if strings.Count(e.Error(), path.Error()) != 1 {
		t.Errorf("its text is %q", e)
	}
	var back *Error
	if wrapped := fmt.Errorf("starting: %w", e); !errors.As(wrapped, &back) || back != e || !errors.Is(wrapped, fs.ErrNotExist) {
		t.Errorf("inside another it is %+v", back)
	}
	if Errorf(KindInvalid, "lost: %v", path).Unwrap() != nil {
		t.Error("a cause that was not wrapped is there")
	}
}

func TestKindOf(t *testing.T) {
	inner := Errorf(KindNotFound, "none")
	for name, tc := range map[string]struct {
		err  error
		want Kind
	}{
		"nil":           {nil, KindInternal},
		"foreign":       {fs.ErrExist, KindInternal},
		"own":           {Errorf(KindConfig, "x"), KindConfig},
		"hinted":        {Errorf(KindConfig, "x").WithHint("y"), KindConfig},
		"wrapped":       {fmt.Errorf("a: %w", inner), KindNotFound},
		"the outer one": {Errorf(KindEngine, "a: %w", inner), KindEngine},
		"joined":        {errors.Join(fs.ErrExist, inner), KindNotFound},
		"joined, two":   {errors.Join(inner, Errorf(KindEngine, "x")), KindNotFound},
	} {
		if got := KindOf(tc.err); got != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
}
