package environment

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

const secret = "correct horse battery staple"

// A host full of secrets, and every way we could think of by which one could
// get into an image.
func secretive() map[string]string {
	site := "/usr/lib/python3/dist-packages/"
	return with(debian(), map[string]string{
		"/root/secret":                       secret,
		"/home/x/project/__init__.py":        secret,
		"/opt/site/opted.py":                 secret,
		"/srv/data":                          secret,
		"/var/lib/db":                        secret,
		"/etc/shadow":                        secret,
		"/etc/passwd":                        secret,
		"/etc/hosts":                         secret,
		"/etc/machine-id":                    secret,
		"/etc/resolv.conf":                   secret,
		"/etc/ssl/private/key.pem":           secret,
		"/usr/lib/ssl/private":               "-> /etc/ssl/private",
		"/etc/python3.11/site.py":            secret,
		"/usr/bin/ssh":                       "x: " + secret,
		"/usr/bin/curl":                      "x: " + secret,
		"/usr/bin/chmod":                     "x: setuid " + secret,
		"/usr/bin/env":                       "x: capable " + secret,
		"/usr/share/doc/secret":              secret,
		site + "private.py":                  secret,
		site + "link.py":                     "-> /root/secret",
		site + "up.py":                       "-> ../../../../root/secret",
		site + "chain.py":                    "-> link.py",
		site + "alias.py":                    "-> /etc/alternatives/alias",
		"/etc/alternatives/alias":            "-> /home/x/project/__init__.py",
		site + "shadow.py":                   "-> /etc/shadow",
		site + "hosts.py":                    "-> /etc/hosts",
		site + "loop.py":                     "-> loop.py",
		site + "tool":                        "-> /usr/bin/ssh",
		site + "whole":                       "-> /",
		site + "libs":                        "-> /usr/lib",
		site + "bins":                        "-> /usr/bin",
		site + "docs":                        "-> /usr/share/doc",
		site + "project":                     "-> /home/x/project",
		site + "editable.pth":                "/home/x/project " + secret + "\n",
		site + "relative.pth":                "../../../../home/x/" + secret + "\n",
		site + "p.dist-info/direct_url.json": secret,
		site + "p.egg-link":                  secret,
		"/usr/local/lib/python3.12":          "-> /opt/site",
		"/usr/share/zoneinfo/localtime":      "-> /etc/localtime",
		"/etc/localtime":                     "-> /home/x/tz",
		"/home/x/tz":                         secret,
		"/etc/mime.types":                    "-> /root/secret",
		"/etc/ld.so.conf":                    "/opt/site\n/root\ninclude /root/*\n",
		"/opt/site/libz.so.1":                secret,
		"/lib64":                             "-> /opt/site",
		"/usr/lib/closed/closed.py":          secret,
		site + "closed.py":                   "-> /usr/lib/closed/closed.py",
		site + "sitecustomize.py":            secret,
	})
}

func TestNothingOfTheHostLeaks(t *testing.T) {
	h := newHost(t, secretive())
	at := func(name string) string { return filepath.Join(h.Root, name) }
	must(t, os.Chmod(at("/usr/bin/chmod"), 0o755|os.ModeSetuid))
	must(t, os.Chmod(at("/usr/lib/python3/dist-packages/private.py"), 0o640))
	must(t, os.Remove(at("/usr/local/lib/python3.11/dist-packages/mine.py")))
	must(t, os.Remove(at("/usr/local/lib/python3.11/dist-packages")))
	must(t, os.Symlink("/opt/site", at("/usr/local/lib/python3.11/dist-packages")))
	must(t, os.Link(at("/etc/shadow"), at("/usr/lib/python3/dist-packages/hard.py")))
	must(t, os.Chmod(at("/etc/shadow"), 0o640))
	must(t, os.Chmod(at("/usr/lib/closed"), 0o700))
	must(t, unix.Mkfifo(at("/usr/lib/python3/dist-packages/pipe.py"), 0o644))
	capable := fileCapability(t, at("/usr/bin/env"))

	env, told := notes(t, h)
	image, err := os.ReadFile(env.Image)
	must(t, err)
	if capable && strings.Contains(string(image), secret) {
		t.Error("the secret is in the image")
	}
	all := readImage(t, env.Image)
	for name, got := range all {
		if strings.Contains(got.text, secret) && (capable || name != "/usr/bin/env") {
			t.Errorf("%s holds the secret", name)
		}
		for _, place := range []string{"/root", "/home/x", "/opt", "/srv", "/var"} {
			if within(name, place) || strings.Contains(got.text, place+"/") {
				t.Errorf("%s -> %q tells of %s", name, got.text, place)
			}
		}
	}
	for _, name := range []string{"/etc/shadow", "/etc/ssl/private", "/etc/machine-id", "/lib64", "/usr/bin/ssh", "/usr/bin/chmod"} {
		if _, ok := all[name]; ok {
			t.Errorf("%s is in the image", name)
		}
	}
	if all["/etc/hosts"].text != hosts || all["/usr/lib/python3/dist-packages/hosts.py"].text != "/etc/hosts" {
		t.Error("a link to a path that is written here should reach what is written")
	}
	for _, want := range []string{"/usr/bin/chmod: it is setuid", "private.py: not everybody may read it", "editable.pth: it names"} {
		if !strings.Contains(told, want) {
			t.Errorf("no note %q in:\n%s", want, told)
		}
	}
}

// fileCapability gives name cap_net_raw, if this user and disk can.
func fileCapability(t *testing.T, name string) bool {
	// struct vfs_cap_data, revision 2, effective.
	attr := []byte{1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	if err := unix.Setxattr(name, "security.capability", attr, 0); err != nil {
		t.Logf("no file capabilities here: %v", err)
		return false
	}
	return true
}

func TestUnreadableIsPartOfTheDigest(t *testing.T) {
	name := "/usr/lib/python3/dist-packages/hidden.py"
	h := newHost(t, with(debian(), map[string]string{name: "x"}))
	must(t, os.Chmod(filepath.Join(h.Root, name), 0o600))
	if one, two := ensure(t, h), ensure(t, newHost(t, debian())); one.Digest == two.Digest {
		t.Error("a file that was skipped left no trace in the digest")
	}
}

func TestAllowed(t *testing.T) {
	cases := []struct {
		name string
		kind kind
		host bool
		want bool
	}{
		{"/usr/lib/python3/dist-packages/a.py", file, true, true},
		{"/lib/x86_64-linux-gnu/libc.so.6", file, true, true},
		{"/usr/bin/python3.11", file, true, true},
		{"/usr/bin/sed", file, true, true},
		{"/etc/mime.types", file, true, true},
		{"/etc/passwd", file, false, true},
		{"/etc/alternatives/awk", link, true, true},
		{"/tmp", directory, false, true},
		{"/lib64", link, true, true},

		{"/usr/bin/sudo", file, true, false},
		{"/usr/bin/python3.11-config", file, true, false},
		{"/usr/bin/sub/sed", file, true, false},
		{"/usr/local/bin/sed", file, true, false},
		{"/usr/libexec/x", file, true, false},
		{"/etc/passwd", file, true, false},
		{"/etc/shadow", file, false, false},
		{"/etc/alternatives/awk", file, true, false},
		{"/etc/ssl/private/key", file, true, false},
		{"/usr/lib/../../root/x", file, true, false},
		{"/usr/lib//x", file, true, false},
		{"usr/lib/x", file, true, false},
		{"/usr/libx", file, true, false},
		{"/tmp", file, false, false},
		{"/tmp/x", file, false, false},
		{"/home/sandbox/x", file, true, false},
		{"/root", directory, false, false},
		{"/root", link, true, false},
		{"/", directory, false, false},
		{"/usr/lib/x.a", file, true, false},
	}
	for _, c := range cases {
		if got := allowed(c.name, c.kind, c.host); got != c.want {
			t.Errorf("allowed(%q, %c, %v) = %v", c.name, c.kind, c.host, got)
		}
	}
	for _, bad := range []string{"sudo", "su", "mount", "umount", "ssh", "scp", "curl", "wget", "nc", "passwd", "ip", "gdb", "strace"} {
		if program(bad) {
			t.Errorf("%s is among the tools", bad)
		}
	}
}
