package script

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A server on a Unix socket is its user's alone: the command line and curl find
// it by its path, and it is gone with the server.
func TestServerOnASocket(t *testing.T) {
	b := newBench(t)
	b.pack(t)
	path := filepath.Join(b.work, "tako.sock")
	s := serve(t, b, "TAKO_VM_SERVER_SOCKET="+path)
	if s.url != "unix://"+path {
		t.Fatalf("it listens on %s", s.url)
	}
	for command, want := range map[string]string{
		"TAKO_URL=" + s.url + " tako status":   "Status: healthy",
		"tako jobs list --json --url " + s.url: `"items":`,
		`curl -s --unix-socket ` + path + ` http://localhost/execute --json '{"code": "print(6 * 7)"}'`: `"stdout":"42\n"`,
	} {
		if out, code := b.shell(t, command); code != 0 || !strings.Contains(out, want) {
			t.Errorf("%s: %d, %s", command, code, out)
		}
	}
	if out, code := b.shell(t, "tako server --socket "+path); code != 1 || !strings.Contains(out, "another server listens on the socket") {
		t.Errorf("a second one: %d, %s", code, out)
	}
	s.stop()
	if _, err := os.Lstat(path); err == nil {
		t.Error("the socket is still there")
	}
	if out, code := b.shell(t, "tako status --url "+s.url); code != 69 || !strings.Contains(out, "cannot be reached") {
		t.Errorf("without a server: %d, %s", code, out)
	}
}
