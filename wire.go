package tako

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/takovm/tako/internal/engine/gvisor"
	"github.com/takovm/tako/internal/job"
)

// childName is the first argument of a process that runs one request.
const childName = "tako-run"

// What such a process has open beside its standard streams.
const (
	requestFD = 3 + iota // the request, and then nothing until the caller goes
	replyFD
	filesFD // a tar of artifacts
	childFDs
)

// request is Options, as they go to the process that runs the code.
type request struct {
	Code     string
	Language string
	Args     []string
	Env      map[string]string
	Input    json.RawMessage
	Files    map[string][]byte
	Timeout  time.Duration
	Memory   int64
	CPUs     float64
	Hosts    []string
	Packages []string
	Image    string
	Config   string
	// What the caller takes and gives.
	Stdin, Stdout, Stderr, Artifacts bool
}

// reply is what comes back.
type reply struct {
	Result         *Result
	Stdout, Stderr []byte // which need not be UTF-8
	Error          *job.Error
}

func newRequest(code string, o Options) (*request, error) {
	if isRunner() || gvisor.IsChild() {
		return nil, job.Errorf(job.KindInvalid, "this process was executed to be a sandbox").
			WithHint("call tako.Child first of all in main")
	}
	r := &request{Code: code, Language: o.Language, Args: o.Args, Env: o.Env, Files: o.Files, Timeout: o.Timeout,
		Memory: o.Memory, CPUs: o.CPUs, Hosts: o.Hosts, Packages: o.Packages, Image: o.Image, Config: o.Config,
		Stdin: o.Stdin != nil, Stdout: o.Stdout != nil, Stderr: o.Stderr != nil, Artifacts: o.Artifact != nil}
	if o.Input == nil {
		return r, nil
	}
	var object map[string]json.RawMessage
	input, err := json.Marshal(o.Input)
	if err == nil {
		err = json.Unmarshal(input, &object)
	}
	if err != nil {
		return nil, job.Errorf(job.KindInvalid, "Options.Input is no JSON object: %w", err).WithHint("give a map or a struct")
	}
	r.Input = input
	return r, nil
}

// isRunner reports a process that runs one request.
func isRunner() bool { return len(os.Args) > 0 && os.Args[0] == childName }

// errorOf is an error as it goes over the wire; of several, their text.
func errorOf(err error) *job.Error {
	if err == nil {
		return nil
	}
	if one, ok := err.(*job.Error); ok {
		return one
	}
	return &job.Error{Kind: job.KindOf(err), Msg: fmt.Sprint(err)}
}
