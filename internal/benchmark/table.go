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
	if _, err := io.WriteString(w, r.head()); err != nil {
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\tclients\tjobs\tfailed\tp50 ms\tp95 ms\tp99 ms\tx python3\tjobs/s\tCPU ms\tpeak MB\t")
	for _, row := range r.Rows {
		if row.Missing != "" {
			fmt.Fprintf(t, "%s\t\t\t\tnot measured\t\t\t\t\t\t\t\n", row.Name)
			continue
		}
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", row.Name, row.Clients, row.Jobs, row.Failed,
			figure(row.P50), figure(row.P95), figure(row.P99), figure(row.Ratio), figure(row.PerSecond), figure(row.CPU), figure(row.PeakMB))
		for _, part := range row.parts() {
			fmt.Fprintf(t, "%s\t\t%d\t\t%s\t%s\t%s\t\t\t\t\t\n", part.name, part.Jobs, figure(part.P50), figure(part.P95), figure(part.P99))
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := io.WriteString(w, r.notes())
	return err
}

func (r *Report) head() string {
	what := strings.TrimSpace("tako " + r.Tako)
	if r.Engine != "" {
		what += ", " + r.Engine
	}
	if r.Mode != "" {
		what += ", security_mode " + r.Mode
	}
	return fmt.Sprintf("%s\n%s\nthe job is %s; at least %d for each row, half of it for first output; at most %d run at once\n\n",
		what, r.Machine, code, r.Requests, r.Workers)
}

// notes say what the table cannot.
func (r *Report) notes() string {
	var b strings.Builder
	b.WriteString("\n")
	if r.IdleMB > 0 {
		fmt.Fprintf(&b, "A sandbox that waits is charged for %.1f MB by its cgroup.\n", r.IdleMB)
	}
	if r.uncharged() {
		b.WriteString("What sandboxes are charged for was not measured: this user has no memory cgroup.\n")
	}
	for _, row := range r.Rows {
		if row.Python > 0 {
			fmt.Fprintf(&b, "%s: python3 before each of the jobs took %s ms (p50).\n", row.Name, figure(row.Python))
		}
		if row.Missing != "" {
			fmt.Fprintf(&b, "%s was not measured: %s\n", row.Name, row.Missing)
		}
		if row.Said != "" {
			fmt.Fprintf(&b, "%s, %d clients: %d of %d failed: %s\n", row.Name, row.Clients, row.Failed, row.Jobs, row.Said)
		}
	}
	b.WriteString(explained)
	return b.String()
}

// uncharged reports that jobs were run, but nothing counted their memory.
func (r *Report) uncharged() bool {
	ran := false
	for _, row := range r.Rows {
		if row.PeakMB > 0 {
			return false
		}
		ran = ran || row.Python > 0 || len(row.Supplies) > 0
	}
	return ran && r.IdleMB == 0
}

// explained is how to read the table.
const explained = `Times are a client's, over HTTP on loopback, from the request to its answer or to the first byte of output.
Closed loop: clients that ask again at once, so that sandboxes are made while jobs run. Paced and first output, several
clients: each asks at even intervals from a moment of its own on, all together half as often as the kind's best closed
loop was answered; who asks late because of the answer before counts that too. One client: one job at a time, when the
server is at rest and, with a pool, a sandbox waits. Of a row with jobs of several kinds, "pool hit", "restored" and
"cold" are its parts.
Cold: a job with a variable of its own, for which nothing can be prepared.
x python3: p50 over that of python3; for one client, paced, of python3 run before each of the jobs, which is slower after
such a pause than in its own row. p99 of fewer than a hundred jobs is the slowest of them.
CPU: all processor time of the server and its sandboxes, also of those that are made to wait, divided by the jobs of the
row; the client's is not in it. Of bubblewrap and docker it is not known: they do not wait for what they start.
Peak: the most that a job's cgroup is charged for from its making to its end: its kernel, programs, page tables; files
that sandboxes share are charged to whichever read them first. A pool hit may have waited for a sandbox nearly ready.
`

// part is the jobs of a row that had one kind of sandbox.
type part struct {
	name string
	Supply
}

// parts are those of a row that is not all of one kind.
func (r Row) parts() []part {
	if len(r.Supplies) < 2 && r.Supplies[r.expected()].Jobs > 0 {
		return nil
	}
	var list []part
	for _, name := range slices.Sorted(maps.Keys(r.Supplies)) {
		list = append(list, part{supplied(name), r.Supplies[name]})
	}
	return list
}

// expected is the supply that a row is about, by its name.
func (r Row) expected() string {
	first, _, _ := strings.Cut(r.Name, ",")
	if first == "restored" {
		return Restore
	}
	return first
}

func supplied(name string) string {
	switch name {
	case Pool:
		return "pool hit"
	case Restore:
		return "restored"
	}
	return name
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
