package api

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/takovm/tako/internal/api/schema"
	"github.com/takovm/tako/internal/api/wire"
	"github.com/takovm/tako/internal/job"
)

func (c *call) execute() error {
	s, done, err := c.submission(c.checkNow)
	if err != nil {
		return err
	}
	defer done()
	ctx := c.r.Context()
	if !s.Request.CancelOnDisconnect {
		ctx = context.WithoutCancel(ctx)
	}
	c.patient()
	rec, err := c.api.service.Execute(ctx, c.principal, s)
	if err != nil {
		return err
	}
	return c.ok(wire.NewExecuteResponse(&rec))
}

func (c *call) submit() error {
	s, done, err := c.submission(func(*schema.Value) error { return nil })
	if err != nil {
		return err
	}
	defer done()
	rec, err := c.api.service.Submit(c.r.Context(), c.principal, s)
	if err != nil {
		return err
	}
	return c.ok(wire.Submitted{JobID: rec.ID, Status: rec.Status})
}

// submission makes one of the request, which check may refuse. done is called
// when it is not needed any more: files of a multipart request are on disk till
// then.
func (c *call) submission(check func(in *schema.Value) error) (s Submission, done func(), err error) {
	in, files, done := c.in, []FileSource(nil), func() {}
	if c.isMultipart {
		if in, files, done, err = c.multipartRequest(); err != nil {
			return s, nil, err
		}
	}
	err = c.checkTimeout(in)
	if err == nil {
		err = check(in)
	}
	if err != nil {
		done()
		return s, nil, err
	}
	s = bindSubmission(in)
	s.Files = append(s.Files, files...)
	s.Caller = c.caller()
	return s, done, nil
}

// checkNow refuses what is to run later: nobody should have to hold a connection
// until then.
func (c *call) checkNow(in *schema.Value) error {
	v := in.Get("run_at")
	if at, _ := time.Parse(time.RFC3339, v.Text()); v.Has() && at.After(c.api.options.Now()) { // the table has held it
		return problems{schema.Invalid("run_at is for jobs that nobody waits for: submit it to /execute/async", v.Raw(), "body", "run_at")}
	}
	return nil
}

// checkTimeout holds an explicit timeout against the server's, before anything
// is looked up.
func (c *call) checkTimeout(in *schema.Value) error {
	most := c.api.options.MaxTimeout
	if t := in.Get("timeout"); t.Has() && most > 0 && t.Int() > int64(most) {
		return fail(http.StatusUnprocessableEntity, "%s", timeoutAbove(most))
	}
	return nil
}

// bindSubmission makes the domain's request of one that passed the table.
func bindSubmission(in *schema.Value) Submission {
	r := job.Request{
		Code: in.Get("code").Text(), Language: in.Get("language").Text(),
		Input: rawOr(in.Get("input_data").Raw(), "{}"), Args: in.Get("args").Texts(), Env: in.Get("env").Entries(),
		JobType: in.Get("job_type").Text(), Requirements: in.Get("requirements").Texts(),
		Timeout: int(in.Get("timeout").Int()), StartupTimeout: int(in.Get("startup_timeout").Int()),
		Limits: bindLimits(in.Get("limits")), Image: in.Get("image").Text(), Priority: 2,
		Retry: job.Retry(or(in.Get("retry").Text(), string(job.RetryInfrastructure))), CancelOnDisconnect: in.Get("cancel_on_disconnect").Bool(),
		Labels: in.Get("labels").Entries(), WebhookURL: in.Get("webhook_url").Text(),
	}
	if v := in.Get("stdin"); v.Has() {
		text := v.Text()
		r.Stdin = &text
	}
	if v := in.Get("priority"); v.Has() {
		r.Priority = int(v.Int())
	}
	if v := in.Get("network"); v.Has() {
		r.Network = &job.Network{Mode: job.NetworkMode(v.Get("mode").Text()), Allow: v.Get("allow").Texts()}
	}
	if v := in.Get("run_at"); v.Has() {
		r.RunAt, _ = time.Parse(time.RFC3339, v.Text()) // the table has held it
	}
	return Submission{Request: r, Files: bindFiles(in.Get("files")), IdempotencyKey: in.Get("idempotency_key").Text()}
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

func bindLimits(in *schema.Value) job.LimitRequest {
	whole := func(name string) *int64 {
		if v := in.Get(name); v.Has() {
			n := v.Int()
			return &n
		}
		return nil
	}
	l := job.LimitRequest{
		Memory: whole("memory"), Disk: whole("disk"), Stdout: whole("stdout_bytes"), Stderr: whole("stderr_bytes"), Artifact: whole("artifact_bytes"),
	}
	if v := in.Get("cpus"); v.Has() {
		f := v.Float()
		l.CPUs = &f
	}
	if n := whole("pids"); n != nil {
		pids := int(*n)
		l.PIDs = &pids
	}
	return l
}

func bindFiles(in *schema.Value) []FileSource {
	var files []FileSource
	for _, item := range in.Items() {
		f := FileSource{Path: item.Get("path").Text(), Upload: item.Get("upload").Text()}
		switch {
		case item.Get("text").Has():
			f.Content = []byte(item.Get("text").Text())
		case item.Get("content").Has():
			f.Content, _ = base64.StdEncoding.DecodeString(item.Get("content").Text()) // the table has held it
		case item.Get("artifact").Has():
			id, name, _ := strings.Cut(item.Get("artifact").Text(), "/")
			f.Artifact = &ArtifactRef{id, name}
		}
		files = append(files, f)
	}
	return files
}

// derivation is what a rerun or fork asks for.
func (c *call) derivation() (id string, d Derivation, err error) {
	if err := c.checkTimeout(c.in); err != nil {
		return "", d, err
	}
	if id, err = c.id("job_id"); err != nil {
		return "", d, err
	}
	d = Derivation{JobType: c.in.Get("job_type").Text(), Timeout: int(c.in.Get("timeout").Int()), Caller: c.caller()}
	if v := c.in.Get("code"); v.Has() {
		code := v.Text()
		d.Code = &code
	}
	return id, d, nil
}

func (c *call) rerunJob() error {
	id, d, err := c.derivation()
	if err != nil {
		return err
	}
	rec, err := c.api.service.Rerun(c.r.Context(), c.principal, id, d)
	if err != nil {
		return err
	}
	return c.ok(wire.Submitted{JobID: rec.ID, Status: rec.Status})
}

func (c *call) forkJob() error {
	id, d, err := c.derivation()
	if err != nil {
		return err
	}
	rec, err := c.api.service.Fork(c.r.Context(), c.principal, id, d)
	if err != nil {
		return err
	}
	return c.ok(wire.Submitted{JobID: rec.ID, Status: rec.Status})
}

// timeoutProblems says which items of a batch ask for more time than there is.
func (c *call) timeoutProblems(items []*schema.Value) problems {
	most := c.api.options.MaxTimeout
	var wrong problems
	for i, item := range items {
		if t := item.Get("timeout"); t.Has() && most > 0 && t.Int() > int64(most) && len(wrong) < schema.MaxProblems {
			wrong = append(wrong, schema.Invalid(timeoutAbove(most), json.RawMessage(t.Raw()), "body", "items", i, "timeout"))
		}
	}
	return wrong
}
