package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/takovm/tako/internal/job"
)

func TestBindings(t *testing.T) {
	const net = "name: t\nnetwork: {mode: allow, allow: [a.example]}\n"
	many := strings.Repeat("{name: A, host: a.example},", maxBindings)
	for name, tt := range map[string]struct{ text, want string }{
		"one":              {net + "secrets: [{name: A, host: a.example}]", ""},
		"two places":       {net + "secrets: [{name: A, host: a.example}, {name: A, host: b.example, header: X-Key}]", ""},
		"public":           {"name: t\nnetwork_enabled: true\nsecrets: [{name: A, host: a.example:8443}]", ""},
		"no network":       {"name: t\nsecrets: [{name: A, host: a.example}]", "secrets: are of no use without a network"},
		"a variable":       {net + "environment: {A: x}\nsecrets: [{name: A, host: a.example}]", "have A, which is also a variable"},
		"twice":            {net + "secrets: [{name: A, host: a.example}, {name: A, host: A.example:443, header: Authorization}]", "item 2 is there twice"},
		"a value":          {net + "secrets: [{name: A, host: a.example, value: x}]", "secrets[0].value: unknown key"},
		"not a text":       {net + "secrets: [{name: 1, host: a.example}]", "secrets[0].name: must be text"},
		"no mapping":       {net + "secrets: [A]", "secrets[0]: must be a mapping of name, host and header, not text"},
		"a bad host":       {net + "secrets: [{name: A, host: '*.example'}]", "item 1: host must be one host name"},
		"not by HTTPS":     {net + "secrets: [{name: A, host: 'a.example:80'}]", "secrets are sent by HTTPS only"},
		"a bad header":     {net + "secrets: [{name: A, host: a.example, header: Host}]", "item 1: header must be"},
		"too many of them": {net + "secrets: [" + many + "{name: B, host: a.example}]", "at most 32"},
	} {
		_, err := DecodeJobType([]byte(tt.text))
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBindingsAreKept(t *testing.T) {
	full, err := DecodeJobType([]byte("name: t\nnetwork_enabled: true\nsecrets: [{name: A, host: a.example, header: X-Key}, {name: B, host: a.example}]"))
	if err != nil {
		t.Fatal(err)
	}
	want := []job.SecretBinding{{Name: "A", Host: "a.example", Header: "X-Key"}, {Name: "B", Host: "a.example"}}
	if diff := cmp.Diff(want, full.Secrets); diff != "" {
		t.Error(diff)
	}
	data, err := EncodeJobType(full)
	if err != nil {
		t.Fatal(err)
	}
	again, err := DecodeJobType(data)
	if diff := cmp.Diff(want, again.Secrets); diff != "" || err != nil {
		t.Errorf("%v, kept as (-want +got):\n%s", err, diff)
	}
}
