package assembly

import (
	"context"
	"time"

	"github.com/takovm/tako/internal/artifact"
	"github.com/takovm/tako/internal/config"
)

// Times of cleaning up.
const (
	cleanEvery = time.Hour
	uploadLife = 24 * time.Hour
	blobGrace  = time.Hour
	// cleanBatch is how many records go before those who submit have their turn
	// for cleanPause: there may be one writer only.
	cleanBatch = 20
	cleanPause = 50 * time.Millisecond
)

// cleanUp removes, once an hour, what is past its time: records, dead letters,
// uploads, and then the blobs that nobody refers to.
func (s *served) cleanUp(cfg *config.Config) func(context.Context) {
	return func(ctx context.Context) {
		tick := time.NewTicker(cleanEvery)
		defer tick.Stop()
		for {
			if err := s.clean(ctx, cfg, time.Now()); err != nil && ctx.Err() == nil {
				s.log.Error("cleaning up", "error", err)
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	}
}

func (s *served) clean(ctx context.Context, cfg *config.Config, now time.Time) error {
	day := 24 * time.Hour
	if err := s.expire(ctx, now.Add(-time.Duration(cfg.ExecutionRecordTTLDays)*day)); err != nil {
		return err
	}
	if _, err := s.Store.DeleteDeadLettersBefore(ctx, now.Add(-time.Duration(cfg.DLQTTLDays)*day)); err != nil {
		return err
	}
	if _, err := s.Store.DeleteUploadsBefore(ctx, now.Add(-uploadLife)); err != nil {
		return err
	}
	_, err := artifact.Collect(ctx, s.Blobs, s.Store.Blobs, now, blobGrace)
	return err
}

// expire removes the records that ended before then.
func (s *served) expire(ctx context.Context, then time.Time) error {
	for {
		n, err := s.Store.DeleteBefore(ctx, then, cleanBatch)
		if err != nil || n < cleanBatch {
			return err
		}
		select {
		case <-time.After(cleanPause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
