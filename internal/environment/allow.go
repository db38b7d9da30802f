package environment

import (
	"path"
	"slices"
	"strings"
)

// This file is the allow list: the one place that says what may be in the
// image. plan.add asks it for every entry; a look at the host alone never puts
// anything in.

// mountPoints are empty directories of every image.
var mountPoints = []string{
	"/proc", "/sys", "/dev", "/tmp", "/code", "/input", "/output", "/app", "/run", "/.tako", "/packages", "/home", "/home/sandbox",
}

// trees are where files may come from, each with all below it but denied.
// /lib and /lib64 are directories of their own on hosts without merged /usr.
var trees = []string{
	"/usr/lib", "/usr/lib64", "/usr/share", "/usr/local/lib", "/usr/local/lib64", "/usr/local/share", "/lib", "/lib64",
}

// binaries are the directories of which only named programs are taken.
var binaries = []string{"/usr/bin", "/usr/sbin", "/bin", "/sbin"}

// denied are parts of trees that nothing leads into.
var denied = []string{
	"/usr/share/doc", "/usr/share/man", "/usr/share/info", "/usr/share/locale", "/usr/share/lintian", "/usr/share/bug",
	"/usr/share/polkit-1", "/usr/lib/ssl/private", "/usr/lib/sudo", "/usr/lib/openssh", "/usr/lib/modules",
	"/usr/lib/firmware", "/usr/lib/systemd", "/usr/share/keyrings",
}

// copied are the files of /etc that are the host's own. They say nothing about
// its users; the rest of /etc is written in etc.go.
var copied = []string{"/etc/ssl/certs/ca-certificates.crt", "/etc/mime.types", "/etc/matplotlibrc"}

// written are the paths in /etc that the image has of its own making.
var written = []string{
	"/etc/passwd", "/etc/group", "/etc/hosts", "/etc/nsswitch.conf", "/etc/resolv.conf", "/etc/os-release",
	"/etc/localtime", "/etc/ld.so.cache",
}

// tools are the programs that shell scripts and subprocess(shell=True) expect:
// none needs a privilege, none reaches a network or administers a host.
// ldconfig is there because ctypes.util.find_library asks it for a list.
var tools = strings.Fields(`
	[ arch awk b2sum base32 base64 basename basenc bash bc bunzip2 bzcat bzip2 cat chgrp chmod chown cksum clear
	cmp comm cp csplit cut dash date dd df diff diff3 dir dircolors dirname du echo egrep env expand expr factor
	false fgrep file find flock fmt fold gawk getconf getopt grep groups gunzip gzip head hexdump hostid iconv
	id install join jq kill ldconfig line link ln locale look ls mawk md5sum mkdir mkfifo mknod mktemp more mv
	nawk nice nl nohup nproc numfmt od paste patch pathchk pgrep pinky pkill pr printenv printf ps ptx pwd
	readlink realpath rev rgrep rm rmdir run-parts sdiff sed seq setsid sh sha1sum sha224sum sha256sum sha384sum
	sha512sum shred shuf sleep sort split stat stdbuf stty sum sync tac tail tar taskset tee tempfile test
	timeout touch tput tr true truncate tsort tty uname uncompress unexpand uniq unlink unxz unzip unzstd vdir
	wc which which.debianutils whoami xargs xz xzcat yes zcat zip zstd`)

// allowed reports whether the image may have an entry of this kind at name.
// host says that the content, or the link's text, is the host's.
func allowed(name string, kind kind, host bool) bool {
	if path.Clean(name) != name || !path.IsAbs(name) || len(name) >= 4096 {
		return false
	}
	switch {
	case slices.Contains(mountPoints, name):
		return kind == directory
	case name == nodeLink:
		return kind == link && !host
	case within(name, "/etc"):
		return allowedEtc(name, kind, host)
	case kind == directory:
		return false // others are made as parents of what is in them
	case kind == link && slices.Contains([]string{"/bin", "/sbin", "/lib", "/lib64", "/lib32", "/libx32"}, name):
		return true // merged /usr
	}
	for _, dir := range denied {
		if within(name, dir) {
			return false
		}
	}
	for _, dir := range binaries {
		if path.Dir(name) == dir {
			return program(path.Base(name))
		}
	}
	return !unwanted(name) && slices.ContainsFunc(trees, func(tree string) bool { return within(name, tree) })
}

func allowedEtc(name string, kind kind, host bool) bool {
	switch {
	case path.Dir(name) == "/etc/alternatives":
		return kind == link
	case slices.Contains(copied, name):
		return kind == file && host
	case slices.Contains(written, name):
		return !host
	}
	return false
}

// program reports whether a file of this name in a bin directory is packed.
func program(base string) bool {
	switch base {
	case "python", "python3", "node", "nodejs":
		return true
	}
	_, isPython := pythonMinor(base)
	return isPython || slices.Contains(tools, base)
}

// unwanted are files in trees that are of no use inside, that say where on the
// host a package came from (PEP 610's direct_url.json may even hold a password
// of a repository), or that are the host's own hooks into every Python.
func unwanted(name string) bool {
	base := path.Base(name)
	switch base {
	case "direct_url.json", "sitecustomize.py", "usercustomize.py":
		return true
	}
	return strings.HasSuffix(base, ".a") || strings.HasSuffix(base, ".egg-link")
}

// skipped reports whether the directory name is left out of a walk: tests,
// which double the size of numpy and pandas, and interactive parts.
func skipped(name string) bool {
	parent, base := path.Split(name)
	parent = path.Clean(parent)
	if _, isStdlib := pythonMinor(path.Base(parent)); isStdlib {
		return slices.Contains([]string{"test", "idlelib", "turtledemo"}, base)
	}
	if path.Dir(name) == "/usr/share/zoneinfo" {
		return base == "posix" || base == "right" // the same zones again
	}
	return base == "tests" && strings.Contains(name, "/python3")
}

// walkable reports whether a link may lead a walk into dir. The roots of trees
// and of the libraries would pack the host.
func walkable(dir string) bool {
	for _, tree := range trees {
		if within(dir, tree) && dir != tree {
			return !slices.Contains(standardLibraries(), dir) && !slices.Contains(denied, dir)
		}
	}
	return false
}

func within(name, dir string) bool {
	return name == dir || strings.HasPrefix(name, dir+"/")
}
