package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/takovm/tako/internal/assembly"
	"github.com/takovm/tako/internal/attempt"
	"github.com/takovm/tako/internal/config"
	"github.com/takovm/tako/internal/egress"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/runner"
)

// source is what the command line says to run.
type source struct {
	code      string
	hasCode   bool
	args      []string
	isCommand bool // the arguments follow "--"
}

// attempt turns flags and arguments into an attempt, without its environment.
func (o *runOptions) attempt(cfg *config.Config, t job.Type, src source, stdin io.Reader) (*runner.Attempt, error) {
	a := &runner.Attempt{Language: o.language, Limits: t.Limits, Env: maps.Clone(t.Env), Preload: t.Preload, FixedEnv: len(o.env) == 0}
	options, err := assembly.Egress(cfg, o.secrets)
	if err != nil {
		return nil, err
	}
	attempt.Protect(a, t, o.secrets, func() *runner.Trust { return assembly.Trusted(options.Authority, nil) })
	if err := o.program(a, cfg, src, stdin); err != nil {
		return nil, err
	}
	if err := o.inputData(a, cfg.MaxInputBytes); err != nil {
		return nil, err
	}
	steps := []func(*runner.Attempt) error{o.inputFiles, o.environment, o.times, o.sizes}
	for _, step := range steps {
		if err := step(a); err != nil {
			return nil, err
		}
	}
	if err := o.network(a, options, t.Network); err != nil {
		return nil, err
	}
	if a.Limits.Execution > time.Duration(cfg.MaxTimeout)*time.Second {
		return nil, usageError("--timeout must be less than or equal to the configured max_timeout (%d seconds)", cfg.MaxTimeout)
	}
	if a.Limits.Startup > time.Duration(cfg.MaxStartupTimeout)*time.Second {
		return nil, usageError("--startup-timeout must be less than or equal to the configured max_startup_timeout (%d seconds)", cfg.MaxStartupTimeout)
	}
	if err := a.Limits.Validate(); err != nil {
		return nil, usageError("%s", err)
	}
	return a, nil
}

// network compiles what the program may reach.
func (o *runOptions) network(a *runner.Attempt, options egress.Options, n job.Network) (err error) {
	if len(o.hosts) > 0 {
		n = job.Network{Mode: job.NetworkAllow, Allow: o.hosts}
		if options.Secrets, err = reached(n, options); err != nil {
			return usageError("--allow-host: %s", err)
		}
	}
	if !n.Open() {
		return nil
	}
	if a.Network, err = egress.Compile(n, options); err != nil && len(o.hosts) > 0 {
		return usageError("--allow-host: %s", err)
	}
	return err
}

// reached are the secrets whose hosts are among those of --allow-host, which
// take the place of the job type's.
func reached(n job.Network, o egress.Options) (list []egress.Secret, err error) {
	all := o.Secrets
	o.Secrets = nil
	p, err := egress.Compile(n, o)
	if err != nil {
		return nil, err
	}
	for _, s := range all {
		if p.Reaches(s.Target()) {
			list = append(list, s)
		}
	}
	return list, nil
}

// typeOf is the job type that was asked for; without one, what the configuration
// says of all jobs.
func (o *runOptions) typeOf(ctx context.Context, cfg *config.Config) (job.Type, error) {
	if o.jobType == "" {
		return job.Type{Limits: cfg.Limits()}, nil
	}
	types, skipped, err := assembly.JobTypes(cfg)
	if err != nil {
		return job.Type{}, err
	}
	if _, err := types.Get(ctx, o.jobType); err != nil {
		why := ""
		if len(skipped) > 0 {
			why = "; " + strings.Join(skipped, "; ")
		}
		return job.Type{}, usageError("--job-type: there is no job type %q in the configuration or in job_types.json%s", o.jobType, why)
	}
	return types.Resolve(ctx, o.jobType)
}

// program finds the code: -c, a command, standard input or a file.
func (o *runOptions) program(a *runner.Attempt, cfg *config.Config, src source, stdin io.Reader) error {
	limit := cfg.MaxCodeBytes
	if !slices.Contains([]string{"", "python", "node", "bash"}, o.language) {
		return usageError("unknown language %q: it is one of python, node, bash, as the environment has them", o.language)
	}
	switch {
	case src.hasCode:
		a.Code, a.Args = []byte(src.code), src.args
	case len(src.args) == 0:
		return usageError("nothing to run: name a script, or give -c CODE, or - for standard input, or -- COMMAND")
	case src.isCommand:
		a.Command = src.args
		return nil
	case src.args[0] == "-":
		code, err := readCode(stdin, "standard input", limit)
		if err != nil {
			return err
		}
		a.Code, a.Args = code, src.args[1:]
	default:
		f, err := openRegular(src.args[0])
		if err != nil {
			return usageError("%s", err)
		}
		defer f.Close()
		if a.Code, err = readCode(f, src.args[0], limit); err != nil {
			return err
		}
		a.Args = src.args[1:]
		if a.Language == "" {
			a.Language = languageOf(src.args[0])
		}
	}
	if a.Language == "" {
		a.Language = "python"
	}
	if int64(len(a.Code)) > limit {
		return tooLong("-c", limit)
	}
	if strings.TrimSpace(string(a.Code)) == "" {
		return usageError("the code is empty")
	}
	return nil
}

func readCode(r io.Reader, name string, limit int64) ([]byte, error) {
	code, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, usageError("reading %s: %s", name, pathCause(err))
	}
	if int64(len(code)) > limit {
		return nil, tooLong(name, limit)
	}
	return code, nil
}

func tooLong(name string, limit int64) error {
	return usageError("%s is longer than %d bytes of code; split it, or copy data in with --file", name, limit)
}

// inputData takes --input: JSON that starts like an object, else a file.
func (o *runOptions) inputData(a *runner.Attempt, most int64) error {
	if o.input == "" {
		return nil
	}
	data := []byte(o.input)
	if !strings.HasPrefix(strings.TrimSpace(o.input), "{") {
		f, err := openRegular(o.input)
		if err != nil {
			return usageError("--input: %s (JSON input starts with {)", err)
		}
		defer f.Close()
		if data, err = io.ReadAll(io.LimitReader(f, most+1)); err != nil {
			return usageError("--input: reading %s: %s", o.input, pathCause(err))
		}
	}
	if int64(len(data)) > most {
		return usageError("--input is longer than %d bytes (max_input_bytes); copy it in with --file", most)
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(data, &object); err != nil {
		return usageError("--input is not a JSON object: %s", err)
	}
	a.Input = data
	return nil
}

// inputFiles takes --file host:inside. The last colon separates.
func (o *runOptions) inputFiles(a *runner.Attempt) error {
	for _, spec := range o.files {
		at := strings.LastIndexByte(spec, ':')
		if at <= 0 || at == len(spec)-1 {
			return usageError("--file %q: write it as host:inside", spec)
		}
		host, inside := spec[:at], strings.TrimPrefix(spec[at+1:], "/input/")
		f, err := openRegular(host)
		if err != nil {
			return usageError("--file: %s", err)
		}
		info, err := f.Stat()
		f.Close()
		if err != nil || !info.Mode().IsRegular() {
			return usageError("--file: %s is not a regular file", host)
		}
		a.Files = append(a.Files, runner.File{
			Path: inside,
			Size: info.Size(),
			Open: func() (io.ReadCloser, error) {
				f, err := os.Open(host)
				if err != nil { // it was there a moment ago
					return nil, job.Errorf(job.KindInvalid, "%w", err)
				}
				return f, nil
			},
		})
	}
	return nil
}

// environment takes --env NAME=value, and NAME for one of tako's own.
func (o *runOptions) environment(a *runner.Attempt) error {
	for _, spec := range o.env {
		name, value, given := strings.Cut(spec, "=")
		if !given {
			var ok bool
			if value, ok = os.LookupEnv(name); !ok {
				return usageError("--env %s: it is not set here; write it as NAME=value", name)
			}
		}
		if a.Env == nil {
			a.Env = map[string]string{}
		}
		a.Env[name] = value
	}
	return nil
}

// times takes the flags that are durations.
func (o *runOptions) times(a *runner.Attempt) error {
	for _, t := range []struct {
		flag, value string
		to          *time.Duration
	}{{"timeout", o.timeout, &a.Limits.Execution}, {"startup-timeout", o.startupTimeout, &a.Limits.Startup}} {
		if !o.given(t.flag) {
			continue
		}
		d, err := parseDuration(t.value)
		if err != nil {
			return usageError("--%s %q: %s", t.flag, t.value, err)
		}
		*t.to = d
	}
	return nil
}

func parseDuration(s string) (time.Duration, error) {
	if n, err := strconv.ParseFloat(s, 64); err == nil && n < 1e9 && n > -1e9 {
		return time.Duration(n * float64(time.Second)), nil
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("write it as 30s, 2m or a number of seconds")
	}
	return d, nil
}

// sizes takes the flags that are sizes or numbers.
func (o *runOptions) sizes(a *runner.Attempt) error {
	l := &a.Limits
	for _, s := range []struct {
		flag, value string
		to          *int64
	}{
		{"memory", o.memory, &l.Memory}, {"disk", o.disk, &l.Disk}, {"file-size", o.fileSize, &l.FileSize},
		{"max-stdout", o.maxStdout, &l.Stdout}, {"max-stderr", o.maxStderr, &l.Stderr},
	} {
		if !o.given(s.flag) {
			continue
		}
		n, err := config.ParseSize(s.value)
		if err != nil {
			return usageError("--%s: %s", s.flag, err)
		}
		*s.to = n
	}
	if o.given("cpus") {
		l.CPUs = o.cpus
	}
	for _, n := range []struct {
		flag  string
		value int
		to    *int
	}{{"pids", o.pids, &l.PIDs}, {"max-files", o.entries, &l.Files}} {
		if o.given(n.flag) {
			*n.to = n.value
		}
	}
	return nil
}
