package assembly

import (
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/runner"
)

// A file that cannot be had ends the attempt before the program starts, and
// says whose fault that is.
func TestInputsThatFail(t *testing.T) {
	r := newRig(t)
	away, gone := job.Errorf(job.KindUnavailable, "the storage is away"), job.Errorf(job.KindNotFound, "no such blob")
	breaking := func(err error) func() (io.ReadCloser, error) {
		return func() (io.ReadCloser, error) {
			return io.NopCloser(io.MultiReader(strings.NewReader("half"), iotest.ErrReader(err))), nil
		}
	}
	for name, tc := range map[string]struct {
		open func() (io.ReadCloser, error)
		kind job.Kind
		says string // the error's type
	}{
		"away":             {func() (io.ReadCloser, error) { return nil, away }, job.KindUnavailable, "service_unavailable"},
		"away half-way":    {breaking(away), job.KindUnavailable, "service_unavailable"},
		"gone":             {func() (io.ReadCloser, error) { return nil, gone }, job.KindInvalid, "config_error"},
		"removed half-way": {breaking(gone), job.KindInvalid, "config_error"},
	} {
		t.Run(name, func(t *testing.T) {
			a := r.python("print('it ran')")
			a.Files = []runner.File{{Path: "a.txt", Size: 8, Open: tc.open}}
			res, err := r.Run(t.Context(), a, runner.Sinks{Keep: true})
			if job.KindOf(err) != tc.kind || !strings.Contains(err.Error(), "a.txt") {
				t.Errorf("the error is %v", err)
			}
			verdict{status: job.Failed, by: job.EndedBy{Actor: job.ActorHost}, kind: tc.says, code: noCode}.check(t, res)
		})
	}
}
