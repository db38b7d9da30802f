package runner

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/takovm/tako/internal/egress"
	"github.com/takovm/tako/internal/guest"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/redact"
)

func keeping(limit int64) *capture { return &capture{limit: limit, keepHead: true} }

func notice(limit int64) string {
	return fmt.Sprintf("\n\n[TRUNCATED: output exceeded %d bytes]", limit)
}

func TestCaptureKeepsTheHead(t *testing.T) {
	long := strings.Repeat("0123456789", 20)
	for name, tc := range map[string]struct {
		limit int64
		write string
		kept  string
		cut   bool
	}{
		"nothing":                   {100, "", "", false},
		"less":                      {100, "abc", "abc", false},
		"exactly":                   {100, long[:100], long[:100], false},
		"one more":                  {100, long[:101], long[:100-len(notice(100))] + notice(100), true},
		"much more":                 {100, long, long[:100-len(notice(100))] + notice(100), true},
		"limit of 0":                {0, "abc", "", true},
		"limit of 0, nothing":       {0, "", "", false},
		"limit of 1":                {1, "abc", "a", true},
		"limit of 10":               {10, long, long[:10], true},
		"as short as the notice":    {int64(len(notice(39))), long, notice(39), true},
		"one less than the notice":  {int64(len(notice(39))) - 1, long, long[:len(notice(39))-1], true},
		"a character is not split":  {100, strings.Repeat("€", 40), strings.Repeat("€", (100-len(notice(100)))/3) + notice(100), true},
		"the first is not split":    {int64(len(notice(42))) + 3, strings.Repeat("😀", 40), notice(42), true},
		"what is no text is cut":    {100, strings.Repeat("\x80", 200), strings.Repeat("\x80", 100-len(notice(100))) + notice(100), true},
		"limit larger than it came": {1 << 30, long, long, false},
	} {
		for _, piece := range []int{1, 7, 1 << 20} {
			c := keeping(tc.limit)
			for rest := []byte(tc.write); len(rest) > 0; {
				n := min(piece, len(rest))
				if got, err := c.Write(rest[:n]); got != n || err != nil && !errors.Is(err, guest.ErrDiscard) {
					t.Fatalf("%s: write: %d, %v", name, got, err)
				}
				rest = rest[n:]
			}
			s := c.stream(int64(len(tc.write)))
			if string(s.Kept) != tc.kept || s.Truncated != tc.cut || s.Total != int64(len(tc.write)) {
				t.Errorf("%s, by %d: kept %q, want %q; truncated %v, total %d", name, piece, s.Kept, tc.kept, s.Truncated, s.Total)
			}
		}
	}
}

// What init counted decides, if it is more than what arrived.
func TestCaptureTotal(t *testing.T) {
	c := keeping(100)
	c.Write([]byte("abc"))
	if s := c.stream(5); s.Total != 5 || !s.Truncated {
		t.Errorf("3 of 5 bytes arrived: %+v", s)
	}
	c = keeping(100)
	c.Write([]byte("abc"))
	if s := c.stream(0); s.Total != 3 || s.Truncated || string(s.Kept) != "abc" {
		t.Errorf("init did not come to counting: %+v", s)
	}
	if n, err := c.Write([]byte("late")); n != 4 || !errors.Is(err, guest.ErrDiscard) {
		t.Errorf("a write after the end: %d, %v", n, err)
	}
}

func TestCaptureAsksForSilence(t *testing.T) {
	c := keeping(10)
	if _, err := c.Write(make([]byte, 10)); err != nil {
		t.Errorf("at the limit: %v", err)
	}
	if n, err := c.Write([]byte("x")); n != 1 || !errors.Is(err, guest.ErrDiscard) {
		t.Errorf("beyond the limit: %d, %v", n, err)
	}
	// For the sake of its tail, standard error goes on for a while.
	c = &capture{limit: 10, keepHead: true, wantTail: true}
	if _, err := c.Write(make([]byte, 10+tailPatience)); err != nil {
		t.Errorf("within patience: %v", err)
	}
	if _, err := c.Write([]byte("x")); !errors.Is(err, guest.ErrDiscard) {
		t.Errorf("beyond patience: %v", err)
	}
}

type sink struct {
	bytes.Buffer
	fail error
	left int // writes before it fails
}

func (s *sink) Write(p []byte) (int, error) {
	if s.left--; s.left < 0 && s.fail != nil {
		return 0, s.fail
	}
	return s.Buffer.Write(p)
}

// A live sink gets what is within the limit as it comes, without the notice.
func TestCaptureLive(t *testing.T) {
	live := &sink{}
	c := &capture{limit: 5, live: live}
	for _, p := range []string{"ab", "cd", "ef", "gh"} {
		c.Write([]byte(p))
	}
	if live.String() != "abcde" {
		t.Errorf("live came %q", live.String())
	}
	if s := c.stream(8); len(s.Kept) != 0 || !s.Truncated || s.Total != 8 {
		t.Errorf("nothing was to be kept: %+v", s)
	}
	if err := c.failure("standard output"); err != nil {
		t.Error(err)
	}
}

func TestCaptureLiveFails(t *testing.T) {
	broken := errors.New("broken")
	live := &sink{fail: broken, left: 1}
	c := &capture{limit: 100, live: live, keepHead: true}
	for _, p := range []string{"ab", "cd", "ef"} {
		if n, err := c.Write([]byte(p)); n != 2 || err != nil {
			t.Errorf("write: %d, %v", n, err)
		}
	}
	if s := c.stream(6); string(s.Kept) != "abcdef" || live.String() != "ab" || live.left != -1 {
		t.Errorf("kept %q, live %q, %d writes after the failure", s.Kept, live.String(), -live.left-1)
	}
	if err := c.failure("standard output"); !errors.Is(err, broken) || !strings.Contains(err.Error(), "standard output") {
		t.Errorf("the failure is %v", err)
	}
}

// A blocked live sink holds neither the result nor the tail.
func TestCaptureLiveBlocks(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	c := &capture{limit: 100, keepHead: true, wantTail: true, live: writerFunc(func(p []byte) (int, error) {
		close(entered)
		<-release
		return len(p), nil
	})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.Write([]byte("abc"))
	}()
	<-entered
	if s := c.stream(3); string(s.Kept) != "abc" || string(c.end()) != "abc" {
		t.Errorf("kept %q, tail %q", s.Kept, c.end())
	}
	close(release)
	<-done
}

// What is masked is masked for all who see the stream, also where it comes in
// pieces, and what was held back comes at the end.
func TestCaptureMasks(t *testing.T) {
	for name, tc := range map[string]struct{ end, kept string }{
		"a value": {"2345", "a**********"}, "half of one": {"", "a01"},
	} {
		live := &sink{}
		c := &capture{limit: 100, live: live, keepHead: true, wantTail: true, mask: redact.New("0123456789").Stream()}
		pieces := []string{"a", "01", tc.end}
		if tc.end != "" {
			pieces = append(pieces, "6789")
		}
		total := 0
		for _, p := range pieces {
			c.Write([]byte(p))
			total += len(p)
		}
		if s := c.stream(int64(total)); string(s.Kept) != tc.kept || live.String() != tc.kept || string(c.end()) != tc.kept || s.Truncated || s.Total != int64(total) {
			t.Errorf("%s: kept %q of %d, live %q, tail %q", name, s.Kept, s.Total, live.String(), c.end())
		}
	}
}

// When output is seen does not tell whether it is the beginning of a value: who
// gives the program may watch.
func TestCaptureTellsNothing(t *testing.T) {
	for _, guess := range []string{"0", "1", "01", "02"} {
		live := &sink{}
		a := Attempt{Limits: job.DefaultLimits(), Redact: redact.New("0123456789")}
		c := newRun(a, Sinks{Stdout: live}).stdout
		c.Write([]byte("a line\n" + guess))
		if live.String() != "a line\n" {
			t.Errorf("with %q there is %q", guess, live.String())
		}
		c.Write([]byte("\n"))
		if live.String() != "a line\n"+guess+"\n" {
			t.Errorf("after %q there is %q", guess, live.String())
		}
	}
}

func TestDeniedIsMasked(t *testing.T) {
	rows := []egress.Denied{{Host: "b.example", Port: 443, Reason: "but sk-0123456789.example was dialled", Count: 2}, {Host: "sk-0123456789.example"}}
	const masked = "*************.example"
	want := []job.Denied{{Host: "b.example", Port: 443, Reason: "but " + masked + " was dialled", Count: 2}, {Host: masked}}
	if got := denied(rows, redact.New("sk-0123456789")); !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// Whatever is written in whatever pieces: what is held is bounded, what is
// kept is a prefix and then the notice, the tail is the end.
func TestCaptureProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.Int64Range(0, 300).Draw(t, "limit")
		pieces := rapid.SliceOfN(rapid.OneOf(
			rapid.SliceOfN(rapid.Byte(), 1, 100),
			rapid.Map(rapid.StringN(1, 20, 80), func(s string) []byte { return []byte(s) }),
			rapid.Map(rapid.IntRange(1, 3*tailSize), func(n int) []byte { return bytes.Repeat([]byte("xyz"), n) }),
		), 0, 20).Draw(t, "pieces")
		c := &capture{limit: limit, keepHead: true, wantTail: rapid.Bool().Draw(t, "tail")}
		var all []byte
		for _, p := range pieces {
			all = append(all, p...)
			if n, err := c.Write(p); n != len(p) || err != nil && !errors.Is(err, guest.ErrDiscard) {
				t.Fatalf("write: %d, %v", n, err)
			}
			if held := c.head.Cap() + cap(c.tail); held > 2*int(limit)+2*tailSize+1024 {
				t.Fatalf("%d bytes are held at a limit of %d", held, limit)
			}
		}
		if c.wantTail && !bytes.Equal(c.end(), all[max(0, len(all)-tailSize):]) {
			t.Fatalf("the tail is not the end")
		}
		s := c.stream(int64(len(all)))
		kept, cut := bytes.CutSuffix(s.Kept, []byte(notice(limit)))
		if int64(len(s.Kept)) > limit || !bytes.HasPrefix(all, kept) || s.Total != int64(len(all)) {
			t.Fatalf("kept %q of %q at a limit of %d", s.Kept, all, limit)
		}
		if s.Truncated != (int64(len(all)) > limit) || cut != (s.Truncated && limit >= int64(len(notice(limit)))) {
			t.Fatalf("%d bytes at a limit of %d: truncated %v, with a notice: %v", len(all), limit, s.Truncated, cut)
		}
		if utf8.Valid(all) && cut && !utf8.Valid(s.Kept) {
			t.Fatalf("a character of %q is split: %q", all, s.Kept)
		}
	})
}

// What is passed on live may be more than what is kept, or less.
func TestLiveLimit(t *testing.T) {
	for liveLimit, want := range map[int64]string{0: "12345", 3: "123", 7: "1234567", 100: "1234567890"} {
		var live bytes.Buffer
		c := &capture{limit: 5, liveLimit: liveLimit, live: &live, keepHead: true}
		for _, p := range []string{"1234", "567", "890"} {
			if _, err := c.Write([]byte(p)); err != nil && !errors.Is(err, guest.ErrDiscard) {
				t.Fatal(err)
			}
		}
		if live.String() != want {
			t.Errorf("live up to %d: %q, want %q", liveLimit, live.String(), want)
		}
		if s := c.stream(10); !s.Truncated || int64(len(s.Kept)) > 5 {
			t.Errorf("kept %q", s.Kept)
		}
	}
}
