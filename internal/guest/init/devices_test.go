package main

import "testing"

// Which file system init takes /dev to be decides whether it removes anything.
func TestMountType(t *testing.T) {
	const (
		root    = "16 15 0:18 / / ro - erofs none ro,ifd=3\n"
		gvisor  = "19 16 0:20 / /dev rw - dev none rw,mode=0755\n"
		machine = "21 1 0:5 / /dev rw,nosuid shared:2 - devtmpfs devtmpfs rw,size=4096k\n"
		private = "77 60 0:50 / /dev rw,nosuid shared:9 master:3 - tmpfs tmpfs rw,mode=755\n"
		below   = "26 19 0:27 / /dev/pts rw - devpts none rw\n"
		strange = "77 60 0:50 /dev /elsewhere rw - tmpfs /dev rw\n"
	)
	for name, c := range map[string]struct{ table, want string }{
		"gVisor":                {root + gvisor + below, "dev"},
		"private tmpfs":         {root + private + below, "tmpfs"},
		"the machine's":         {root + machine + below, "devtmpfs"},
		"private over machine":  {machine + private, "tmpfs"},
		"machine over private":  {private + machine, "devtmpfs"},
		"no line end":           {root + "19 16 0:20 / /dev rw - dev none rw", "dev"},
		"not a mount":           {root + below + strange, ""},
		"empty":                 {"", ""},
		"cut off":               {"19 16 0:20 / /dev rw", ""},
		"dash in the wrong way": {"19 - 0:20 / /dev - tmpfs x\n", ""},
		"nothing but spaces":    {"          \n", ""},
	} {
		if got := mountType(c.table, "/dev"); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestKeptDevices(t *testing.T) {
	for name, want := range map[string]bool{"null": true, "pts": true, "stderr": true, "fuse": false, "net": false, "kmsg": false, "nullx": false} {
		if keptDevice(name) != want {
			t.Errorf("keptDevice(%q) = %v", name, !want)
		}
	}
}
