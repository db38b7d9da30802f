package runner

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"mime"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/takovm/tako/internal/guest"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/sandbox"
)

// resultFile is the file of /output that becomes the result's Output.
const resultFile = "result.json"

// maxDepth is how deep below /output files are looked for.
const maxDepth = 32

// collect takes what the program left in /output, whatever its end was. What
// goes wrong with one file is noted and skips it.
func (r *run) collect(ctx context.Context) error {
	if r.exit.Survivors {
		r.result.Skipped = append(r.result.Skipped, "everything: a process of the program could not be ended")
		return nil
	}
	if r.exit.Empty {
		return nil
	}
	l := r.attempt.Limits
	budget := collectBudget
	if r.timedOut() { // its time is up already
		budget = max(reaction/4, l.Execution+l.KillGrace+reaction-time.Since(r.clock.started))
	}
	ctx, cancel := context.WithTimeoutCause(ctx, budget, errCollect)
	defer cancel()
	summary, err := r.box.Session.Collect(ctx, guest.CollectOptions{
		Root:          sandbox.OutputDir,
		MaxFiles:      l.ArtifactFiles,
		MaxFileBytes:  l.Artifact,
		MaxTotalBytes: l.Artifacts,
		MaxDepth:      maxDepth,
	}, r.artifact)
	if err != nil {
		return cause(ctx, err)
	}
	for _, s := range summary.Skipped {
		r.skip(s.Name, s.Reason)
	}
	if summary.More > 0 {
		r.result.Skipped = append(r.result.Skipped, fmt.Sprintf("and %d more", summary.More))
	}
	return nil
}

func (r *run) skip(name, why string) {
	r.result.Skipped = append(r.result.Skipped, fmt.Sprintf("%q: %s", r.attempt.Redact.String(name), why))
}

// artifact takes one file: its digest and type on the way to the sink. The
// result is read before it is delivered: it is the job's output, whatever
// becomes of the file.
func (r *run) artifact(name string, size int64, content io.Reader) error {
	source := &watched{r: content}
	content = r.attempt.Redact.Reader(source)
	name = r.attempt.Redact.String(name)
	if name == resultFile {
		data, err := io.ReadAll(content)
		if err != nil {
			return nil //nolint:nilerr // the session tells of it
		}
		r.output(data)
		content = bytes.NewReader(data)
	}
	m := &meter{hash: sha256.New()}
	err := r.deliver(name, size, io.TeeReader(content, m))
	if source.err != nil || err == nil && m.size != size {
		return nil // the session lists it, or ends the collection
	}
	if err != nil {
		r.skip(name, err.Error())
		r.result.Lost = errors.Join(r.result.Lost, fmt.Errorf("artifact %q: %w", name, err))
		return nil
	}
	r.result.Artifacts = append(r.result.Artifacts, job.Artifact{
		Name:        name,
		SizeBytes:   size,
		SHA256:      hex.EncodeToString(m.hash.Sum(nil)),
		ContentType: contentType(name, m.head),
	})
	return nil
}

func (r *run) deliver(name string, size int64, content io.Reader) error {
	if r.sinks.Artifact != nil {
		return r.sinks.Artifact(name, size, content)
	}
	_, err := io.Copy(io.Discard, content)
	return err
}

// meter sees a file pass by.
type meter struct {
	hash hash.Hash
	head []byte // the first 512 bytes, which is what content detection reads
	size int64
}

func (m *meter) Write(p []byte) (int, error) {
	const sniffed = 512
	if room := sniffed - len(m.head); room > 0 {
		m.head = append(m.head, p[:min(room, len(p))]...)
	}
	m.size += int64(len(p))
	return m.hash.Write(p)
}

// contentType detects the type of a file from its first bytes (the MIME
// sniffing standard, as net/http has it) and, where they only say "text" or
// nothing, from its name.
func contentType(name string, head []byte) string {
	sniffed := http.DetectContentType(head)
	general := strings.HasPrefix(sniffed, "text/plain") || sniffed == "application/octet-stream"
	if !general {
		return sniffed
	}
	if t, ok := byName(strings.ToLower(path.Ext(name))); ok {
		return t
	}
	return sniffed
}

// byName knows the text formats that jobs write; the host's own tables, which
// differ from machine to machine, are not asked.
func byName(ext string) (string, bool) {
	t, ok := map[string]string{
		".json":    "application/json",
		".jsonl":   "application/jsonl",
		".csv":     "text/csv",
		".tsv":     "text/tab-separated-values",
		".md":      "text/markdown",
		".html":    "text/html",
		".xml":     "text/xml",
		".svg":     "image/svg+xml",
		".yaml":    "application/yaml",
		".yml":     "application/yaml",
		".js":      "text/javascript",
		".css":     "text/css",
		".py":      "text/x-python",
		".ipynb":   "application/x-ipynb+json",
		".parquet": "application/vnd.apache.parquet",
		".npy":     "application/x-npy",
	}[ext]
	if !ok {
		return "", false
	}
	if strings.HasPrefix(t, "text/") {
		t = mime.FormatMediaType(t, map[string]string{"charset": "utf-8"})
	}
	return t, true
}
