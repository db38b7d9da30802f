package benchmark

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// Table writes the report for people.
func (r *Report) Table(w io.Writer) error {
	fmt.Fprintf(w, "%s\nthe job is %s; at least %d for each row; at most %d at once\n\n", r.Machine, code, r.Requests, r.Workers)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\tclients\tjobs\tfailed\tp50 ms\tp95 ms\tp99 ms\tx python3\tjobs/s\tCPU ms\tpeak MB\t  sandboxes\t")
	for _, row := range r.Rows {
		if row.Missing != "" {
			fmt.Fprintf(t, "%s\t\t\t\tnot measured\t\t\t\t\t\t\t\t\n", row.Name)
			continue
		}
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t  %s\t\n", row.Name, row.Clients, row.Jobs, row.Failed,
			figure(row.P50), figure(row.P95), figure(row.P99), figure(row.Ratio), figure(row.PerSecond), figure(row.CPU), figure(row.PeakMB), row.supplies())
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := io.WriteString(w, r.notes())
	return err
}

// notes say what the table cannot.
func (r *Report) notes() string {
	var b strings.Builder
	if r.IdleMB > 0 {
		fmt.Fprintf(&b, "\nA sandbox that waits is charged for %.1f MB.\n", r.IdleMB)
	}
	for _, row := range r.Rows {
		if row.Missing != "" {
			fmt.Fprintf(&b, "%s was not measured: %s.\n", row.Name, row.Missing)
		}
		if row.Said != "" {
			fmt.Fprintf(&b, "%s, %d clients: %d of %d failed: %s\n", row.Name, row.Clients, row.Failed, row.Jobs, row.Said)
		}
	}
	b.WriteString("Times are a client's, over HTTP on loopback. Paced: one job at a time, when a sandbox waits and the server is at rest.\n" +
		"Closed loop: clients that ask again at once, so that sandboxes are made while jobs run. Cold: a job with a variable of its\n" +
		"own, for which nothing can be prepared. CPU: of tako and all its sandboxes in the loop, divided by its jobs.\n")
	return b.String()
}

// figure has three digits; nothing for what was not measured.
func figure(v float64) string {
	switch {
	case v == 0:
		return "-"
	case v < 10:
		return fmt.Sprintf("%.2f", v)
	case v < 100:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

// supplies is "pool 40, restore 3".
func (r Row) supplies() string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(r.Supplies)) {
		parts = append(parts, fmt.Sprintf("%s %d", name, r.Supplies[name]))
	}
	return strings.Join(parts, ", ")
}
