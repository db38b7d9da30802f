package script

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	tako "github.com/takovm/tako/sdk/go"
)

// goClient is a client of a server of its own.
func goClient(t *testing.T) *tako.Client {
	t.Helper()
	b := newBench(t)
	b.pack(t)
	s := serve(t, b)
	t.Cleanup(s.stop)
	c, err := tako.New(s.url, tako.Options{CorrelationID: "go-client"})
	must(t, err)
	if c.URL() != s.url {
		t.Errorf("the client's URL is %s, not %s", c.URL(), s.url)
	}
	return c
}

// is reports that a call failed in the way that it should.
func is(t *testing.T, what string, err, kind error) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("%s: %v, want %v", what, err, kind)
	}
}

// The life of a job, by the Go client.
func TestGoJobs(t *testing.T) {
	c, ctx := goClient(t), t.Context()
	done, err := c.Execute(ctx, tako.ExecuteRequest{Code: "print(6 * 7)"})
	if err != nil || !done.Success || done.Stdout != "42\n" {
		t.Fatalf("%+v, %v", done, err)
	}
	job, err := c.Submit(ctx, tako.ExecuteRequest{Code: "print(1 / 0)", Labels: map[string]string{"who": "go"}})
	must(t, err)
	record, err := c.Wait(ctx, job.JobID)
	if err != nil || record.Status != tako.Failed {
		t.Fatalf("%+v, %v", record, err)
	}
	status, err := c.Status(ctx, job.JobID)
	if err != nil || status.Status != string(tako.Failed) {
		t.Errorf("%+v, %v", status, err)
	}
	if record, err = c.Result(ctx, job.JobID, 0); err != nil || record.ExitCode == nil || *record.ExitCode != 1 {
		t.Errorf("%+v, %v", record, err)
	}
	again, err := c.Rerun(ctx, job.JobID, tako.RerunRequest{})
	must(t, err)
	fork, err := c.Fork(ctx, job.JobID, tako.ForkRequest{Code: "print('mended')"})
	must(t, err)
	for id, want := range map[string]tako.Status{again.JobID: tako.Failed, fork.JobID: tako.Succeeded} {
		if r, err := c.Wait(ctx, id); err != nil || r.Status != want {
			t.Errorf("%+v, %v", r, err)
		}
	}
	diff, err := c.Diff(ctx, job.JobID, fork.JobID)
	if err != nil || diff.Identical || len(diff.Differences) == 0 {
		t.Errorf("%+v, %v", diff, err)
	}
	family, err := c.Lineage(ctx, job.JobID)
	if err != nil || len(family.Descendants) != 2 {
		t.Errorf("%+v, %v", family, err)
	}
	page, err := c.Executions(ctx, tako.ExecutionFilter{Labels: map[string]string{"who": "go"}, Status: "failed", ListOptions: tako.ListOptions{Limit: 10}})
	if err != nil || len(page.Items) != 2 {
		t.Errorf("%+v, %v", page, err)
	}
	if r, err := c.Execution(ctx, fork.JobID); err != nil || r.Stdout != "mended\n" {
		t.Errorf("%+v, %v", r, err)
	}
	_, err = c.Delete(ctx, job.JobID)
	must(t, err)
	_, err = c.Execution(ctx, job.JobID)
	is(t, "a job that was removed", err, tako.ErrNotFound)
}

// Output as it comes, and a job that is ended.
func TestGoEvents(t *testing.T) {
	c, ctx := goClient(t), t.Context()
	job, err := c.Submit(ctx, tako.ExecuteRequest{Code: "import time\nprint('up', flush=True)\ntime.sleep(250)", Timeout: new(280)})
	must(t, err)
	_, err = c.Result(ctx, job.JobID, time.Second)
	is(t, "a job that goes on", err, tako.ErrTimeout)
	var said strings.Builder
	var last tako.Event
	for e, err := range c.Events(ctx, job.JobID, tako.EventsOptions{}) {
		must(t, err)
		if last = e; e.Type != tako.EventStdout {
			continue
		}
		text, err := e.Bytes()
		must(t, err)
		if said.Write(text); said.String() == "up\n" {
			_, err := c.Cancel(ctx, job.JobID)
			must(t, err)
		}
	}
	if last.Type != tako.EventEnd || last.Status() != tako.Cancelled {
		t.Errorf("the last event is %+v", last)
	}
	for e, err := range c.Events(ctx, job.JobID, tako.EventsOptions{After: last.ID, Stored: true}) {
		t.Errorf("after the end: %+v, %v", e, err)
	}
	_, err = c.Cancel(ctx, job.JobID)
	is(t, "a job that has ended", err, tako.ErrNotFound)
}

// Files in and out, in whole and in part.
func TestGoFiles(t *testing.T) {
	c, ctx := goClient(t), t.Context()
	up, err := c.Upload(ctx, strings.NewReader("uploaded"))
	must(t, err)
	job, err := c.Submit(ctx, tako.ExecuteRequest{Code: "import shutil\nshutil.copy('/input/d/in.txt', '/output/out.txt')",
		Files: []tako.File{{Path: "d/in.txt", Upload: up.UploadID}}})
	must(t, err)
	_, err = c.Wait(ctx, job.JobID)
	must(t, err)
	list, err := c.Artifacts(ctx, job.JobID)
	if err != nil || len(list.Items) != 1 || list.Items[0].Name != "out.txt" {
		t.Fatalf("%+v, %v", list, err)
	}
	read := func(r *tako.ArtifactReader, err error) string {
		t.Helper()
		must(t, err)
		content, err := io.ReadAll(r)
		if err := errors.Join(err, r.Close()); err != nil || r.Size != 8 {
			t.Errorf("%+v, %v", r, err)
		}
		return string(content)
	}
	if got := read(c.OpenArtifact(ctx, job.JobID, "out.txt")); got != "uploaded" {
		t.Errorf("the file holds %q", got)
	}
	if got := read(c.OpenArtifactAt(ctx, job.JobID, "out.txt", 2, 4)); got != "load" {
		t.Errorf("a part of the file holds %q", got)
	}
	if got := read(c.OpenArtifactAt(ctx, job.JobID, "out.txt", 6, 4)); got != "ed" {
		t.Errorf("the end of the file holds %q", got)
	}
	_, err = c.OpenArtifactAt(ctx, job.JobID, "out.txt", 8, 1)
	var e *tako.Error
	if is(t, "beyond the end", err, tako.ErrInvalid); !errors.As(err, &e) || e.Status != http.StatusRequestedRangeNotSatisfiable || e.CorrelationID != "go-client" {
		t.Errorf("beyond the end: %#v", err)
	}
	_, err = c.OpenArtifactAt(ctx, job.JobID, "out.txt", -1, 1)
	is(t, "before the beginning", err, tako.ErrInvalid)
	_, err = c.OpenArtifact(ctx, job.JobID, "../out.txt")
	is(t, "a name that climbs", err, tako.ErrInvalid)
	var all bytes.Buffer
	size, err := c.SaveZip(ctx, job.JobID, &all)
	must(t, err)
	archive, err := zip.NewReader(bytes.NewReader(all.Bytes()), size)
	if err != nil || len(archive.File) != 1 || archive.File[0].Name != "out.txt" {
		t.Errorf("the archive: %+v, %v", archive, err)
	}
}

// Many jobs at once.
func TestGoBatches(t *testing.T) {
	c, ctx := goClient(t), t.Context()
	batch, err := c.SubmitBatch(ctx, tako.BatchRequest{Items: []tako.ExecuteRequest{{Code: "print(0)"}, {Code: "import time\ntime.sleep(250)", Timeout: new(280)}}})
	must(t, err)
	page, err := c.BatchResults(ctx, batch.BatchID, tako.ListOptions{})
	if err != nil || len(page.Items) != 2 {
		t.Fatalf("%+v, %v", page, err)
	}
	if r, err := c.Wait(ctx, page.Items[0].ExecutionID); err != nil || r.Stdout != "0\n" {
		t.Errorf("%+v, %v", r, err)
	}
	_, err = c.CancelBatch(ctx, batch.BatchID)
	must(t, err)
	_, err = c.Wait(ctx, page.Items[1].ExecutionID)
	must(t, err)
	if b, err := c.Batch(ctx, batch.BatchID); err != nil || b.Total != 2 || b.Counts["cancelled"] != 1 {
		t.Errorf("%+v, %v", b, err)
	}
	_, err = c.SubmitBatch(ctx, tako.BatchRequest{Items: []tako.ExecuteRequest{{Code: "print(0)"}, {}}})
	var e *tako.Error
	if !errors.As(err, &e) || len(e.Problems) == 0 || e.Problems[0].Where() != "body.items.1.code" {
		t.Errorf("a batch with an item that is wrong: %v", err)
	}
}

// Named environments, and the secrets that they bind.
func TestGoJobTypes(t *testing.T) {
	c, ctx := goClient(t), t.Context()
	_, err := c.SetSecret(ctx, "API_KEY", "sk-live-0123456789")
	must(t, err)
	if list, err := c.Secrets(ctx); err != nil || !slices.ContainsFunc(list, func(s tako.Secret) bool { return s.Name == "API_KEY" }) {
		t.Errorf("%+v, %v", list, err)
	}
	_, err = c.DeleteSecret(ctx, "API_KEY")
	must(t, err)
	typ, err := c.CreateJobType(ctx, tako.JobTypeRequest{Name: "gopher", Environment: map[string]string{"WHO": "go"}})
	if err != nil || typ.Name != "gopher" {
		t.Fatalf("%+v, %v", typ, err)
	}
	_, err = c.CreateJobType(ctx, tako.JobTypeRequest{Name: "gopher"})
	is(t, "a name that is taken", err, tako.ErrConflict)
	_, err = c.ReplaceJobType(ctx, tako.JobTypeRequest{Name: "gopher", Environment: map[string]string{"WHO": "gopher"}})
	must(t, err)
	build, err := c.BuildJobType(ctx, "gopher", "first")
	must(t, err)
	versions, err := c.JobTypeVersions(ctx, "gopher")
	if err != nil || len(versions) != 1 {
		t.Fatalf("%+v, %v", versions, err)
	}
	log, err := c.BuildLog(ctx, "gopher", build.BuildID)
	must(t, err)
	_, err = io.ReadAll(log)
	must(t, errors.Join(err, log.Close()))
	_, err = c.BuildLock(ctx, "gopher", build.BuildID)
	is(t, "the lock of a build without packages", err, tako.ErrNotFound)
	if done, err := c.Execute(ctx, tako.ExecuteRequest{Code: "import os\nprint(os.environ['WHO'])", JobType: "gopher@first"}); err != nil || done.Stdout != "gopher\n" {
		t.Errorf("%+v, %v", done, err)
	}
	if one, err := c.JobType(ctx, "gopher"); err != nil || one.Name != "gopher" {
		t.Errorf("%+v, %v", one, err)
	}
	if list, err := c.JobTypes(ctx); err != nil || len(list) < 2 {
		t.Errorf("%+v, %v", list, err)
	}
	_, err = c.DeleteJobType(ctx, "gopher")
	must(t, err)
	_, err = c.JobType(ctx, "gopher")
	is(t, "a job type that was removed", err, tako.ErrNotFound)
}

// What operators ask.
func TestGoOperating(t *testing.T) {
	c, ctx := goClient(t), t.Context()
	if h, err := c.Health(ctx); err != nil || h.Status != "healthy" {
		t.Errorf("%+v, %v", h, err)
	}
	must(t, c.Ready(ctx))
	if p, err := c.Pool(ctx); err != nil || p.MaxWorkers == 0 {
		t.Errorf("%+v, %v", p, err)
	}
	metrics, err := c.Metrics(ctx)
	must(t, err)
	text, err := io.ReadAll(metrics)
	if err := errors.Join(err, metrics.Close()); err != nil || !strings.Contains(string(text), "# TYPE tako_") {
		t.Errorf("%v, %.200s", err, text)
	}
	key, err := c.CreateKey(ctx, tako.KeyRequest{Name: "reader", Scopes: []string{"read"}})
	if err != nil || !strings.HasPrefix(key.APIKey, "tako_") {
		t.Fatalf("%+v, %v", key, err)
	}
	if keys, err := c.Keys(ctx); err != nil || !slices.ContainsFunc(keys, func(k tako.Key) bool { return k.ID == key.ID }) {
		t.Errorf("%+v, %v", keys, err)
	}
	_, err = c.DeleteKey(ctx, key.ID)
	must(t, err)
	letters, err := c.DLQ(ctx, tako.DLQFilter{ErrorType: "none_has_this"})
	if err != nil || len(letters.Items) != 0 {
		t.Errorf("%+v, %v", letters, err)
	}
	_, err = c.DLQStats(ctx)
	must(t, err)
	_, err = c.ReplayDLQ(ctx, 1<<40)
	is(t, "a dead letter that is not there", err, tako.ErrNotFound)
	_, err = c.DeleteDLQ(ctx, 1<<40)
	is(t, "a dead letter that is not there", err, tako.ErrNotFound)
	hooks, err := c.Deliveries(ctx, tako.DeliveryFilter{ListOptions: tako.ListOptions{Limit: 1}})
	if err != nil || len(hooks.Items) > 1 {
		t.Errorf("%+v, %v", hooks, err)
	}
}
