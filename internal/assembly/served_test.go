package assembly

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/takovm/tako/internal/config"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/lifecycle"
)

// At the watermark no file is taken from a client, and the files of jobs are.
func TestReserveIsForJobs(t *testing.T) {
	var undo lifecycle.Undo
	defer func() { must(t, undo.Run()) }()
	s := &served{}
	cfg := config.Default(t.TempDir())
	_, _, err := s.openBlobs(cfg, &undo)
	must(t, err)
	free, _, err := s.space()
	must(t, err)
	cfg.DiskReserve = config.Size(2 * free)
	uploads, jobs, err := s.openBlobs(cfg, &undo)
	must(t, err)
	if _, _, err := uploads.Put(t.Context(), strings.NewReader("x"), 1); job.KindOf(err) != job.KindUnavailable {
		t.Errorf("an upload: %v", err)
	}
	if _, _, err := jobs.Put(t.Context(), strings.NewReader("x"), 1); err != nil {
		t.Errorf("a job's file: %v", err)
	}
	if s.room() == nil {
		t.Error("new work is accepted")
	}
}

// Servers that share records and not files would fail each other's jobs.
func TestWarnOfSeparateFiles(t *testing.T) {
	for name, tc := range map[string]struct {
		database, blobs string
		warned          bool
	}{
		"all on the disk":           {"", "", false},
		"files in a bucket":         {"", "s3://bucket?region=a", false},
		"records elsewhere":         {"postgres://host/tako", "", true},
		"both where all can see it": {"postgres://host/tako", "s3://bucket?region=a", false},
	} {
		var said strings.Builder
		s := &served{log: slog.New(slog.NewTextHandler(&said, nil))}
		s.warn(&config.Config{DatabaseURL: config.Secret(tc.database), BlobURL: tc.blobs})
		if got := strings.Contains(said.String(), "level=WARN") && strings.Contains(said.String(), "blob_url"); got != tc.warned {
			t.Errorf("%s: it says %q", name, &said)
		}
	}
}
