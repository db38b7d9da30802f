package api

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/takovm/tako/internal/job"
)

// What a build that is followed says: its log as it comes, and then one of the
// others, with a wire.Build or with what was wrong. Without either the stream was
// cut, and the build may have succeeded.
const (
	eventLog   = "log"
	eventEnd   = "end"
	eventError = "error"
)

// followBuild answers with events while a job type is built.
func (c *call) followBuild(name, tag string) error {
	if _, err := c.api.service.JobType(c.r.Context(), name); err != nil {
		return orNoJobType(name, err)
	}
	return c.stream(func(ctx context.Context, emit func(job.Event)) error {
		log := &buildLog{emit: emit, now: c.api.options.Now}
		b, err := c.api.service.BuildJobType(ctx, name, tag, log)
		if why := buildFailure(err); why != "" {
			return log.say(eventError, map[string]string{"detail": why})
		}
		if err != nil {
			return err
		}
		return log.say(eventEnd, newBuild(name, b))
	})
}

// buildLog makes events of what a build says.
type buildLog struct {
	emit func(job.Event)
	now  func() time.Time

	mu  sync.Mutex
	seq int64
}

func (l *buildLog) Write(p []byte) (int, error) {
	return len(p), l.say(eventLog, map[string]string{"text": strings.ToValidUTF8(string(p), "\uFFFD")})
}

func (l *buildLog) say(kind job.EventType, data any) error {
	encoded, err := json.Marshal(data)
	if err != nil {
		return fmt.Errorf("encoding what a build says: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seq++
	l.emit(job.Event{Seq: l.seq, Type: kind, At: l.now(), Data: encoded})
	return nil
}
