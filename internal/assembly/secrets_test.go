package assembly

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"crypto/x509"

	"github.com/takovm/tako/internal/attempt"
	"github.com/takovm/tako/internal/egress"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/runner"
)

const secretValue = "sk-live-0123456789abcdef"

// echo is a server of example.com that says what it was sent. It remembers the
// last one's Authorization.
type echo struct {
	*httptest.Server
	mu   sync.Mutex
	seen string
}

func newEcho(t *testing.T) *echo {
	t.Helper()
	e := &echo{}
	e.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.seen = r.Header.Get("Authorization")
		w.Header().Set("X-Echo", e.seen)
		_ = json.NewEncoder(w).Encode(r.Header) // to whoever is there
	}))
	t.Cleanup(e.Close)
	return e
}

func (e *echo) last() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	defer func() { e.seen = "nothing" }()
	return e.seen
}

// protect has an attempt be one of a type that has API_KEY for example.com.
func (e *echo) protect(t *testing.T, a *runner.Attempt) {
	t.Helper()
	const public = "93.184.215.14"
	world := &internet{names: map[string]string{"example.com": public, "other.example": public}, servers: map[string]string{public + ":443": e.Listener.Addr().String()}}
	authority, err := egress.NewAuthority()
	must(t, err)
	roots := x509.NewCertPool()
	roots.AddCert(e.Certificate())
	typ := job.Type{Name: "t", Secrets: []job.SecretBinding{{Name: "API_KEY", Host: "example.com"}}}
	secrets := []egress.Secret{{SecretBinding: typ.Secrets[0], Value: secretValue}}
	a.Network, err = egress.Compile(job.Network{Mode: job.NetworkPublic}, egress.Options{
		Resolver: world, Dial: world.dial, Own: func() ([]netip.Addr, error) { return nil, nil }, Authority: authority, Roots: roots, Secrets: secrets,
	})
	must(t, err)
	attempt.Protect(a, typ, secrets, func() *runner.Trust { return Trusted(authority, nil) })
}

// A program uses a secret that it never has, and can show none of what it may
// have been told of it: not in output, files, their names, or errors.
func TestSecrets(t *testing.T) {
	eachSupply(t, func(t *testing.T, r *rig) {
		e := newEcho(t)
		a := r.python(`
import json, os, socket, sys, time, urllib.request
key = os.environ["API_KEY"]
print(key)
def ask(header):
    r = urllib.request.Request("https://example.com/", headers=header)
    with urllib.request.urlopen(r, timeout=10) as a: return a.headers["X-Echo"], a.read().decode()
echo, body = ask({"Authorization": "Bearer " + key})
print(echo, body)
# The host cannot know that this is the value; were it told, it would show.
` + `value = "` + secretValue[:7] + `" + "` + secretValue[7:] + `"
import base64, urllib.parse
print(value, json.dumps(value), base64.b64encode(b"me:" + value.encode()).decode(), file=sys.stderr)
for c in value: sys.stdout.write(c); sys.stdout.flush()
print()
open("/output/" + value + ".txt", "w").write("x" * 40000 + value)
json.dump({"key": value}, open("/output/result.json", "w"))
try: socket.create_connection((value.replace("_", "-") + ".example", 443))
except OSError: pass
raise ValueError("it was " + value)
`)
		e.protect(t, &a)
		files := map[string][]byte{}
		var live bytes.Buffer
		res := r.runInto(t, a, runner.Sinks{Keep: true, Stdout: &live, Stderr: &live, Artifact: func(name string, _ int64, c io.Reader) (err error) {
			files[name], err = io.ReadAll(c)
			return err
		}})
		if got := e.last(); got != "Bearer "+secretValue {
			t.Errorf("the server got %q", got)
		}
		stars := strings.Repeat("*", len(secretValue))
		want := "tako-secret.API_KEY.placeholder\nBearer " + stars
		if res.Status != job.Failed || !strings.HasPrefix(string(res.Stdout.Kept), want) || !strings.HasSuffix(string(res.Stdout.Kept), "\n"+stars+"\n") {
			t.Errorf("%s: %s%s; %+v", res.Status, res.Stdout.Kept, res.Stderr.Kept, res.Network)
		}
		if string(res.Output) != `{"key": "`+stars+`"}` || !strings.Contains(res.Error.Message, "it was "+stars) || len(files[stars+".txt"]) != 40000+len(stars) {
			t.Errorf("output %s, error %+v, files %d", res.Output, res.Error, len(files))
		}
		all := fmt.Sprintf("%s%s%s%+v%q", res.Stdout.Kept, res.Stderr.Kept, live.Bytes(), res.Error, files)
		record, err := json.Marshal(struct{ A, B, C, D any }{res.Artifacts, res.Network, res.Skipped, res.Output})
		must(t, err)
		for _, form := range []string{secretValue, "c2stbGl2ZS0wMTIz", "OnNrLWxpdmUtMDEy"} {
			if strings.Contains(all+string(record), form) {
				t.Errorf("it shows %q:\n%s\n%s", form, all, record)
			}
		}
	})
}

// Another host, an address, and a program that trusts nobody do not get the
// value.
func TestSecretsElsewhere(t *testing.T) {
	r := newRig(t)
	e := newEcho(t)
	a := r.python(`
import http.client, os, ssl
key = os.environ["API_KEY"]
def ask(host, name, context):
    try:
        c = http.client.HTTPSConnection(host, timeout=10, context=context)
        c.request("GET", "/", headers={"Authorization": key, "Host": name})
        return c.getresponse().status
    except OSError as e:
        return type(e).__name__
own = os.environ.pop("SSL_CERT_FILE")
print(ask("example.com", "example.com", ssl.create_default_context()))
os.environ["SSL_CERT_FILE"] = own
blind = ssl._create_unverified_context()
print(ask("other.example", "example.com", blind), ask("93.184.215.14", "example.com", blind), ask("example.com", "other.example", None))
print(ask("example.com", "example.com", ssl.create_default_context(cadata=open(os.environ["NODE_EXTRA_CA_CERTS"]).read())))
`)
	e.protect(t, &a)
	res := r.run(t, a)
	// The server has one certificate, and serves whoever does not look at it.
	if got := string(res.Stdout.Kept); got != "SSLCertVerificationError\n200 200 421\n200\n" {
		t.Errorf("%s%s; %+v", got, res.Stderr.Kept, res.Network)
	}
	if !denied(res.Network, "other.example", "but example.com was dialled") || !denied(res.Network, "example.com", "does not accept the certificate") {
		t.Errorf("%+v", res.Network)
	}
}

// Node trusts the authority, too.
func TestSecretsInNode(t *testing.T) {
	r := newRig(t)
	if _, ok := r.Current().Languages["node"]; !ok {
		t.Skip("this machine has no Node")
	}
	e := newEcho(t)
	a := r.python("")
	a.Language, a.Code = "node", []byte(`fetch("https://example.com/", {headers: {authorization: process.env.API_KEY}}).then(async r => console.log(r.headers.get("x-echo"), r.status), e => console.log(e.cause))`)
	a.Limits.Memory = 1 << 30
	e.protect(t, &a)
	res := r.run(t, a)
	if got := string(res.Stdout.Kept); got != strings.Repeat("*", len(secretValue))+" 200\n" || e.last() != secretValue {
		t.Errorf("%s%s; %+v", got, res.Stderr.Kept, res.Network)
	}
}
