package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"unicode/utf8"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	tako "github.com/takovm/tako/sdk/go"
)

// Bounds of an answer, in bytes but for the number of images.
const (
	maxText     = 32 << 10 // of each stream and of output
	maxProgress = 2 << 10
	maxImage    = 1 << 20
	maxImages   = 4
	maxRead     = 256 << 10 // of an artifact at once, where that is asked for
)

// execution is how tools show one. Texts of programs are cut; Cut says which.
type execution struct {
	ExecutionID string        `json:"execution_id"`
	Status      string        `json:"status"`
	ExitCode    *int          `json:"exit_code,omitempty"`
	Stdout      string        `json:"stdout"`
	Stderr      string        `json:"stderr"`
	Output      any           `json:"output,omitempty" jsonschema:"what the program left in /output/result.json"`
	Error       *tako.Failure `json:"error,omitempty"`
	EndedBy     *tako.EndedBy `json:"ended_by,omitempty"`
	Artifacts   []artifact    `json:"artifacts"`
	Cut         []string      `json:"cut,omitempty" jsonschema:"what is not shown in full"`
}

type artifact struct {
	Name        string `json:"name"`
	SizeBytes   int64  `json:"size_bytes"`
	ContentType string `json:"content_type,omitempty"`
}

func artifacts(list []tako.Artifact) []artifact {
	out := make([]artifact, len(list))
	for i, a := range list {
		out[i] = artifact{Name: a.Name, SizeBytes: a.SizeBytes}
		if a.ContentType != nil {
			out[i].ContentType = *a.ContentType
		}
	}
	return out
}

// cut shortens text between two characters.
func cut(text string, most int) (string, bool) {
	if len(text) <= most {
		return text, false
	}
	for most > 0 && !utf8.RuneStart(text[most]) {
		most--
	}
	return text[:most], true
}

func show(r *tako.FullRecord) *execution {
	e := &execution{ExecutionID: r.ExecutionID, Status: string(r.Status), ExitCode: r.ExitCode, Error: r.Error, EndedBy: r.EndedBy, Artifacts: artifacts(r.Artifacts)}
	note := func(format string, args ...any) { e.Cut = append(e.Cut, fmt.Sprintf(format, args...)) }
	var short bool
	if e.Stdout, short = cut(r.Stdout, maxText); short || r.StdoutTruncated {
		note("stdout: %d bytes are shown", len(e.Stdout))
	}
	if e.Stderr, short = cut(r.Stderr, maxText); short || r.StderrTruncated {
		note("stderr: %d bytes are shown", len(e.Stderr))
	}
	if len(r.Output) > maxText {
		note("output: its %d bytes are left out", len(r.Output))
	} else if len(r.Output) > 0 && json.Unmarshal(r.Output, &e.Output) != nil { // a number no float64 holds, or nested deep
		e.Output = nil
		note("output: its %d bytes are in the text only", len(r.Output))
	}
	return e
}

// present answers an execution as text, structured, and with its images.
func (t *tools) present(ctx context.Context, r *tako.FullRecord) (*sdk.CallToolResult, *execution, error) {
	e := show(r)
	var images []sdk.Content
	for _, a := range e.Artifacts {
		if !isImage(a.ContentType) {
			continue
		}
		if len(images) == maxImages || a.SizeBytes > maxImage {
			e.Cut = append(e.Cut, fmt.Sprintf("image %q is not shown: read_artifact reads it", a.Name))
			continue
		}
		data, _, err := t.read(ctx, e.ExecutionID, a.Name, 0, maxImage)
		if err != nil {
			e.Cut = append(e.Cut, fmt.Sprintf("image %q is not shown: %v", a.Name, err))
			continue
		}
		images = append(images, &sdk.ImageContent{Data: data, MIMEType: a.ContentType})
	}
	// The protocol's library has numbers as float64; the text has them as they are.
	exact := *e
	if len(r.Output) > 0 && len(r.Output) <= maxText {
		exact.Output = r.Output
	}
	text, err := json.Marshal(exact)
	if err != nil {
		return nil, nil, err
	}
	content := append([]sdk.Content{&sdk.TextContent{Text: string(text)}}, images...)
	return &sdk.CallToolResult{Content: content}, e, nil
}

// isImage knows the pictures that models read; SVG is a program.
func isImage(contentType string) bool {
	switch kind, _, _ := strings.Cut(contentType, ";"); kind {
	case "image/png", "image/jpeg", "image/gif", "image/webp":
		return true
	}
	return false
}

// read answers at most most bytes of an artifact, and its type.
func (t *tools) read(ctx context.Context, id, name string, offset, most int64) ([]byte, *tako.ArtifactReader, error) {
	r, err := t.client.OpenArtifactAt(ctx, id, name, offset, most)
	var refused *tako.Error
	if errors.As(err, &refused) && refused.Status == http.StatusRequestedRangeNotSatisfiable {
		return nil, nil, fmt.Errorf("offset %d is at or beyond the end of %q; list_artifacts says how long it is", offset, name)
	}
	if err != nil {
		return nil, nil, err
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	return data, r, err
}
