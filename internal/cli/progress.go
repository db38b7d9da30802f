package cli

import (
	"fmt"
	"os"

	"golang.org/x/term"

	"github.com/takovm/tako/internal/environment"
)

// newProgress returns what draws the building of an environment: a line that
// changes on a terminal, one line a phase elsewhere, nothing when quiet.
func newProgress(out *os.File, quiet bool) func(environment.Progress) {
	if quiet {
		return nil
	}
	p := &progress{out: out, terminal: term.IsTerminal(int(out.Fd()))}
	return p.report
}

type progress struct {
	out      *os.File
	terminal bool
	phase    environment.Phase
}

func (p *progress) report(r environment.Progress) {
	if r.Note != "" {
		p.clear()
		fmt.Fprintln(p.out, "tako:", oneLine(r.Note))
		return
	}
	what := map[environment.Phase]string{
		environment.PhaseScan:   "looking at this machine's Python",
		environment.PhasePack:   "packing this machine's Python (once)",
		environment.PhaseVerify: "verifying the image",
	}[r.Phase]
	if p.terminal {
		percent := int64(100)
		if r.Total > 0 {
			percent = 100 * r.Done / r.Total
		}
		p.clear()
		fmt.Fprintf(p.out, "tako: %s %3d %%", what, percent)
		if r.Phase == environment.PhaseVerify && r.Done >= r.Total {
			p.clear()
		}
		return
	}
	if r.Phase != p.phase {
		p.phase = r.Phase
		fmt.Fprintln(p.out, "tako:", what)
	}
}

// clear empties the line on a terminal.
func (p *progress) clear() {
	if p.terminal {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}
