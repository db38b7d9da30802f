package mcp

import (
	"context"
	"fmt"
	"net/url"
	"unicode/utf8"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	tako "github.com/takovm/tako/sdk/go"
)

type idInput struct {
	ExecutionID string `json:"execution_id"`
}

type readInput struct {
	ExecutionID string `json:"execution_id"`
	Name        string `json:"name" jsonschema:"as list_artifacts has it"`
	Offset      int64  `json:"offset,omitempty" jsonschema:"bytes to skip"`
	Limit       int64  `json:"limit,omitempty" jsonschema:"bytes to read, at most and by default 262144; an image that fits 1 MiB comes whole"`
}

type readOutput struct {
	Name        string `json:"name"`
	SizeBytes   int64  `json:"size_bytes"`
	ContentType string `json:"content_type"`
	Offset      int64  `json:"offset"`
	Bytes       int    `json:"bytes" jsonschema:"how many are answered"`
	More        bool   `json:"more" jsonschema:"the file goes on"`
}

type listInput struct {
	Status  string `json:"status,omitempty" jsonschema:"succeeded, failed, timeout, oom, cancelled, queued or running"`
	JobType string `json:"job_type,omitempty"`
	Limit   int    `json:"limit,omitempty" jsonschema:"at most 100, by default 20"`
	Offset  int    `json:"offset,omitempty"`
}

type listItem struct {
	ExecutionID string `json:"execution_id"`
	Status      string `json:"status"`
	JobType     string `json:"job_type"`
	CreatedAt   any    `json:"created_at"`
	DurationMS  *int64 `json:"duration_ms,omitempty"`
	ExitCode    *int   `json:"exit_code,omitempty"`
}

type listOutput struct {
	Items   []listItem `json:"items"`
	HasMore bool       `json:"has_more"`
}

type artifactsOutput struct {
	Artifacts []artifact `json:"artifacts"`
}

func (t *tools) addLooking(s *sdk.Server) {
	only := &sdk.ToolAnnotations{ReadOnlyHint: true}
	sdk.AddTool(s, &sdk.Tool{Name: "list_artifacts", Description: "List the files that an execution left.", Annotations: only}, t.listArtifacts)
	sdk.AddTool(s, &sdk.Tool{Name: "read_artifact", Description: "Read a file that an execution left.", Annotations: only}, t.readArtifact)
	sdk.AddTool(s, &sdk.Tool{Name: "list_executions", Description: "List earlier executions, newest first.", Annotations: only}, t.listExecutions)
	sdk.AddTool(s, &sdk.Tool{Name: "get_execution", Description: "Look at an execution: how it ended, what it printed and left.", Annotations: only}, t.getExecution)
}

func (t *tools) listArtifacts(ctx context.Context, _ *sdk.CallToolRequest, in idInput) (*sdk.CallToolResult, *artifactsOutput, error) {
	ctx, done := t.context(ctx)
	defer done()
	list, err := t.client.Artifacts(ctx, in.ExecutionID)
	if err != nil {
		return nil, nil, err
	}
	return nil, &artifactsOutput{artifacts(list.Items)}, nil
}

func (t *tools) readArtifact(ctx context.Context, _ *sdk.CallToolRequest, in readInput) (*sdk.CallToolResult, *readOutput, error) {
	if in.Offset < 0 || in.Limit < 0 {
		return nil, nil, fmt.Errorf("offset and limit must not be negative")
	}
	ctx, done := t.context(ctx)
	defer done()
	data, from, err := t.read(ctx, in.ExecutionID, in.Name, in.Offset, maxImage)
	if err != nil {
		return nil, nil, err
	}
	image := isImage(from.ContentType) && in.Offset == 0 && in.Limit == 0 && from.Size <= maxImage
	full := maxImage // what is answered where the file goes on
	if !image {
		full = maxRead
		if in.Limit > 0 {
			full = int(min(in.Limit, maxRead))
		}
		data = data[:min(full, len(data))]
	}
	more := in.Offset+int64(len(data)) < from.Size || from.Size < 0 && len(data) == full
	out := &readOutput{in.Name, from.Size, from.ContentType, in.Offset, len(data), more}
	var content sdk.Content
	switch {
	case image:
		content = &sdk.ImageContent{Data: data, MIMEType: from.ContentType}
	case utf8.Valid(data):
		content = &sdk.TextContent{Text: string(data)}
	default:
		at := url.URL{Scheme: "tako", Host: "executions", Path: "/" + in.ExecutionID + "/artifacts/" + in.Name}
		content = &sdk.EmbeddedResource{Resource: &sdk.ResourceContents{URI: at.String(), MIMEType: from.ContentType, Blob: data}}
	}
	return &sdk.CallToolResult{Content: []sdk.Content{content}}, out, nil
}

func (t *tools) listExecutions(ctx context.Context, _ *sdk.CallToolRequest, in listInput) (*sdk.CallToolResult, *listOutput, error) {
	if in.Limit < 0 || in.Limit > 100 {
		return nil, nil, fmt.Errorf("limit must be between 1 and 100")
	}
	if in.Limit == 0 {
		in.Limit = 20
	}
	ctx, done := t.context(ctx)
	defer done()
	page, err := t.client.Executions(ctx, tako.ExecutionFilter{Status: in.Status, JobType: in.JobType, ListOptions: tako.ListOptions{Limit: in.Limit, Offset: in.Offset}})
	if err != nil {
		return nil, nil, err
	}
	out := &listOutput{Items: make([]listItem, len(page.Items)), HasMore: page.HasMore}
	for i, r := range page.Items {
		out.Items[i] = listItem{r.ExecutionID, string(r.Status), r.JobType, r.CreatedAt, r.DurationMS, r.ExitCode}
	}
	return nil, out, nil
}

func (t *tools) getExecution(ctx context.Context, _ *sdk.CallToolRequest, in idInput) (*sdk.CallToolResult, *execution, error) {
	ctx, done := t.context(ctx)
	defer done()
	r, err := t.client.Execution(ctx, in.ExecutionID)
	if err != nil {
		return nil, nil, err
	}
	return t.present(ctx, r)
}
