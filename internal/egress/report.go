package egress

import "sync"

// Report is what a link has to say for the record of a job. Bytes are those of
// TCP connections, without headers.
type Report struct {
	BytesIn  int64 // to the sandbox
	BytesOut int64 // from it
	// Denied is what was refused, in the order of first occurrence, each
	// thing once with a count: 100 rows, and one more for all the rest.
	Denied []Denied
}

// Denied is one thing that was refused.
type Denied struct {
	Host   string `json:"host"`
	Port   uint16 `json:"port"` // 0 where there is none: a name was asked for, or a packet has no port
	Reason string `json:"reason"`
	Count  int64  `json:"count"`
}

const (
	maxDenied = 100 // distinct rows of a Report, without the last
	maxHost   = 253 // bytes kept of a host that the guest wrote
	maxReason = 300
)

// ledger collects what was refused. A guest can have things refused as fast as
// it can send packets, so it is bounded and cheap.
type ledger struct {
	mu   sync.Mutex
	rows []Denied
	at   map[Denied]int // by the row with its count 0
	more int64
}

func (l *ledger) add(host string, port uint16, reason string) {
	row := Denied{Host: cut(host, maxHost), Port: port, Reason: cut(reason, maxReason)}
	l.mu.Lock()
	defer l.mu.Unlock()
	if i, ok := l.at[row]; ok {
		l.rows[i].Count++
		return
	}
	if len(l.rows) == maxDenied {
		l.more++
		return
	}
	if l.at == nil {
		l.at = map[Denied]int{}
	}
	l.at[row] = len(l.rows)
	row.Count = 1
	l.rows = append(l.rows, row)
}

func (l *ledger) list() []Denied {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := append([]Denied(nil), l.rows...)
	if l.more > 0 {
		list = append(list, Denied{Reason: "more, which were not kept apart", Count: l.more})
	}
	return list
}

// cut keeps a text that a guest may have made from being long.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return s[:most-3] + "..."
}
