package environment

import (
	"path"
	"runtime"
	"slices"
	"strings"
)

// The users of every image. The sandbox user's id is part of the contract
// with jobs: 1000.
const (
	passwd = "root:x:0:0:root:/:/usr/sbin/nologin\n" +
		"sandbox:x:1000:1000:sandbox:/home/sandbox:/bin/sh\n" +
		"nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
	group = "root:x:0:\nsandbox:x:1000:\nnogroup:x:65534:\n"
	hosts = "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"
	// The resolver of a sandbox that has a network (egress.GatewayIP). One that
	// has none has no way to it, which programs are told at once.
	resolver = "nameserver 198.18.0.1\n"
	nsswitch = "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nnetworks: files\n" +
		"protocols: files\nservices: files\nethers: files\nrpc: files\n"
)

// writeEtc adds the parts of /etc that are not the host's. There is no
// hostname, no machine-id and no shadow.
func (p *plan) writeEtc(libraryDirs []string) {
	for name, content := range map[string]string{
		"/etc/passwd": passwd, "/etc/group": group, "/etc/hosts": hosts, "/etc/nsswitch.conf": nsswitch, "/etc/resolv.conf": resolver,
	} {
		p.write(name, []byte(content))
	}
	p.add(&entry{path: "/etc/localtime", kind: link, target: "/usr/share/zoneinfo/Etc/UTC"}, false)
	p.add(&entry{path: "/etc/os-release", kind: link, target: "../usr/lib/os-release"}, false)
	if cache := p.loaderCache(libraryDirs); cache != nil {
		p.write("/etc/ld.so.cache", cache)
	}
}

func (p *plan) write(name string, content []byte) {
	p.add(&entry{path: name, kind: file, mode: 0o644, size: int64(len(content)), data: content}, false)
}

// loaderCache makes the image's own ld.so.cache. The host's would name every
// library that is installed there, and none in it that is packed from
// elsewhere. Nil where the format's flags are not known here.
func (p *plan) loaderCache(dirs []string) []byte {
	if runtime.GOARCH != "amd64" {
		return nil
	}
	var libraries []library
	seen := map[string]bool{}
	for _, dir := range dirs {
		real := dir
		if e := resolveIn(p.entries, dir); e != nil {
			real = e.path
		}
		var names []string
		for name, e := range p.entries {
			base := path.Base(name)
			if path.Dir(name) == real && e.kind != directory && strings.Contains(base, ".so") && !seen[base] {
				names = append(names, base)
			}
		}
		slices.Sort(names)
		for _, base := range names {
			seen[base] = true
			libraries = append(libraries, library{name: base, path: path.Join(dir, base)})
		}
	}
	return encodeLoaderCache(libraries)
}
