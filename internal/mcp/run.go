package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"
	"unicode"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	tako "github.com/takovm/tako/sdk/go"
)

type runInput struct {
	Code         string         `json:"code" jsonschema:"the program"`
	Language     string         `json:"language,omitempty" jsonschema:"python (default), node, bash or what the job type has"`
	InputData    map[string]any `json:"input_data,omitempty" jsonschema:"becomes /input/data.json"`
	Files        []fileInput    `json:"files,omitempty" jsonschema:"files for the program"`
	Requirements []string       `json:"requirements,omitempty" jsonschema:"packages to install, where the server allows it"`
	Timeout      int            `json:"timeout,omitempty" jsonschema:"seconds; the job type's where it is left out"`
	JobType      string         `json:"job_type,omitempty" jsonschema:"a named environment of the server"`
	Network      *networkInput  `json:"network,omitempty" jsonschema:"narrows the network of the job type"`
}

type fileInput struct {
	Path    string  `json:"path" jsonschema:"relative path"`
	Content *string `json:"content,omitempty" jsonschema:"text"`
	Base64  *string `json:"content_base64,omitempty" jsonschema:"bytes, in base64, instead of content"`
}

type networkInput struct {
	Mode  string   `json:"mode" jsonschema:"none, allow or public; only narrower than that of the job type"`
	Allow []string `json:"allow,omitempty" jsonschema:"hosts"`
}

type rerunInput struct {
	ExecutionID string `json:"execution_id"`
	JobType     string `json:"job_type,omitempty" jsonschema:"another job type"`
	Timeout     int    `json:"timeout,omitempty" jsonschema:"seconds; that of the first run where it is left out"`
}

type forkInput struct {
	rerunInput
	Code string `json:"code" jsonschema:"the program to run instead"`
}

func (t *tools) addRunning(s *sdk.Server) {
	sdk.AddTool(s, &sdk.Tool{Name: "run_code", Description: "Run code in a fresh sandbox and wait for its end."},
		func(ctx context.Context, req *sdk.CallToolRequest, in runInput) (*sdk.CallToolResult, *execution, error) {
			return t.run(ctx, req, func(ctx context.Context) (*tako.Submitted, error) {
				r, err := in.request(req.Params.Arguments)
				if err != nil {
					return nil, err
				}
				return t.client.Submit(ctx, r)
			})
		})
	sdk.AddTool(s, &sdk.Tool{Name: "rerun", Description: "Run an execution that has ended again, with the same code, input and files."},
		func(ctx context.Context, req *sdk.CallToolRequest, in rerunInput) (*sdk.CallToolResult, *execution, error) {
			return t.run(ctx, req, func(ctx context.Context) (*tako.Submitted, error) {
				return t.client.Rerun(ctx, in.ExecutionID, tako.RerunRequest{JobType: in.JobType, Timeout: seconds(in.Timeout)})
			})
		})
	sdk.AddTool(s, &sdk.Tool{Name: "fork", Description: "Run other code with the input and files of an execution that has ended."},
		func(ctx context.Context, req *sdk.CallToolRequest, in forkInput) (*sdk.CallToolResult, *execution, error) {
			return t.run(ctx, req, func(ctx context.Context) (*tako.Submitted, error) {
				return t.client.Fork(ctx, in.ExecutionID, tako.ForkRequest{Code: in.Code, JobType: in.JobType, Timeout: seconds(in.Timeout)})
			})
		})
}

// seconds leaves 0 out; the API refuses what is below.
func seconds(n int) *int {
	if n == 0 {
		return nil
	}
	return &n
}

// request is what is asked for. arguments are the same as they came: in has numbers
// as float64.
func (in *runInput) request(arguments json.RawMessage) (tako.ExecuteRequest, error) {
	r := tako.ExecuteRequest{Code: in.Code, Language: in.Language, JobType: in.JobType, Requirements: in.Requirements, Timeout: seconds(in.Timeout)}
	if in.InputData != nil {
		var exact struct {
			InputData json.RawMessage `json:"input_data"`
		}
		if err := json.Unmarshal(arguments, &exact); err != nil {
			return r, err
		}
		r.InputData = exact.InputData
	}
	if in.Network != nil {
		r.Network = &tako.NetworkRequest{Mode: in.Network.Mode, Allow: in.Network.Allow}
	}
	for _, f := range in.Files {
		r.Files = append(r.Files, tako.File{Path: f.Path, Text: f.Content, Content: f.Base64})
	}
	return r, nil
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
