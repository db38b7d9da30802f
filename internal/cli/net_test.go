package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/takovm/tako/internal/egress"
)

const netConfig = `job_types:
  - name: scraper
    network_enabled: true
egress_allow_cidrs: [10.1.0.0/16]
`

func TestNetExplain(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "tako.yaml")
	if err := os.WriteFile(file, []byte(netConfig), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		args string
		code int
		want string // of standard output, or of standard error
	}{
		"no network":                 {"https://a.example", exitFailed, "no  mode     the network mode is none"},
		"an address":                 {"--job-type scraper 8.8.8.8", exitDone, "8.8.8.8 may be dialled"},
		"a private address":          {"--job-type scraper@latest http://10.1.0.1/", exitFailed, "private network (10.0.0.0/8)"},
		"one of two":                 {"--job-type scraper 8.8.8.8 169.254.169.254", exitFailed, "169.254.169.254: refused"},
		"a pattern":                  {"--allow-host 8.8.8.0/24:53 8.8.8.8:53", exitDone, "port 53 is open by 8.8.8.0/24:53"},
		"a pattern of the operator":  {"--allow-host 10.1.0.0/16 10.1.2.3", exitDone, "10.1.2.3 may be dialled"},
		"another port":               {"--allow-host 8.8.8.0/24:53 8.8.8.8", exitFailed, "its port is not open"},
		"a pattern within a type":    {"--job-type scraper --allow-host a.example b.example", exitFailed, "not one of the names"},
		"a private one within it":    {"--job-type scraper --allow-host 10.1.0.0/16 10.1.2.3", exitUsage, "may not be dialled"},
		"a pattern beyond a type":    {"--job-type default --allow-host a.example a.example", exitUsage, "the job type has no network"},
		"a bad pattern":              {"--allow-host * a.example", exitUsage, `network pattern "*": it covers every name; use the mode public`},
		"a type that is not there":   {"--job-type nope a.example", exitFailed, `there is no job type "nope"`},
		"a target that is none":      {"--job-type scraper :0", exitUsage, "nothing that could be dialled"},
		"no target":                  {"", exitUsage, "needs a target"},
		"nothing of the host's name": {"--job-type scraper localhost", exitFailed, "one label"},
	} {
		t.Run(name, func(t *testing.T) {
			errs, err := os.Create(filepath.Join(t.TempDir(), "err"))
			if err != nil {
				t.Fatal(err)
			}
			defer errs.Close()
			var out bytes.Buffer
			code := Main(append([]string{"--config", file, "net", "explain"}, strings.Fields(tc.args)...), Streams{Out: &out, Err: errs})
			said, err := os.ReadFile(errs.Name())
			if err != nil {
				t.Fatal(err)
			}
			if code != tc.code || !strings.Contains(out.String()+string(said), tc.want) {
				t.Errorf("code %d\n%s%s", code, &out, said)
			}
		})
	}
}

func TestNetExplainJSON(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tako.yaml")
	if err := os.WriteFile(file, []byte(netConfig), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	code := Main([]string{"--config", file, "net", "explain", "--json", "--job-type", "scraper", "127.0.0.1:80"}, Streams{Out: &out, Err: os.Stderr})
	var verdicts []egress.Verdict
	if err := json.Unmarshal(out.Bytes(), &verdicts); err != nil || code != exitFailed || len(verdicts) != 1 {
		t.Fatalf("code %d, %v: %s", code, err, &out)
	}
	if v := verdicts[0]; v.Allowed || v.Host != "127.0.0.1" || v.Port != 80 || !strings.Contains(v.Reason, "loopback") || len(v.Steps) < 3 {
		t.Errorf("%+v", v)
	}
}
