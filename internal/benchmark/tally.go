package benchmark

import (
	"context"
	"math"
	"slices"
	"sync"
	"time"
)

// looked is of how many jobs of a row the record is looked at afterwards.
const looked = 2000

// done is a job that was.
type done struct {
	ms float64
	id string // of its record; empty where there is none
}

// tally is what a row is made of.
type tally struct {
	mu   sync.Mutex
	jobs []done
	cpu  time.Duration
	row  Row
}

func (t *tally) add(took time.Duration, id string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.row.Jobs++
	if err != nil {
		t.row.Failed++
		if t.row.Said == "" {
			t.row.Said = err.Error()
		}
		return
	}
	t.jobs = append(t.jobs, done{took.Seconds() * 1000, id})
}

// finish fills in the row; v is the server that has the records, or nil.
func (t *tally) finish(ctx context.Context, v *server) (Row, error) {
	var all []float64
	for _, d := range t.jobs {
		all = append(all, d.ms)
	}
	t.row.Times = timesOf(all)
	if v == nil {
		if t.cpu > 0 && len(all) > 0 {
			t.row.CPU = t.cpu.Seconds() * 1000 / float64(len(all))
		}
		return t.row, nil
	}
	var programs []float64
	by := map[string][]float64{}
	for _, d := range t.jobs[:min(len(t.jobs), looked)] {
		r, err := v.record(ctx, d.id)
		if err != nil {
			return t.row, err
		}
		by[r.Supply] = append(by[r.Supply], d.ms)
		programs = append(programs, r.ProgramMB)
	}
	t.row.Supplies = map[string]Supply{}
	for supply, list := range by {
		t.row.Supplies[supply] = Supply{len(list), timesOf(list)}
	}
	t.row.ProgramMB = median(programs)
	return t.row, nil
}

func timesOf(ms []float64) Times {
	sorted := slices.Sorted(slices.Values(ms))
	return Times{quantile(sorted, 0.5), quantile(sorted, 0.95), quantile(sorted, 0.99)}
}

func median(values []float64) float64 { return timesOf(values).P50 }

// quantile of sorted values: the smallest that so large a share is not above.
func quantile(sorted []float64, share float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	i := int(math.Ceil(share*float64(len(sorted)))) - 1
	return sorted[min(max(i, 0), len(sorted)-1)]
}
