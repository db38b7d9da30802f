package benchmark

import (
	"context"
	"fmt"
	"time"

	"github.com/takovm/tako/internal/engine/cgroup"
)

// watched is how many jobs are watched for their memory. They are not timed,
// since the watching takes time of its own.
const watched = 5

// peak is the most that a job's sandbox is charged for, in MB, from its making to
// its end, the median. The kernel keeps the peak of each group; it is read until
// the group is gone. 0 is where there are no groups.
func (s *session) peak(ctx context.Context, v *server, q request) (float64, error) {
	if !s.groups.Has(cgroup.Memory) {
		return 0, nil
	}
	var peaks []float64
	for range watched {
		if _, err := v.settled(ctx); err != nil {
			return 0, err
		}
		seen, err := s.charged(v)
		if err != nil {
			return 0, err
		}
		if err := s.watch(ctx, v, q, seen); err != nil {
			return 0, err
		}
		after, err := s.charged(v)
		if err != nil {
			return 0, err
		}
		// The job's group is the one that is gone; others are of sandboxes that wait.
		var most int64
		for name, peak := range seen {
			if _, waits := after[name]; !waits {
				most = max(most, peak)
			}
		}
		if most > 0 {
			peaks = append(peaks, float64(most)/(1<<20))
		}
	}
	return median(peaks), nil
}

// watch runs a job and notes what each group of the server was charged for at
// most, until the server is at rest again.
func (s *session) watch(ctx context.Context, v *server, q request, seen map[string]int64) error {
	ended := make(chan error, 1)
	go func() {
		_, err := v.execute(ctx, q)
		if err == nil {
			_, err = v.settled(ctx)
		}
		ended <- err
	}()
	const period = 2 * time.Millisecond
	tick := time.NewTicker(period)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			return err
		case <-tick.C:
		}
		now, err := s.charged(v)
		if err != nil {
			<-ended
			return err
		}
		for name, peak := range now {
			seen[name] = max(seen[name], peak)
		}
	}
}

// charged is the peak of each group of the server. Their names begin with the
// process's id.
func (s *session) charged(v *server) (map[string]int64, error) {
	names, err := s.groups.Groups(fmt.Sprintf("%d-", v.cmd.Process.Pid))
	if err != nil {
		return nil, err
	}
	peaks := map[string]int64{}
	for _, name := range names {
		peaks[name] = s.groups.Open(name).Stats().MemoryPeak
	}
	return peaks, nil
}
