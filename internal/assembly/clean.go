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
// uploads, then the blobs that nobody refers to, and packages that nothing needs.
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
	if _, err := artifact.Collect(ctx, s.Blobs, s.Store.Blobs, now, blobGrace); err != nil {
		return err
	}
	return s.cleanLayers(ctx, cfg, now.Add(-LayerLife(cfg)))
}

// LayerLife is how long a layer of packages stays that nothing needs: as long as
// records do, which may be repeated in it.
func LayerLife(cfg *config.Config) time.Duration {
	return time.Duration(cfg.ExecutionRecordTTLDays) * 24 * time.Hour
}

func (s *served) cleanLayers(ctx context.Context, cfg *config.Config, then time.Time) error {
	layers, err := layersOf(ctx, cfg, s.Types)
	if err != nil {
		return err
	}
	gone, err := layers.Collect(ctx, then)
	for _, l := range gone {
		s.log.Info("removed packages that nobody has used", "layer", l.Digest, "installed", l.Installed, "used", l.Used, "bytes", l.Size)
	}
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
