package mcp

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	tako "github.com/takovm/tako/sdk/go"
)

const (
	runs = `Run a program in a fresh sandbox, wait for its end, and get its status, exit code, output, and the names of the files
that it left in /output. Nothing is kept between two calls: pass what a program needs as files or input_data, and let it write
what is to stay to /output. A program that fails is an answer, too: read stderr, mend the code, and run it again.`
	reruns = `Run an execution that has ended once more: the same code, input, files and environment. For what failed by chance, or to
see whether the result is the same.`
	forks = `Run other code with the input, files and environment of an execution that has ended, without sending them again. For a
program that failed and that you have mended.`
)

func (t *tools) addRunning(s *sdk.Server) {
	sdk.AddTool(s, &sdk.Tool{Name: "run_code", Description: runs},
		func(ctx context.Context, req *sdk.CallToolRequest, in runInput) (*sdk.CallToolResult, *execution, error) {
			return t.run(ctx, req, func(ctx context.Context) (*tako.Submitted, error) {
				r, err := in.request(req.Params.Arguments)
				if err != nil {
					return nil, err
				}
				return t.client.Submit(ctx, r)
			})
		})
	sdk.AddTool(s, &sdk.Tool{Name: "rerun", Description: reruns},
		func(ctx context.Context, req *sdk.CallToolRequest, in rerunInput) (*sdk.CallToolResult, *execution, error) {
			return t.run(ctx, req, func(ctx context.Context) (*tako.Submitted, error) {
				return t.client.Rerun(ctx, in.ExecutionID, tako.RerunRequest{JobType: in.JobType, Timeout: seconds(in.Timeout)})
			})
		})
	sdk.AddTool(s, &sdk.Tool{Name: "fork", Description: forks},
		func(ctx context.Context, req *sdk.CallToolRequest, in forkInput) (*sdk.CallToolResult, *execution, error) {
			return t.run(ctx, req, func(ctx context.Context) (*tako.Submitted, error) {
				return t.client.Fork(ctx, in.ExecutionID, tako.ForkRequest{Code: in.Code, JobType: in.JobType, Timeout: seconds(in.Timeout)})
			})
		})
}

// run submits a job and waits for its end. A call that is cancelled takes its
// job along.
func (t *tools) run(ctx context.Context, req *sdk.CallToolRequest, submit func(context.Context) (*tako.Submitted, error)) (*sdk.CallToolResult, *execution, error) {
	ctx, done := t.context(ctx)
	defer done()
	job, err := submit(ctx)
	if err != nil {
		return nil, nil, err
	}
	r, err := t.follow(ctx, req, job.JobID)
	if err != nil && ctx.Err() != nil {
		clean, stop := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer stop()
		_, left := t.client.Cancel(clean, job.JobID)
		if errors.Is(left, tako.ErrNotFound) { // it has ended
			left = nil
		}
		return nil, nil, errors.Join(err, left)
	}
	if err != nil {
		return nil, nil, err
	}
	return t.present(ctx, r)
}

// follow passes on what a job says to who asked for progress, and answers its
// record.
func (t *tools) follow(ctx context.Context, req *sdk.CallToolRequest, id string) (*tako.FullRecord, error) {
	token := req.Params.GetProgressToken()
	if token == nil {
		return t.client.Wait(ctx, id)
	}
	told := 0.0
	for e, err := range t.client.Events(ctx, id, tako.EventsOptions{}) {
		if err != nil {
			return nil, err
		}
		told++
		_ = req.Session.NotifyProgress(ctx, &sdk.ProgressNotificationParams{ProgressToken: token, Progress: told, Message: saying(e)}) // the client may be gone
	}
	return t.client.Wait(ctx, id)
}

// saying is an event in a few words.
func saying(e tako.Event) string {
	if e.Type == tako.EventStdout || e.Type == tako.EventStderr {
		if b, err := e.Bytes(); err == nil {
			text, _ := cut(printable(string(b)), maxProgress)
			return text
		}
	}
	if s := e.Status(); s != "" {
		return string(s)
	}
	return string(e.Type)
}

// printable is what a program wrote, as a line that tells of progress may have it:
// it may not drive the terminal that shows it.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)) {
			return '\uFFFD'
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
}
