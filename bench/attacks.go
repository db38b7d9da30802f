package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// Wanted of every attack.
const (
	wantedOver = time.Second       // at most this long after a time limit
	wantedPeak = 100 * 1000 * 1000 // bytes of the tako process at most
)

// attack is code that wants more than it may have.
type attack struct {
	name    string
	code    string
	timeout time.Duration
	timed   bool   // its end is the time limit
	status  string // wanted
	exit    int    // wanted
	cut     bool   // its output must have been cut
	flags   []string
}

// diskBomb and inodeBomb say which errors stopped them, and exit with 0 if those
// were the right ones.
const diskBomb = `
import errno, itertools
block, seen = bytes(1 << 20), []
for place in ("/tmp", "/app", "/output"):
    try:
        for i in itertools.count():
            with open(f"{place}/{i}", "wb") as f:
                for _ in range(16): f.write(block)
    except OSError as e:
        seen.append(errno.errorcode[e.errno])
print(seen)
raise SystemExit(seen != ["ENOSPC"] * 3)`

const inodeBomb = `
import errno, itertools
seen = []
for place in ("/tmp", "/app", "/output"):
    try:
        for i in itertools.count():
            open(f"{place}/{i}", "x").close()
    except OSError as e:
        seen.append(errno.errorcode[e.errno])
print(seen)
raise SystemExit(seen != ["ENOSPC"] * 3)`

func attacksOf(o options) []attack {
	const bombTime, patience = 3 * time.Second, 300 * time.Second
	flood := fmt.Sprintf("import os\nleft, block = %d, b'x' * (1 << 20)\nwhile left > 0: left -= os.write(1, block[:left])", o.flood)
	return []attack{
		{name: fmt.Sprintf("flood of %.4g GB", float64(o.flood)/1e9), code: flood,
			timeout: patience, status: "succeeded", cut: true},
		{name: "fork bomb", code: "import os\nwhile True:\n  try: os.fork()\n  except OSError: pass",
			timeout: bombTime, timed: true, status: "timeout", exit: 124},
		{name: "thread bomb", code: "import threading, time\nwhile True:\n  try: threading.Thread(target=time.sleep, args=(99,)).start()\n  except RuntimeError: pass",
			timeout: bombTime, timed: true, status: "timeout", exit: 124},
		{name: "memory bomb", code: "held = []\nwhile True: held.append(bytearray(b'x') * (16 << 20))",
			timeout: patience, status: "oom", exit: 137},
		{name: "disk bomb", code: diskBomb, timeout: patience, status: "succeeded"},
		{name: fmt.Sprintf("inode bomb, %d files", o.files), code: inodeBomb, timeout: patience, status: "succeeded",
			flags: []string{"--max-files", strconv.Itoa(o.files)}},
		{name: "loop that ignores TERM", code: "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: pass",
			timeout: bombTime, timed: true, status: "timeout", exit: 124},
	}
}

// outcome is how an attack ended.
type outcome struct {
	Name         string   `json:"name"`
	WantedStatus string   `json:"wanted_status"`
	Status       string   `json:"status"`
	WantedCode   int      `json:"wanted_exit_code"`
	Code         int      `json:"exit_code"`
	Cut          bool     `json:"stdout_truncated"`
	Seconds      float64  `json:"wall_seconds"`
	OverSeconds  *float64 `json:"over_limit_seconds,omitempty"`
	PeakMB       float64  `json:"tako_peak_rss_mb"`
	Said         string   `json:"said,omitempty"`
}

// asWanted reports that the attack ended as it should; times are not judged.
func (o outcome) asWanted() bool { return o.Status == o.WantedStatus && o.Code == o.WantedCode }

func (s *session) attacks(ctx context.Context, o options) error {
	for _, a := range attacksOf(o) {
		out, err := s.attack(ctx, a)
		if err != nil {
			return fmt.Errorf("%s: %w", a.name, err)
		}
		s.report.Attacks = append(s.report.Attacks, out)
	}
	s.printAttacks(s.report.Attacks)
	return nil
}

func (s *session) attack(ctx context.Context, a attack) (outcome, error) {
	c := s.takoCommand(append(a.flags, "--json", "--timeout", a.timeout.String(), "-c", a.code)...)
	c.limit, c.peak = a.timeout+time.Minute, true
	m, err := s.run(ctx, c)
	if err != nil {
		return outcome{}, err
	}
	var record struct {
		Status string `json:"status"`
		Cut    bool   `json:"stdout_truncated"`
		Stdout string `json:"stdout"`
		Stderr string `json:"stderr"`
	}
	if err := json.Unmarshal(m.Stdout, &record); err != nil {
		return outcome{}, fmt.Errorf("no record: %w: %s", err, m.Stderr)
	}
	out := outcome{
		Name: a.name, WantedStatus: statusWith(a.status, a.cut), Status: statusWith(record.Status, record.Cut),
		WantedCode: a.exit, Code: m.ExitCode, Cut: record.Cut,
		Seconds: m.Wall.Seconds(), PeakMB: float64(m.Peak) / 1e6,
	}
	if a.timed {
		over := (m.Wall - a.timeout).Seconds()
		out.OverSeconds = &over
	}
	if !out.asWanted() {
		out.Said = record.Stdout + record.Stderr + string(m.Stderr)
	}
	return out, nil
}

// statusWith adds to a status what happened to the output.
func statusWith(status string, cut bool) string {
	if cut {
		return status + ", cut"
	}
	return status
}
