package tako_test

import (
	"context"
	"encoding/json"
	"io"
	"strings"
	"time"

	tako "github.com/takovm/tako/sdk/go"
)

// args are those that calls of vectors have.
type args struct {
	ID, Other, Name, Value, Content, After, Status string
	VersionTag                                     string `json:"version_tag"`
	BuildID                                        string `json:"build_id"`
	JobType                                        string `json:"job_type"`
	JobID                                          string `json:"job_id"`
	ErrorType                                      string `json:"error_type"`
	EntryID                                        int64  `json:"entry_id"`
	Labels                                         map[string]string
	Limit, Offset                                  int
	Wait                                           float64
	Follow                                         *bool
	Request                                        json.RawMessage
}

func (a args) page() tako.ListOptions { return tako.ListOptions{Limit: a.Limit, Offset: a.Offset} }

// nothing is the value of a call that answers none.
type nothing struct{}

type made func(ctx context.Context, c *tako.Client, a args) (any, error)

// calls are the names that vectors have for the methods of a Client.
func calls() map[string]made {
	all := map[string]made{}
	for _, some := range []map[string]made{jobCalls(), outputCalls(), historyCalls(), typeCalls(), adminCalls()} {
		for name, call := range some {
			all[name] = call
		}
	}
	return all
}

// with decodes a vector's request for a call.
func with[R, A any](a args, call func(R) (A, error)) (any, error) {
	var r R
	d := json.NewDecoder(strings.NewReader(string(a.Request)))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return nil, err
	}
	return call(r)
}

func jobCalls() map[string]made {
	return map[string]made{
		"execute": func(ctx context.Context, c *tako.Client, a args) (any, error) {
			return with(a, func(r tako.ExecuteRequest) (any, error) { return c.Execute(ctx, r) })
		},
		"submit": func(ctx context.Context, c *tako.Client, a args) (any, error) {
			return with(a, func(r tako.ExecuteRequest) (any, error) { return c.Submit(ctx, r) })
		},
		"status": func(ctx context.Context, c *tako.Client, a args) (any, error) { return c.Status(ctx, a.ID) },
		"result": func(ctx context.Context, c *tako.Client, a args) (any, error) {
			return c.Result(ctx, a.ID, time.Duration(a.Wait*float64(time.Second)))
		},
		"cancel": func(ctx context.Context, c *tako.Client, a args) (any, error) { return c.Cancel(ctx, a.ID) },
		"delete": func(ctx context.Context, c *tako.Client, a args) (any, error) { return c.Delete(ctx, a.ID) },
		"rerun": func(ctx context.Context, c *tako.Client, a args) (any, error) {
			return with(a, func(r tako.RerunRequest) (any, error) { return c.Rerun(ctx, a.ID, r) })
		},
		"fork": func(ctx context.Context, c *tako.Client, a args) (any, error) {
			return with(a, func(r tako.ForkRequest) (any, error) { return c.Fork(ctx, a.ID, r) })
		},
	}
}

func outputCalls() map[string]made {
	return map[string]made{
		"events": func(ctx context.Context, c *tako.Client, a args) (any, error) {
			var list []tako.Event
			for e, err := range c.Events(ctx, a.ID, tako.EventsOptions{After: a.After, Stored: a.Follow != nil && !*a.Follow}) {
				if err != nil {
					return nil, err
				}
				list = append(list, e)
			}
			return list, nil
		},
		"artifacts": func(ctx context.Context, c *tako.Client, a args) (any, error) { return c.Artifacts(ctx, a.ID) },
		"artifact": func(ctx context.Context, c *tako.Client, a args) (any, error) {
			f, err := c.OpenArtifact(ctx, a.ID, a.Name)
			if err != nil {
				return nil, err
			}
			return read(f)
		},
		"artifacts_zip": func(ctx context.Context, c *tako.Client, a args) (any, error) {
			var b strings.Builder
			_, err := c.SaveZip(ctx, a.ID, &b)
			return []byte(b.String()), err
		},
		"upload": func(ctx context.Context, c *tako.Client, a args) (any, error) {
			return c.Upload(ctx, strings.NewReader(a.Content))
		},
		"build_log": func(ctx context.Context, c *tako.Client, a args) (any, error) {
			r, err := c.BuildLog(ctx, a.Name, a.BuildID)
			if err != nil {
				return nil, err
			}
			return read(r)
		},
		"metrics": func(ctx context.Context, c *tako.Client, _ args) (any, error) {
			r, err := c.Metrics(ctx)
			if err != nil {
				return nil, err
			}
			return read(r)
		},
	}
}

// read reads to the end, and closes.
func read(r io.ReadCloser) (any, error) {
	all, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	return all, r.Close()
}

func historyCalls() map[string]made {
	return map[string]made{
		"executions": func(ctx context.Context, c *tako.Client, a args) (any, error) {
			return c.Executions(ctx, tako.ExecutionFilter{ListOptions: a.page(), Status: a.Status, JobType: a.JobType, Labels: a.Labels})
		},
		"execution": func(ctx context.Context, c *tako.Client, a args) (any, error) { return c.Execution(ctx, a.ID) },
		"lineage":   func(ctx context.Context, c *tako.Client, a args) (any, error) { return c.Lineage(ctx, a.ID) },
		"diff":      func(ctx context.Context, c *tako.Client, a args) (any, error) { return c.Diff(ctx, a.ID, a.Other) },
		"submit_batch": func(ctx context.Context, c *tako.Client, a args) (any, error) {
			return with(a, func(r tako.BatchRequest) (any, error) { return c.SubmitBatch(ctx, r) })
		},
		"batch": func(ctx context.Context, c *tako.Client, a args) (any, error) { return c.Batch(ctx, a.ID) },
		"batch_results": func(ctx context.Context, c *tako.Client, a args) (any, error) {
			return c.BatchResults(ctx, a.ID, a.page())
		},
		"cancel_batch": func(ctx context.Context, c *tako.Client, a args) (any, error) { return c.CancelBatch(ctx, a.ID) },
	}
}

func typeCalls() map[string]made {
	set := func(a args, call func(tako.JobTypeRequest) (*tako.JobType, error)) (any, error) {
		return with(a, func(r tako.JobTypeRequest) (any, error) {
			r.Name = a.Name
			return call(r)
		})
	}
	return map[string]made{
		"job_types": func(ctx context.Context, c *tako.Client, _ args) (any, error) { return c.JobTypes(ctx) },
		"job_type":  func(ctx context.Context, c *tako.Client, a args) (any, error) { return c.JobType(ctx, a.Name) },
		"create_job_type": func(ctx context.Context, c *tako.Client, a args) (any, error) {
			return set(a, func(r tako.JobTypeRequest) (*tako.JobType, error) { return c.CreateJobType(ctx, r) })
		},
		"replace_job_type": func(ctx context.Context, c *tako.Client, a args) (any, error) {
			return set(a, func(r tako.JobTypeRequest) (*tako.JobType, error) { return c.ReplaceJobType(ctx, r) })
		},
		"delete_job_type": func(ctx context.Context, c *tako.Client, a args) (any, error) { return c.DeleteJobType(ctx, a.Name) },
		"build_job_type": func(ctx context.Context, c *tako.Client, a args) (any, error) {
			return c.BuildJobType(ctx, a.Name, a.VersionTag)
		},
		"job_type_versions": func(ctx context.Context, c *tako.Client, a args) (any, error) { return c.JobTypeVersions(ctx, a.Name) },
		"build_lock": func(ctx context.Context, c *tako.Client, a args) (any, error) {
			return c.BuildLock(ctx, a.Name, a.BuildID)
		},
	}
}

func adminCalls() map[string]made {
	return map[string]made{
		"secrets": func(ctx context.Context, c *tako.Client, _ args) (any, error) { return c.Secrets(ctx) },
		"set_secret": func(ctx context.Context, c *tako.Client, a args) (any, error) {
			return c.SetSecret(ctx, a.Name, a.Value)
		},
		"delete_secret": func(ctx context.Context, c *tako.Client, a args) (any, error) { return c.DeleteSecret(ctx, a.Name) },
		"keys":          func(ctx context.Context, c *tako.Client, _ args) (any, error) { return c.Keys(ctx) },
		"create_key": func(ctx context.Context, c *tako.Client, a args) (any, error) {
			return with(a, func(r tako.KeyRequest) (any, error) { return c.CreateKey(ctx, r) })
		},
		"delete_key": func(ctx context.Context, c *tako.Client, a args) (any, error) { return c.DeleteKey(ctx, a.ID) },
		"dlq": func(ctx context.Context, c *tako.Client, a args) (any, error) {
			return c.DLQ(ctx, tako.DLQFilter{ListOptions: a.page(), ErrorType: a.ErrorType})
		},
		"dlq_stats":  func(ctx context.Context, c *tako.Client, _ args) (any, error) { return c.DLQStats(ctx) },
		"delete_dlq": func(ctx context.Context, c *tako.Client, a args) (any, error) { return c.DeleteDLQ(ctx, a.EntryID) },
		"replay_dlq": func(ctx context.Context, c *tako.Client, a args) (any, error) { return c.ReplayDLQ(ctx, a.EntryID) },
		"deliveries": func(ctx context.Context, c *tako.Client, a args) (any, error) {
			return c.Deliveries(ctx, tako.DeliveryFilter{ListOptions: a.page(), JobID: a.JobID})
		},
		"health": func(ctx context.Context, c *tako.Client, _ args) (any, error) { return c.Health(ctx) },
		"ready":  func(ctx context.Context, c *tako.Client, _ args) (any, error) { return nothing{}, c.Ready(ctx) },
		"pool":   func(ctx context.Context, c *tako.Client, _ args) (any, error) { return c.Pool(ctx) },
	}
}
