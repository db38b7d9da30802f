package service_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/takovm/tako/internal/api"
	"github.com/takovm/tako/internal/artifact"
	"github.com/takovm/tako/internal/artifact/disk"
	"github.com/takovm/tako/internal/config"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/jobtype"
	"github.com/takovm/tako/internal/queue"
	"github.com/takovm/tako/internal/service"
	"github.com/takovm/tako/internal/store"
	"github.com/takovm/tako/internal/store/sqlite"
)

// desk is a service whose jobs wait: nobody takes them.
type desk struct {
	*service.Service
	dir   string // of blobs
	stale time.Time
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	dir := t.TempDir()
	records, err := sqlite.Open(t.Context(), filepath.Join(dir, "tako.db"), sqlite.Options{})
	must(t, err)
	t.Cleanup(func() { must(t, records.Close()) })
	d := &desk{dir: filepath.Join(dir, "blobs"), stale: time.Now().Add(-2 * artifact.MinGrace)}
	blobs, err := disk.Open(disk.Options{Dir: d.dir, Reserve: disk.Reserve{Bytes: -1}})
	must(t, err)
	t.Cleanup(func() { must(t, blobs.Close()) })
	types := jobtype.New(jobtype.Options{Config: config.Default(dir)})
	d.Service = &service.Service{
		Jobs:  queue.New(queue.Options{Store: records, Types: types, Slots: queue.NewSlots(queue.Budget{Slots: 1})}),
		Store: records, Blobs: blobs, Types: types, MaxUpload: 1 << 20,
	}
	return d
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// old stores content long ago, as an upload, and as the input and an artifact of
// a job that has ended.
func (d *desk) old(t *testing.T, content string) (u store.Upload, ended job.Record) {
	t.Helper()
	u, err := d.SaveUpload(t.Context(), job.Principal{}, strings.NewReader(content))
	must(t, err)
	ended = job.Record{
		ID: "ended", Status: job.Running, Sync: true, CreatedAt: d.stale, StartedAt: d.stale, JobType: "default",
		Request: job.Request{Language: "python", Code: "x", Files: []job.InputFile{{Path: "a", SizeBytes: u.SizeBytes, SHA256: u.SHA256}}},
	}
	claim, _, err := d.Store.Begin(t.Context(), ended, store.Node{Name: "here", Lease: time.Minute})
	must(t, err)
	out := job.Outcome{Artifacts: []job.Artifact{{Name: "b", SizeBytes: u.SizeBytes, SHA256: u.SHA256}}}
	must(t, d.Store.Finish(t.Context(), claim, job.Succeeded, out))
	must(t, os.Chtimes(d.path(u.SHA256), d.stale, d.stale))
	return u, ended
}

func (d *desk) path(sha256 string) string { return filepath.Join(d.dir, sha256[:2], sha256) }

// ways are those in which a new job comes to have content that is there already.
func ways(d *desk, u store.Upload, ended job.Record) map[string]func(t *testing.T) error {
	submit := func(f api.FileSource) func(t *testing.T) error {
		return func(t *testing.T) error {
			f.Path = "in"
			_, err := d.Submit(t.Context(), job.Principal{}, submission(f))
			return err
		}
	}
	return map[string]func(t *testing.T) error{
		"an upload":   submit(api.FileSource{Upload: u.ID}),
		"an artifact": submit(api.FileSource{Artifact: &api.ArtifactRef{JobID: ended.ID, Name: "b"}}),
		"a rerun": func(t *testing.T) error {
			_, err := d.Rerun(t.Context(), job.Principal{}, ended.ID, api.Derivation{})
			return err
		},
		"a batch": func(t *testing.T) error {
			item := submission(api.FileSource{Path: "in", Upload: u.ID})
			_, err := d.SubmitBatch(t.Context(), job.Principal{}, api.BatchSubmission{Items: []api.Submission{item, item}})
			return err
		},
	}
}

func submission(f api.FileSource) api.Submission {
	return api.Submission{
		Request: job.Request{Language: "python", Code: "x", Priority: 2, Retry: job.RetryInfrastructure},
		Files:   []api.FileSource{f},
	}
}

// What a job is to have is as young as if it had been stored for it: what named
// it so far may be gone before the job is.
func TestContentIsKeptForNewJobs(t *testing.T) {
	d := newDesk(t)
	u, ended := d.old(t, "content")
	for name, again := range ways(d, u, ended) {
		must(t, os.Chtimes(d.path(u.SHA256), d.stale, d.stale))
		if err := again(t); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if info, err := os.Stat(d.path(u.SHA256)); err != nil || !info.ModTime().After(d.stale.Add(artifact.MinGrace)) {
			t.Errorf("%s: it is as old as before: %v", name, err)
		}
	}
}

// Content that is gone is said at once, and not by a job that fails for it.
func TestContentIsGone(t *testing.T) {
	d := newDesk(t)
	u, ended := d.old(t, "content")
	must(t, os.Remove(d.path(u.SHA256)))
	for name, again := range ways(d, u, ended) {
		if err := again(t); !errors.Is(err, api.ErrNoReplay) && job.KindOf(err) != job.KindInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}
