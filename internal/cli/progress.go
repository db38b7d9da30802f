package cli

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/takovm/tako/internal/environment"
	"github.com/takovm/tako/internal/oci"
)

// newProgress returns what draws the building of an environment: a line that
// changes on a terminal, one line a phase elsewhere, nothing when quiet.
func newProgress(out *os.File, quiet bool) func(environment.Progress) {
	return newProgressOf("this machine's Python", out, quiet)
}

// newProgressOf is newProgress for the environment of something else.
func newProgressOf(subject string, out *os.File, quiet bool) func(environment.Progress) {
	if quiet {
		return nil
	}
	p := &progress{subject: subject, out: out, terminal: term.IsTerminal(int(out.Fd()))}
	return p.report
}

type progress struct {
	subject  string // what is packed
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
		oci.PhaseDownload:       "downloading " + p.subject,
		oci.PhaseUnpack:         "unpacking " + p.subject,
		oci.PhaseCopy:           "putting together " + p.subject,
		environment.PhaseScan:   "looking at " + p.subject,
		environment.PhasePack:   "packing " + p.subject + " (once)",
		environment.PhaseVerify: "verifying the image",
	}[r.Phase]
	if p.terminal {
		percent := int64(100)
		if r.Total > 0 {
			percent = min(100*r.Done/r.Total, 100)
		}
		const width = 20
		bar := strings.Repeat("#", int(percent)*width/100)
		p.clear()
		fmt.Fprintf(p.out, "tako: %s [%-*s] %3d %%, %d of %d MiB", oneLine(what), width, bar, percent, r.Done>>20, r.Total>>20)
		if (r.Phase == environment.PhaseVerify || r.Phase == oci.PhaseCopy) && r.Done >= r.Total { // it may be the last
			p.clear()
		}
		return
	}
	if r.Phase != p.phase {
		p.phase = r.Phase
		fmt.Fprintln(p.out, "tako:", oneLine(what))
	}
}

// clear empties the line on a terminal.
func (p *progress) clear() {
	if p.terminal {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}
