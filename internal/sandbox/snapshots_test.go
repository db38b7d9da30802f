package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const key = "0123456789abcdef0123456789abcdef"

// frozen fills a directory as an engine would.
func frozen(content string) func(context.Context, string) error {
	return func(_ context.Context, dir string) error {
		return errors.Join(
			os.WriteFile(filepath.Join(dir, "state.img"), []byte(content), 0o600),
			os.WriteFile(filepath.Join(dir, "pages.img"), []byte(strings.Repeat(content, 1000)), 0o600),
		)
	}
}

// shelf is a directory of snapshots with one in it, and a clock.
func shelf(t *testing.T) (*Snapshots, *time.Time) {
	t.Helper()
	now := time.Now()
	s := &Snapshots{Dir: filepath.Join(t.TempDir(), "snapshots"), now: func() time.Time { return now }}
	if _, err := s.take(key); !errors.Is(err, errNoSnapshot) {
		t.Fatalf("an empty directory gives %v", err)
	}
	must(t, s.add(t.Context(), key, frozen("x")))
	return s, &now
}

func TestSnapshotIsTaken(t *testing.T) {
	s, _ := shelf(t)
	for range 3 {
		snapshot, err := s.take(key)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(filepath.Join(snapshot.Dir, "state.img")); err != nil || string(got) != "x" {
			t.Errorf("it has %q, %v", got, err)
		}
	}
	must(t, s.add(t.Context(), key, frozen("y"))) // takes the old one's place
	snapshot, err := s.take(key)
	must(t, err)
	if got, err := os.ReadFile(filepath.Join(snapshot.Dir, "state.img")); err != nil || string(got) != "y" {
		t.Errorf("the new one has %q, %v", got, err)
	}
}

// Whatever is wrong with a snapshot, nobody gets it, and it is gone afterwards.
func TestSnapshotThatIsWrong(t *testing.T) {
	for name, spoil := range map[string]func(dir string, now *time.Time) error{
		"a flipped bit": func(dir string, _ *time.Time) error {
			return edit(filepath.Join(dir, "pages.img"), func(b []byte) []byte { b[500] ^= 1; return b })
		},
		"cut off": func(dir string, _ *time.Time) error {
			return edit(filepath.Join(dir, "pages.img"), func(b []byte) []byte { return b[:len(b)-1] })
		},
		"longer": func(dir string, _ *time.Time) error {
			return edit(filepath.Join(dir, "state.img"), func(b []byte) []byte { return append(b, 0) })
		},
		"a file is missing": func(dir string, _ *time.Time) error { return os.Remove(filepath.Join(dir, "state.img")) },
		"a directory for a file": func(dir string, _ *time.Time) error {
			name := filepath.Join(dir, "state.img")
			return errors.Join(os.Remove(name), os.Mkdir(name, 0o700))
		},
		"no manifest worth the name": func(dir string, _ *time.Time) error {
			return os.WriteFile(filepath.Join(dir, manifestName), []byte("{"), 0o600)
		},
		"an empty manifest": func(dir string, _ *time.Time) error {
			return os.WriteFile(filepath.Join(dir, manifestName), []byte("{}"), 0o600)
		},
		"too old":         func(_ string, now *time.Time) error { *now = now.Add(snapshotAge + time.Second); return nil },
		"from the future": func(_ string, now *time.Time) error { *now = now.Add(-time.Hour); return nil },
		"worn": func(dir string, _ *time.Time) error {
			return os.WriteFile(filepath.Join(dir, usesName), make([]byte, snapshotClones), 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, now := shelf(t)
			must(t, spoil(s.path(key), now))
			if snapshot, err := s.take(key); err == nil {
				t.Fatalf("it was taken: %+v", snapshot)
			}
			if exists(s.path(key)) {
				t.Error("it is still there")
			}
			if _, err := s.take(key); !errors.Is(err, errNoSnapshot) {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

func edit(name string, change func([]byte) []byte) error {
	b, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	return os.WriteFile(name, change(b), 0o600)
}

// One that is asked for once is not worth making; one that cannot be made is
// not tried again before the next day.
func TestSnapshotIsWanted(t *testing.T) {
	s, now := shelf(t)
	want := func(expected bool) {
		t.Helper()
		if got := s.wanted("shape"); got != expected {
			t.Errorf("wanted: %v", got)
		}
	}
	want(false)
	want(true)
	s.fail("shape", errors.New("no luck"))
	want(false)
	if text, err := os.ReadFile(s.path("shape.failed")); err != nil || string(text) != "no luck\n" {
		t.Errorf("the note says %q, %v", text, err)
	}
	*now = now.Add(snapshotAge + time.Minute)
	want(false) // seen a day ago: as good as never
}

func TestSnapshotThatCannotBeMade(t *testing.T) {
	s, _ := shelf(t)
	broken := errors.New("broken")
	err := s.add(t.Context(), "other", func(_ context.Context, dir string) error {
		return errors.Join(broken, os.WriteFile(filepath.Join(dir, "half"), nil, 0o600))
	})
	if !errors.Is(err, broken) || exists(s.path("other")) {
		t.Errorf("got %v", err)
	}
	leftovers(t, s)
}

// leftovers are unfinished directories; none may be there.
func leftovers(t *testing.T, s *Snapshots) {
	t.Helper()
	if left, _ := filepath.Glob(s.path("*.tmp")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestSnapshotOneMakes(t *testing.T) {
	s, _ := shelf(t)
	err := s.add(t.Context(), key, func(ctx context.Context, dir string) error {
		if err := s.add(ctx, key, frozen("y")); !errors.Is(err, errBusy) {
			t.Errorf("a second maker got %v", err)
		}
		// What is there is good until the new one takes its place.
		if _, err := s.take(key); err != nil {
			t.Errorf("meanwhile: %v", err)
		}
		return frozen("z")(ctx, dir)
	})
	must(t, err)
}

func TestSnapshotsArePruned(t *testing.T) {
	s, now := shelf(t)
	for i := range keepSnapshots + 3 {
		name := fmt.Sprintf("%032x", i)
		must(t, s.add(t.Context(), name, frozen("x")))
		used := now.Add(time.Duration(i-100) * time.Minute)
		must(t, os.Chtimes(filepath.Join(s.path(name), manifestName), used, used))
	}
	// What a dead maker has left, and what is none of ours.
	must(t, os.MkdirAll(s.path("dead-1.tmp/x"), 0o700))
	must(t, os.WriteFile(s.path("forgotten.seen"), nil, 0o600))
	long := now.Add(-2 * snapshotAge)
	must(t, os.Chtimes(s.path("forgotten.seen"), long, long))
	must(t, s.add(t.Context(), "last", frozen("x")))
	leftovers(t, s)
	if exists(s.path("forgotten.seen")) {
		t.Error("an old note is still there")
	}
	kept, err := filepath.Glob(s.path("*/" + manifestName))
	must(t, err)
	if len(kept) > keepSnapshots {
		t.Errorf("%d snapshots are kept", len(kept))
	}
	if exists(s.path(fmt.Sprintf("%032x", 0))) || !exists(s.path(fmt.Sprintf("%032x", keepSnapshots+2))) {
		t.Error("the wrong ones were kept")
	}
}

func TestSnapshotsAreForgotten(t *testing.T) {
	s, _ := shelf(t)
	s.fail("other", errors.New("x"))
	s.Forget()
	if _, err := s.take(key); !errors.Is(err, errNoSnapshot) {
		t.Errorf("taken: %v", err)
	}
	if exists(s.path("other.failed")) {
		t.Error("the note is still there")
	}
	(&Snapshots{Dir: s.path("nowhere")}).Forget()
}

// A maker that is killed leaves what the next one removes.
func TestSnapshotMakerDies(t *testing.T) {
	s, _ := shelf(t)
	must(t, os.MkdirAll(s.path(key+"-5.tmp"), 0o700))
	must(t, s.add(t.Context(), key, frozen("x")))
	leftovers(t, s)
}

// A directory that cannot be written costs time, and nothing else.
func TestSnapshotsNowhere(t *testing.T) {
	blocked := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(blocked, nil, 0o600))
	s := &Snapshots{Dir: filepath.Join(blocked, "snapshots")}
	s.wanted(key)
	if s.wanted(key) {
		t.Error("wanted where it cannot be kept")
	}
	if _, err := s.take(key); err == nil {
		t.Error("taken from nowhere")
	}
	if err := s.add(t.Context(), key, frozen("x")); err == nil {
		t.Error("made nowhere")
	}
}
