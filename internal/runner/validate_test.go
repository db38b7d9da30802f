package runner

import (
	"encoding/json"
	"fmt"
	"path"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/takovm/tako/internal/environment"
	"github.com/takovm/tako/internal/job"
)

func valid() Attempt {
	return Attempt{
		Environment: environment.Environment{Name: "test", Languages: map[string]environment.Language{
			"python": {Command: []string{"/usr/bin/python3", "-u"}, File: "main.py", Env: []string{"A=1", "PATH=/x", "EMPTY="}},
			"bash":   {Command: []string{"/bin/bash"}, File: "main.sh"},
		}},
		Language: "python", Code: []byte("pass"), Limits: job.DefaultLimits(),
	}
}

func TestValidate(t *testing.T) {
	files := func(n int) []File {
		list := make([]File, n)
		for i := range list {
			list[i].Path = fmt.Sprint("f", i)
		}
		return list
	}
	for name, tc := range map[string]struct {
		change func(*Attempt)
		part   string // of the error; empty for none
	}{
		"as it is":              {func(*Attempt) {}, ""},
		"unknown language":      {func(a *Attempt) { a.Language = "cobol" }, `unknown language "cobol": the environment test has bash, python`},
		"no language":           {func(a *Attempt) { a.Language = "" }, "unknown language"},
		"no code":               {func(a *Attempt) { a.Code = nil }, "code is empty"},
		"blank code":            {func(a *Attempt) { a.Code = []byte(" \n\t") }, "code is empty"},
		"most code":             {func(a *Attempt) { a.Code = make([]byte, MaxCode) }, ""},
		"too much code":         {func(a *Attempt) { a.Code = make([]byte, MaxCode+1) }, "the code has 10485761 bytes"},
		"command without code":  {func(a *Attempt) { a.Command, a.Code, a.Language = []string{"ls"}, nil, "" }, ""},
		"most input":            {func(a *Attempt) { a.Input = make(json.RawMessage, MaxInput) }, ""},
		"too much input":        {func(a *Attempt) { a.Input = make(json.RawMessage, MaxInput+1) }, "the input has"},
		"too much for command":  {func(a *Attempt) { a.Command, a.Input = []string{"ls"}, make(json.RawMessage, MaxInput+1) }, "the input has"},
		"most arguments":        {func(a *Attempt) { a.Args = make([]string, MaxArgs) }, ""},
		"too many arguments":    {func(a *Attempt) { a.Args = make([]string, MaxArgs+1) }, "65 arguments"},
		"with the command's":    {func(a *Attempt) { a.Command, a.Args = []string{"ls"}, make([]string, MaxArgs) }, "65 arguments"},
		"longest argument":      {func(a *Attempt) { a.Args = []string{strings.Repeat("x", MaxArg)} }, ""},
		"too long an argument":  {func(a *Attempt) { a.Args = []string{"", strings.Repeat("x", MaxArg+1)} }, "argument 2 has 4097 bytes"},
		"NUL in an argument":    {func(a *Attempt) { a.Args = []string{"a\x00b"} }, "argument 1 holds a NUL"},
		"NUL in the command":    {func(a *Attempt) { a.Command = []string{"a\x00b"} }, "argument 1 holds a NUL"},
		"variable":              {func(a *Attempt) { a.Env = map[string]string{"_a9": strings.Repeat("x", MaxValue)} }, ""},
		"variable: empty name":  {func(a *Attempt) { a.Env = map[string]string{"": ""} }, `variable ""`},
		"variable: =":           {func(a *Attempt) { a.Env = map[string]string{"A=B": ""} }, `variable "A=B"`},
		"variable: digit first": {func(a *Attempt) { a.Env = map[string]string{"1A": ""} }, `variable "1A"`},
		"variable: line feed":   {func(a *Attempt) { a.Env = map[string]string{"A\n": ""} }, `variable "A\n"`},
		"variable: long name":   {func(a *Attempt) { a.Env = map[string]string{strings.Repeat("A", 257): ""} }, "256 at most"},
		"variable: longest":     {func(a *Attempt) { a.Env = map[string]string{strings.Repeat("A", 256): ""} }, ""},
		"variable: long value":  {func(a *Attempt) { a.Env = map[string]string{"A": strings.Repeat("x", MaxValue+1)} }, "variable A"},
		"variable: NUL":         {func(a *Attempt) { a.Env = map[string]string{"A": "\x00"} }, "variable A"},
		"too many variables": {func(a *Attempt) {
			a.Env = map[string]string{}
			for i := range MaxEnv + 1 {
				a.Env[fmt.Sprint("V", i)] = ""
			}
		}, "1025 environment variables"},
		"most files":          {func(a *Attempt) { a.Files = files(MaxFiles) }, ""},
		"too many files":      {func(a *Attempt) { a.Files = files(MaxFiles + 1) }, "101 input files"},
		"the same file twice": {func(a *Attempt) { a.Files = append(files(3), File{Path: "f1"}) }, `"f1" is there already`},
		"the input's own":     {func(a *Attempt) { a.Files = []File{{Path: "data.json"}} }, "there already"},
		"below the input":     {func(a *Attempt) { a.Files = []File{{Path: "data.json/x"}} }, "cannot be below"},
		"below a file":        {func(a *Attempt) { a.Files = []File{{Path: "a/b/c"}, {Path: "a"}} }, `"a/b/c" cannot be below the file "a"`},
		"beside a file":       {func(a *Attempt) { a.Files = []File{{Path: "a/b"}, {Path: "a/c"}, {Path: "ab"}} }, ""},
		"a bad name":          {func(a *Attempt) { a.Files = []File{{Path: "../x"}} }, "a part of a path"},
		"negative size":       {func(a *Attempt) { a.Files = []File{{Path: "x", Size: -1}} }, "do not fit"},
		"too large":           {func(a *Attempt) { a.Files = []File{{Path: "x", Size: 513 << 20}} }, "do not fit"},
		"too large together":  {func(a *Attempt) { a.Files = []File{{Path: "x", Size: 300 << 20}, {Path: "y", Size: 300 << 20}} }, "do not fit"},
		"sizes that overflow": {func(a *Attempt) { a.Files = []File{{Path: "x", Size: 1 << 62}, {Path: "y", Size: 1 << 62}} }, "do not fit"},
		"a limit":             {func(a *Attempt) { a.Limits.PIDs = 0 }, "pids is 0"},
	} {
		a := valid()
		tc.change(&a)
		err := a.validate()
		if tc.part == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err == nil || job.KindOf(err) != job.KindInvalid || !strings.Contains(err.Error(), tc.part) {
			t.Errorf("%s: %v, want %q", name, err, tc.part)
		}
	}
	if res, err := (&Runner{}).Run(t.Context(), Attempt{}, Sinks{}); res != nil || job.KindOf(err) != job.KindInvalid {
		t.Errorf("an attempt at nothing: %v, %v", res, err)
	}
}

func TestCheckPath(t *testing.T) {
	long := strings.Repeat("x", 255)
	for p, ok := range map[string]bool{
		"a": true, "a/b": true, ".hidden": true, "...": true, "a b": true, "ü/☃": true, long: true, long + "/" + long: true,
		"": false, "/a": false, "a/": false, "a//b": false, ".": false, "..": false, "a/..": false, "a/./b": false, "../a": false,
		"a\x00": false, "a\nb": false, "\x7f": false, "\u009b": false, "\xff": false, long + "x": false,
		strings.Repeat("a/", 2048) + "a": false,
	} {
		if err := checkPath(p); (err == nil) != ok {
			t.Errorf("%q: %v", p, err)
		}
	}
}

// A path that passes stays below the directory it is put in.
func FuzzCheckPath(f *testing.F) {
	for _, seed := range []string{"a/b", "..", "a/../../b", "/", "a\x00b", "./a", "ü"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, p string) {
		err := checkPath(p)
		if err != nil {
			if job.KindOf(err) != job.KindInvalid || strings.ContainsFunc(err.Error(), unicode.IsControl) {
				t.Errorf("the error is %q", err)
			}
			return
		}
		if path.Join("/input", p) != "/input/"+p || !utf8.ValidString(p) || strings.ContainsFunc(p, unicode.IsControl) {
			t.Errorf("%q passes", p)
		}
	})
}
