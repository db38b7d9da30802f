package main

import (
	"encoding/json"
	"fmt"
	"os"
	"text/tabwriter"
)

// report is all figures of one invocation, as -json writes them.
type report struct {
	Machine     string     `json:"machine"`
	PackSeconds float64    `json:"first_run_seconds"`
	Pairs       []*pairing `json:"pairs,omitempty"`
	Attacks     []outcome  `json:"attacks,omitempty"`
	Load        []batch    `json:"load,omitempty"`
	Servers     []*served  `json:"servers,omitempty"`
	Network     []network  `json:"network,omitempty"`
	Packages    *packages  `json:"packages,omitempty"`
	Client      *client    `json:"client,omitempty"`
}

func (r *report) write(path string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the report: %w", err)
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}

// table prints rows in columns; the cells of a row end with tabs.
func (s *session) table(title string, rows func(row func(format string, args ...any))) {
	s.printf("\n%s\n", title)
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	rows(func(format string, args ...any) { fmt.Fprintf(w, "  "+format+"\n", args...) })
	w.Flush()
}

func (s *session) printPairs(p *pairing) {
	title := fmt.Sprintf("tako run (%s) beside runsc do (%s), %d pairs, milliseconds: min / median / max\n  tako:  %s\n  runsc: %s",
		p.Supply, p.RunscVersion, len(p.tako), p.Tako, p.Runsc)
	s.table(title, func(row func(string, ...any)) {
		row("\ttako run\trunsc do\tratio of medians\tratios of pairs\twanted")
		wanted := "-"
		if p.Wanted > 0 {
			wanted = fmt.Sprintf("at most %.2f", p.Wanted)
		}
		for _, m := range p.Metrics {
			row("%s\t%s\t%s\t%.2f\t%.2f / %.2f / %.2f\t%s", m.Name, whole(m.Tako), whole(m.Runsc),
				m.RatioOfMedians, m.PairedRatio.Min, m.PairedRatio.Median, m.PairedRatio.Max, wanted)
		}
	})
	s.printf("  CPU is that of all descendants, by the kernel's task clock; wait4 adds up those that were waited for.\n")
}

func whole(v spread) string {
	return fmt.Sprintf("%.0f / %.0f / %.0f", v.Min, v.Median, v.Max)
}

func (s *session) printAttacks(list []outcome) {
	s.table("attacks, once each, on the real binary", func(row func(string, ...any)) {
		row("\tgot\twanted\tseconds\tover its limit\twanted\ttako's peak RSS\twanted")
		for _, o := range list {
			over, wantedOverText := "", ""
			if o.OverSeconds != nil {
				over, wantedOverText = fmt.Sprintf("%.2f s", *o.OverSeconds), fmt.Sprintf("under %.0f s", wantedOver.Seconds())
			}
			row("%s\t%s, exit %d\t%s, exit %d\t%.1f\t%s\t%s\t%.0f MB\tunder %.0f MB", o.Name, o.Status, o.Code,
				o.WantedStatus, o.WantedCode, o.Seconds, over, wantedOverText, o.PeakMB, wantedPeak/1e6)
		}
	})
	for _, o := range list {
		if o.Said != "" {
			s.printf("  %s said: %q\n", o.Name, o.Said)
		}
	}
}

func (s *session) printLoad(list []batch) {
	s.table("many runs, and what is left of them", func(row func(string, ...any)) {
		row("runs\tat once\tfailed\twanted\tseconds\truns/s\twall ms\tCPU ms\tleft before\tleft after\twanted")
		for _, b := range list {
			row("%d\t%d\t%d\t0\t%.1f\t%.1f\t%s\t%s\t%s\t%s\t0", b.Runs, b.Width, b.Failed, b.Seconds, b.PerSecond,
				whole(b.WallMS), whole(b.CPUMS), b.Before, b.After)
		}
	})
	for _, b := range list {
		if b.Said != "" {
			s.printf("  the first that failed: %s\n", b.Said)
		}
	}
}

// String is short where there is nothing.
func (l leftovers) String() string {
	if l.sum() == 0 {
		return "0"
	}
	return fmt.Sprintf("%d processes, %d mounts, %d cgroups, %d files", l.Processes, l.Mounts, l.Cgroups, l.Files)
}
