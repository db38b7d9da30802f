package cli

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// tako runs a command line in this process.
func takoMain(t *testing.T, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	in, err := os.CreateTemp(t.TempDir(), "stdin")
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	errs, err := os.CreateTemp(t.TempDir(), "stderr")
	if err != nil {
		t.Fatal(err)
	}
	defer errs.Close()
	if _, err := io.WriteString(in, stdin); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	code = Main(args, Streams{In: in, Out: &out, Err: errs})
	said, err := os.ReadFile(errs.Name())
	if err != nil {
		t.Fatal(err)
	}
	return code, out.String(), string(said)
}

func TestEnvCommands(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TAKO_VM_DATA_DIR", dir)
	junk := filepath.Join(dir, "junk.tar")
	if err := os.WriteFile(junk, []byte(strings.Repeat("junk", 500)), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		args  string
		stdin string
		code  int
		says  string
	}{
		"nothing is here":        {"env list", "", 0, "No images. Pull one"},
		"nothing as JSON":        {"env list --json", "", 0, "[]"},
		"nothing to collect":     {"env gc", "", 0, "freed 0 MiB"},
		"an image not here":      {"env show python:3.12", "", 1, "tako env pull docker.io/library/python:3.12"},
		"one to remove":          {"env rm python:3.12 node", "", 1, "docker.io/library/node:latest is not here"},
		"a wrong name":           {"env pull UPPER", "", 2, `"UPPER" names no image`},
		"a wrong name to run":    {"run --image ../x -- ls", "", 2, "--image"},
		"no name":                {"env pull", "", 2, "takes one image"},
		"two names":              {"env pull a b", "", 2, "takes one image"},
		"a registry that is off": {"env pull -q localhost:1/x:1", "", 1, "the registry localhost:1 cannot be reached"},
		"the same, to run":       {"run -q --image localhost:1/x:1 -- ls", "", 125, "the registry localhost:1 cannot be reached"},
		"a name alone":           {"env pull --username me x", "", 2, "go together"},
		"a password alone":       {"env pull --password-stdin x", "secret", 2, "go together"},
		"an empty password":      {"env pull --username me --password-stdin x", "\n", 2, "no password"},
		"an archive not there":   {"env load /nowhere.tar", "", 1, "/nowhere.tar"},
		"an archive that is not": {"env load " + junk, "", 1, "is not an archive of an image"},
		"an archive's new name":  {"env load --name UPPER " + junk, "", 2, "--name"},
		"nothing to lock":        {"env lock", "", 2, "needs packages"},
		"a kind that is none":    {"env lock --kind ruby a", "", 2, "neither python nor npm"},
		"a lock in two ways":     {"env lock --json -o x a", "", 2, "do not go together"},
		"an image to lock":       {"env lock --image ../x a", "", 2, "--image"},
		"no layers":              {"env list --all", "", 0, "No layers of packages"},
		"no layers as JSON":      {"env list --all --json", "", 0, `"layers": []`},
		"a layer not here":       {"env show 0123456789abcdef", "", 1, "there is no layer 0123456789abcdef"},
		"a layer to remove":      {"env rm 0123456789abcdef", "", 1, "there is no layer 0123456789abcdef"},
		"an age that is none":    {"env gc --older-than soon", "", 2, `"soon" is no age`},
		"no recipe":              {"env build", "", 2, "takes one recipe"},
		"two recipes":            {"env build -f a b", "", 2, "takes one recipe"},
		"a recipe not there":     {"env build /nowhere.yaml", "", 1, "/nowhere.yaml: no such file"},
		"a directory":            {"env build " + dir, "", 1, "is a directory"},
		"a recipe on stdin":      {"env build -", "name: a\ncolour: red\n", 1, `the recipe, line 2: unknown key "colour"`},
		"a recipe's other name":  {"env build -t UPPER -", "", 2, "--tag"},
		"a recipe without name":  {"env build -q -", "base: b\n", 1, "does not say what the image is called"},
		"nothing to copy from":   {"env copy x", "", 2, `--from "" is no data directory`},
		"no data directory":      {"env copy x --from " + junk, "", 2, "is no data directory with images"},
		"not in the other":       {"env copy x --from " + dir, "", 1, "docker.io/library/x:latest is not here"},
		"no such command":        {"env frob", "", 2, `no command "frob"`},
	} {
		code, out, said := takoMain(t, tc.stdin, strings.Fields(tc.args)...)
		if code != tc.code || !strings.Contains(out+said, tc.says) {
			t.Errorf("%s: exit code %d, %q and %q", name, code, out, said)
		}
		if strings.Count(said, "\n") > 2 || strings.Contains(said, "secret") {
			t.Errorf("%s: it says %q", name, said)
		}
		if tc.code == 0 && strings.Contains(tc.args, "--json") && !json.Valid([]byte(out)) {
			t.Errorf("%s: %q", name, out)
		}
	}
}
