package guest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/takovm/tako/internal/guest/wire"
)

// Hold starts p and returns when it waits to open its script, or seems to: it
// sleeps. The sandbox can be checkpointed then. An
// *ExecError says that it could not be started or has ended before.
func (s *Session) Hold(ctx context.Context, p Program, script string) error {
	if script == "" {
		return errors.New("guest hold: no script")
	}
	request, err := p.encode(Streams{Stdout: io.Discard, Stderr: io.Discard}, script)
	if err != nil {
		return fmt.Errorf("guest hold: %w", err)
	}
	return s.wrap("hold", s.startExchange(ctx, holding, p.Path, request, nil))
}

// Open lets the held program open its script, and returns when it has. There has
// to be no file of that name yet.
func (s *Session) Open(ctx context.Context) error {
	return s.wrap("open", s.startExchange(ctx, opening, "the held program", wire.AppendEmpty(nil, wire.TypeOpen), nil))
}

// Release lets the held program go, which was let Open, with the script that was
// Put since or is among files. Those are put first, as by PutAll, and unless all of
// that went well the program is not let go and the error is theirs. Its standard
// input is empty. Otherwise it is as with Start.
func (s *Session) Release(ctx context.Context, streams Streams, files ...Content) error {
	if streams.Stdin != nil {
		return errors.New("guest release: a held program has no input")
	}
	total, err := measure(files)
	if err != nil {
		return err
	}
	if total > MostAtOnce || len(files) > math.MaxUint8 {
		if err := s.PutAll(ctx, files...); err != nil {
			return err
		}
		files = nil
	}
	if err := s.begin(ctx, releasing); err != nil {
		return s.wrap("release", err)
	}
	defer s.done()
	s.attach(streams)
	if err := s.sendOrFail(ctx, wire.Release{Puts: uint8(len(files))}.Append(framesOf(files))); err != nil {
		return s.wrap("release", err)
	}
	put := s.allWritten(ctx, files)
	err = s.startAnswer(ctx, "the held program")
	if put != nil {
		return put
	}
	return s.wrap("release", err)
}
