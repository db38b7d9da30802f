package mcp

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"unicode/utf8"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	tako "github.com/takovm/tako/sdk/go"
)

type idInput struct {
	ExecutionID string `json:"execution_id" jsonschema:"as run_code or list_executions has it"`
}

type readInput struct {
	ExecutionID string `json:"execution_id" jsonschema:"as run_code or list_executions has it"`
	Name        string `json:"name" jsonschema:"as list_artifacts has it"`
	Offset      int64  `json:"offset,omitempty" jsonschema:"bytes to skip; next_offset of the answer before reads on"`
	Limit       int64  `json:"limit,omitempty" jsonschema:"bytes to read: 32768 where it is left out, at most 262144; without limit and offset an image of up to 1 MiB comes whole"`
}

type readOutput struct {
	Name        string `json:"name"`
	SizeBytes   int64  `json:"size_bytes" jsonschema:"of the whole file"`
	ContentType string `json:"content_type"`
	Offset      int64  `json:"offset"`
	Bytes       int    `json:"bytes" jsonschema:"how many are answered"`
	NextOffset  *int64 `json:"next_offset,omitempty" jsonschema:"where the file goes on; not there at its end"`
}

type listInput struct {
	Status  string            `json:"status,omitempty" jsonschema:"only these: succeeded, failed, timeout, oom, cancelled, queued or running"`
	JobType string            `json:"job_type,omitempty" jsonschema:"only those of this job type"`
	Labels  map[string]string `json:"labels,omitempty" jsonschema:"only those with all of these labels"`
	Limit   int               `json:"limit,omitempty" jsonschema:"at most 100, by default 20"`
	Offset  int               `json:"offset,omitempty" jsonschema:"executions to skip, where has_more was true"`
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

const readsFile = `Read a file that an execution left, in whole or in part. Text comes as text, images as images, anything else in base64.
A long file comes in parts: the answer says how long it is and at which offset it goes on.`

func (t *tools) addLooking(s *sdk.Server) {
	only := &sdk.ToolAnnotations{ReadOnlyHint: true}
	sdk.AddTool(s, &sdk.Tool{Name: "list_artifacts", Description: "List the files that an execution left in /output, with size and type. run_code answers the list, too.", Annotations: only}, t.listArtifacts)
	sdk.AddTool(s, &sdk.Tool{Name: "read_artifact", Description: readsFile, Annotations: only}, t.readArtifact)
	sdk.AddTool(s, &sdk.Tool{Name: "list_executions", Description: "List earlier executions, newest first: their ids, status and times. get_execution has what they printed.", Annotations: only}, t.listExecutions)
	sdk.AddTool(s, &sdk.Tool{Name: "get_execution", Description: "Look at an execution of earlier, or at one that still runs: how it ended and why, what it printed, and the files that it left.", Annotations: only}, t.getExecution)
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
	whole := in.Offset == 0 && in.Limit == 0 // an image may come so, and whether it is one is known when it comes
	most := min(cmp.Or(in.Limit, maxText), maxRead)
	ask := most
	if whole {
		ask = maxImage
	}
	data, from, err := t.read(ctx, in.ExecutionID, in.Name, in.Offset, ask)
	if err != nil {
		return nil, nil, err
	}
	image := whole && isImage(from.ContentType) && from.Size <= maxImage
	if !image {
		data = characters(data[:min(int64(len(data)), most)])
	}
	out := &readOutput{Name: in.Name, SizeBytes: from.Size, ContentType: from.ContentType, Offset: in.Offset, Bytes: len(data)}
	if next := in.Offset + int64(len(data)); next < from.Size || from.Size < 0 && int64(len(data)) == most {
		out.NextOffset = &next
	}
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

// characters leaves out the beginning of a character that text is cut in.
func characters(data []byte) []byte {
	for cut := 0; cut < min(utf8.UTFMax, len(data)); cut++ {
		if text := data[:len(data)-cut]; utf8.Valid(text) {
			return text
		}
	}
	return data
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
	page, err := t.client.Executions(ctx, tako.ExecutionFilter{Status: in.Status, JobType: in.JobType, Labels: in.Labels, ListOptions: tako.ListOptions{Limit: in.Limit, Offset: in.Offset}})
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
