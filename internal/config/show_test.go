package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

const hidden = "hunter2hunter2hunter2"

const secretFile = `
api_keys: [` + hidden + `]
webhook_secret: ` + hidden + `
database_url: postgresql://ann:` + hidden + `@db:5432/tako?password=` + hidden + `
npm_registry_url: https://` + hidden + `@npm/team/
dependency_proxy_url: http://ann:` + hidden + `@proxy:3128
job_types: [{name: a, environment: {TOKEN: ` + hidden + `}}]
`

func TestSecretsAreMasked(t *testing.T) {
	c, err := loadText(secretFile)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb, c)
		fmt.Fprintf(&out, verb, *c)
		fmt.Fprintf(&out, verb, c.APIKeys)
		fmt.Fprintf(&out, verb, c.DatabaseURL)
		fmt.Fprintf(&out, verb, c.JobTypes)
		fmt.Fprintf(&out, verb, &c.JobTypes[0])
	}
	out.WriteString(c.String())
	for _, v := range []any{c, *c, c.JobTypes, c.APIKeys, c.Entries()} {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(text)
	}
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "c", c, "d", *c, "url", c.DatabaseURL)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "c", c, "d", *c, "url", c.DatabaseURL)
	for _, bad := range []string{hidden, fmt.Sprintf("%x", hidden)} {
		if at := strings.Index(out.String(), bad); at >= 0 {
			t.Errorf("a secret is shown: ...%s", out.String()[max(0, at-80):at+10])
		}
	}
	for _, want := range []string{"postgresql://ann:***@db:5432/tako?***", "http://ann:***@proxy:3128", "https://***@npm/team/", `"TOKEN":"***"`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s is not shown", want)
		}
	}
	if c.APIKeys[0].Reveal() != hidden || c.JobTypes[0].Environment["TOKEN"] != hidden {
		t.Error("the secrets themselves were lost")
	}
}

func TestErrorsHideValues(t *testing.T) {
	for _, r := range configRows() {
		for _, v := range []string{hidden, "[" + hidden + "]", "{a: " + hidden + "}", "[" + hidden + "," + hidden + "]"} {
			if _, err := loadText(document(r.name, v)); err != nil && strings.Contains(err.Error(), hidden) {
				t.Errorf("%s: %v", r.name, err)
			}
		}
	}
	for _, text := range []string{
		"database_url: postgresql://ann:" + hidden + "@h:port/d", "database_url: " + hidden + "://h/d",
		"api_keys: !!int " + hidden, "api_keys: \"" + hidden + "\\q\"", "api_keys: [*" + hidden + "]", "api_keys: " + hidden + ": x",
		"job_types: [{name: a, environment: {TOKEN: [" + hidden + "]}}]", "job_types: [" + hidden + "]",
		hidden, "- " + hidden, "!<" + hidden + "> a: 1", "%" + hidden + "\n---\na: 1",
	} {
		if _, err := loadText(text); err == nil || strings.Contains(err.Error(), hidden) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestJSONHasTheShapeOfTheFile(t *testing.T) {
	text, err := json.Marshal(Default("/d"))
	if err != nil {
		t.Fatal(err)
	}
	var tree map[string]any
	if err := json.Unmarshal(text, &tree); err != nil {
		t.Fatal(err)
	}
	limits, _ := tree["container_limits"].(map[string]any)
	if limits["tmpfs_size"] != "100m" || tree["max_queue_size"] != 10000.0 {
		t.Errorf("JSON = %s", text)
	}
}

// A list of nothing is a list to whoever reads JSON.
func TestEmptyListsAreLists(t *testing.T) {
	c := Default("/d")
	c.JobTypes = []JobType{{Name: "a"}}
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"api_keys":[]`, `"allowed_hosts":[]`, `"trusted_proxies":[]`, `"egress_allow_cidrs":[]`, `"requirements":[]`, `"environment":{}`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%s is not in %s", want, text)
		}
	}
	if text, err := json.Marshal(Default("/d")); err != nil || !strings.Contains(string(text), `"job_types":[]`) {
		t.Errorf("%s, %v", text, err)
	}
}
