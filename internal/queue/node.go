package queue

import (
	"context"
	"fmt"
	"time"

	"github.com/takovm/tako/internal/runner"
)

// Start takes back what an earlier life of this node, or a dead one, has left,
// and begins to take work.
func (j *Jobs) Start(ctx context.Context) error {
	if err := j.recover(ctx); err != nil {
		return fmt.Errorf("taking back the jobs of dead servers: %w", err)
	}
	j.tasks.Go(j.follow)
	j.tasks.Go(j.takeWork)
	j.tasks.Go(j.keepLeases)
	return nil
}

// Stop takes no more work, lets what runs go on for the drain's time, hands
// back what still runs then, and returns when all of it is stored. When ctx
// ends, nothing is let go on any more.
func (j *Jobs) Stop(ctx context.Context) {
	j.mu.Lock()
	j.stopped = true
	j.mu.Unlock()
	j.stop()
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		j.tasks.Wait()
	}()
	drain := time.NewTimer(j.opts.Drain)
	defer drain.Stop()
	select {
	case <-drained:
	case <-drain.C:
	case <-ctx.Done():
	}
	j.halt(runner.ErrOperator)
	<-drained
}

// takeWork takes jobs out of the queue until Stop.
func (j *Jobs) takeWork() {
	for j.taking.Err() == nil {
		err := j.opts.Store.Work(j.taking, j.opts.Node, asyncSlots{j.opts.Slots, &j.breaker}, j.handle)
		if err != nil && j.taking.Err() == nil {
			j.opts.Log.Error("taking work from the queue", "error", err)
			pause(j.taking, time.Second)
		}
	}
}

// follow hears of changes until everything has ended.
func (j *Jobs) follow() {
	for j.taking.Err() == nil {
		if err := j.opts.Store.Follow(j.taking, j.hub.changed); err != nil && j.taking.Err() == nil {
			j.opts.Log.Error("following changes", "error", err)
			pause(j.taking, time.Second)
		}
		j.hub.changed("")
	}
}

// keepLeases renews this node's claims, three times in a lease, and takes back
// those of nodes that do not.
func (j *Jobs) keepLeases() {
	tick := time.NewTicker(j.opts.Node.Lease / 3)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-j.taking.Done():
			j.renewWhileDraining()
			return
		}
		if !j.renew() {
			continue // our own leases may have run out, for the same reason
		}
		if err := j.recoverDead(j.taking); err != nil && j.taking.Err() == nil {
			j.opts.Log.Error("taking back the jobs of dead servers", "error", err)
		}
	}
}

// renewWhileDraining lasts as long as there may be something to drain.
func (j *Jobs) renewWhileDraining() {
	ctx, cancel := context.WithTimeout(j.working, j.opts.Drain)
	defer cancel()
	for j.opts.Slots.Usage().Running > 0 {
		j.renew()
		if !pause(ctx, min(j.opts.Node.Lease/3, time.Second)) {
			return
		}
	}
}

// renew reports whether it did.
func (j *Jobs) renew() bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(j.working), j.opts.Node.Lease/3)
	defer cancel()
	err := j.opts.Store.Renew(ctx, j.opts.Node.Name, j.now().Add(j.opts.Node.Lease))
	if err != nil {
		j.opts.Log.Error("renewing the claims of this server", "error", err)
	}
	return err == nil
}

// recover takes back claims of dead nodes and of an earlier life of this one.
func (j *Jobs) recover(ctx context.Context) error {
	return j.takeBack(ctx, j.opts.Node.Name)
}

// recoverDead takes back claims of dead nodes only: this one lives.
func (j *Jobs) recoverDead(ctx context.Context) error { return j.takeBack(ctx, "") }

func (j *Jobs) takeBack(ctx context.Context, node string) error {
	records, err := j.opts.Store.Recover(ctx, node, j.now(), j.opts.MaxInterruptions)
	for i := range records {
		r := &records[i]
		j.ended(r)
		j.opts.Log.Warn("a job was interrupted", "job", r.ID, "status", r.Status, "interruptions", r.Interruptions)
	}
	return err
}
