package mcp

import (
	"encoding/json"
	"fmt"

	tako "github.com/takovm/tako/sdk/go"
)

// The texts of these fields are all that a model knows of them.

type runInput struct {
	Code         string            `json:"code" jsonschema:"the whole program, as text; only what it prints or leaves in /output comes back"`
	Language     string            `json:"language,omitempty" jsonschema:"python (default), node or bash"`
	Args         []string          `json:"args,omitempty" jsonschema:"arguments of the program: sys.argv[1:] in Python"`
	Env          map[string]string `json:"env,omitempty" jsonschema:"environment variables of the program"`
	Stdin        *string           `json:"stdin,omitempty" jsonschema:"standard input of the program; empty where it is left out"`
	InputData    map[string]any    `json:"input_data,omitempty" jsonschema:"a JSON object, which the program finds in /input/data.json"`
	Files        []fileInput       `json:"files,omitempty" jsonschema:"files that the program finds below /input"`
	Requirements []string          `json:"requirements,omitempty" jsonschema:"packages to install first, such as pandas>=2, or npm:lodash for node; refused where the server does not allow it: then use a job type that has them"`
	Timeout      int               `json:"timeout,omitempty" jsonschema:"seconds that the program may run; default that of the job type, mostly 30"`
	Memory       string            `json:"memory,omitempty" jsonschema:"memory for all of the program, such as 512m or 2g; default that of the job type"`
	JobType      string            `json:"job_type,omitempty" jsonschema:"a named environment that the operator has set up, with packages and a network of its own; leave it out unless you were told of one"`
	Network      *networkInput     `json:"network,omitempty" jsonschema:"narrows the network of the job type; it cannot give one that the job type has not"`
	Labels       map[string]string `json:"labels,omitempty" jsonschema:"names to find the execution by again, see list_executions"`
}

type fileInput struct {
	Path     string  `json:"path" jsonschema:"where the program finds it: relative to /input, such as data/a.csv"`
	Content  *string `json:"content,omitempty" jsonschema:"what is in it, as text; give exactly one of content, content_base64 and artifact"`
	Base64   *string `json:"content_base64,omitempty" jsonschema:"what is in it, as base64, for files that are not text"`
	Artifact string  `json:"artifact,omitempty" jsonschema:"a file that an earlier execution left, as execution_id/name; nothing is copied through you"`
}

type networkInput struct {
	Mode  string   `json:"mode" jsonschema:"none, allow or public"`
	Allow []string `json:"allow,omitempty" jsonschema:"for the mode allow: hosts, such as api.example.com or *.example.com"`
}

type rerunInput struct {
	ExecutionID string `json:"execution_id" jsonschema:"of an execution that has ended"`
	JobType     string `json:"job_type,omitempty" jsonschema:"another job type; default that of the first run"`
	Timeout     int    `json:"timeout,omitempty" jsonschema:"seconds; default that of the first run"`
}

type forkInput struct {
	rerunInput
	Code string `json:"code" jsonschema:"the whole program to run instead"`
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
	r := tako.ExecuteRequest{Code: in.Code, Language: in.Language, Args: in.Args, Env: in.Env, Stdin: in.Stdin, JobType: in.JobType,
		Requirements: in.Requirements, Timeout: seconds(in.Timeout), Labels: in.Labels}
	if in.InputData != nil {
		var exact struct {
			InputData json.RawMessage `json:"input_data"`
		}
		if err := json.Unmarshal(arguments, &exact); err != nil {
			return r, err
		}
		r.InputData = exact.InputData
	}
	if in.Memory != "" {
		r.Limits = &tako.Limits{Memory: in.Memory}
	}
	if in.Network != nil {
		r.Network = &tako.NetworkRequest{Mode: in.Network.Mode, Allow: in.Network.Allow}
	}
	for _, f := range in.Files {
		if n := count(f.Content != nil, f.Base64 != nil, f.Artifact != ""); n != 1 {
			return r, fmt.Errorf("the file %q has %d of content, content_base64 and artifact; give exactly one", f.Path, n)
		}
		r.Files = append(r.Files, tako.File{Path: f.Path, Text: f.Content, Content: f.Base64, Artifact: f.Artifact})
	}
	return r, nil
}

func count(all ...bool) (n int) {
	for _, yes := range all {
		if yes {
			n++
		}
	}
	return n
}
