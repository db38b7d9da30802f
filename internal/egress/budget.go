package egress

import (
	"cmp"
	"sync/atomic"
	"time"
)

// Budgets bound what one sandbox may use of the network. A field that is 0 has
// its default. What goes beyond is refused and on the record.
type Budgets struct {
	Connections int   // over the sandbox's life; default 20,000
	Concurrent  int   // at once, those that are being dialled included; default 128
	BytesIn     int64 // to the sandbox; default 16 GiB
	BytesOut    int64 // from it; default 4 GiB
	Names       int   // distinct names that are given an address; default 1,024, at most 130,816
	Queries     int   // DNS; default 50,000
}

// Timeouts bound what a connection may wait for. A field that is 0 has its
// default.
type Timeouts struct {
	Dial time.Duration // look-up and connection; default 10 s
	Head time.Duration // until a client hello or the head of a request is complete; default 10 s
	Idle time.Duration // without a byte in either direction; default 10 minutes
	// Linger is how long a connection stays after the server has said all,
	// where no more is forwarded to it; default 5 s.
	Linger time.Duration
}

func (b Budgets) withDefaults() Budgets {
	return Budgets{
		Connections: cmp.Or(b.Connections, 20_000),
		Concurrent:  cmp.Or(b.Concurrent, 128),
		BytesIn:     cmp.Or(b.BytesIn, 16<<30),
		BytesOut:    cmp.Or(b.BytesOut, 4<<30),
		Names:       min(cmp.Or(b.Names, 1024), maxNames),
		Queries:     cmp.Or(b.Queries, 50_000),
	}
}

func (t Timeouts) withDefaults() Timeouts {
	return Timeouts{
		Dial:   cmp.Or(t.Dial, 10*time.Second),
		Head:   cmp.Or(t.Head, 10*time.Second),
		Idle:   cmp.Or(t.Idle, 10*time.Minute),
		Linger: cmp.Or(t.Linger, 5*time.Second),
	}
}

// meter counts what a link has used.
type meter struct {
	in, out             atomic.Int64
	connections, active atomic.Int64
	queries             atomic.Int64
}

// enter counts a connection, and answers why there may not be another. leave
// undoes it if the answer was nothing.
func (m *meter) enter(b Budgets) string {
	if m.active.Add(1) > int64(b.Concurrent) {
		m.active.Add(-1)
		return reasonConcurrent(b)
	}
	if m.connections.Add(1) > int64(b.Connections) {
		m.active.Add(-1)
		return reasonConnections(b)
	}
	return ""
}

func (m *meter) leave() { m.active.Add(-1) }

// charge counts n bytes in a direction and reports whether the budget has room
// for them. What was refused is not counted.
func charge(used *atomic.Int64, n int, budget int64) bool {
	if used.Add(int64(n)) > budget {
		used.Add(-int64(n))
		return false
	}
	return true
}
