package environment

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// elfFile makes the least ELF file that says what it needs.
func elfFile(machine elf.Machine, loader, runpath string, needed ...string) string {
	strtab := "\x00"
	text := func(s string) uint64 {
		at := len(strtab)
		strtab += s + "\x00"
		return uint64(at)
	}
	var dynamic []elf.Dyn64
	for _, name := range needed {
		dynamic = append(dynamic, elf.Dyn64{Tag: int64(elf.DT_NEEDED), Val: text(name)})
	}
	if runpath != "" {
		dynamic = append(dynamic, elf.Dyn64{Tag: int64(elf.DT_RUNPATH), Val: text(runpath)})
	}
	dynamic = append(dynamic, elf.Dyn64{Tag: int64(elf.DT_NULL)})
	interp := loader + "\x00"

	const header, section, prog = 64, 64, 56
	interpAt := uint64(header + prog)
	strAt := interpAt + uint64(len(interp))
	dynAt := strAt + uint64(len(strtab))
	sectionsAt := dynAt + uint64(16*len(dynamic))
	h := elf.Header64{
		Type: uint16(elf.ET_DYN), Machine: uint16(machine), Version: 1, Phoff: header, Shoff: sectionsAt,
		Ehsize: header, Phentsize: prog, Shentsize: section, Shnum: 3,
	}
	copy(h.Ident[:], "\x7fELF\x02\x01\x01")
	if loader != "" {
		h.Phnum = 1
	}
	sections := []elf.Section64{{},
		{Type: uint32(elf.SHT_STRTAB), Off: strAt, Size: uint64(len(strtab))},
		{Type: uint32(elf.SHT_DYNAMIC), Off: dynAt, Size: uint64(16 * len(dynamic)), Link: 1, Entsize: 16},
	}
	var out bytes.Buffer
	for _, part := range []any{
		h, elf.Prog64{Type: uint32(elf.PT_INTERP), Off: interpAt, Filesz: uint64(len(interp))},
		[]byte(interp), []byte(strtab), dynamic, sections,
	} {
		if err := binary.Write(&out, binary.LittleEndian, part); err != nil {
			panic(err)
		}
	}
	return out.String()
}

func TestLibraries(t *testing.T) {
	lib := func(runpath string, needed ...string) string { return elfFile(elf.EM_X86_64, "", runpath, needed...) }
	m := "/usr/lib/x86_64-linux-gnu/"
	site := "/usr/lib/python3/dist-packages/numpy/"
	h := newHost(t, with(debian(), map[string]string{
		"/usr/bin/python3.11":             elfFile(elf.EM_X86_64, "/lib64/ld-linux-x86-64.so.2", "", "libz.so.1"),
		"/usr/lib64/ld-linux-x86-64.so.2": "-> /lib/x86_64-linux-gnu/ld.so",
		m + "ld.so":                       "x: loader",
		m + "libz.so.1":                   "-> libz.so.1.2",
		m + "libz.so.1.2":                 lib("", "libc.so.6", "libmissing.so.1"),
		m + "libc.so.6":                   lib(""),
		m + "libunused.so.1":              lib(""),
		site + "core.cpython-311-x86_64-linux-gnu.so":             lib("$ORIGIN/../numpy.libs", "libblas.so.3", "libbundled.so", "libcustom.so", "libother.so.1"),
		"/usr/lib/python3/dist-packages/numpy.libs/libbundled.so": lib("", "libsecond.so.2"),
		m + "libsecond.so.2": lib(""),
		m + "libblas.so.3":   "-> /etc/alternatives/libblas.so.3-x86_64-linux-gnu",
		"/etc/alternatives/libblas.so.3-x86_64-linux-gnu": "-> " + m + "openblas/libblas.so.3",
		m + "openblas/libblas.so.3":                       lib("$ORIGIN", "libopenblas.so.0"),
		m + "openblas/libopenblas.so.0":                   lib(""),
		m + "libopenblas.so.0":                            "-> openblas/libopenblas.so.0",
		"/etc/ld.so.conf":                                 "include /etc/ld.so.conf.d/*.conf # all\n",
		"/etc/ld.so.conf.d/a.conf":                        "# comment\n/usr/local/lib/custom\n/opt/lib\n",
		"/usr/local/lib/custom/libcustom.so":              lib("", "libopt.so"),
		"/opt/lib/libopt.so":                              lib(""),
		"/usr/local/lib/custom/libother.so.1":             elfFile(elf.EM_AARCH64, "", ""),
		m + "libother.so.1":                               lib(""),
	}))
	all := readImage(t, ensure(t, h).Image)
	for _, name := range []string{
		"/usr/lib64/ld-linux-x86-64.so.2", m + "ld.so", m + "libz.so.1", m + "libz.so.1.2", m + "libc.so.6", m + "libblas.so.3",
		"/etc/alternatives/libblas.so.3-x86_64-linux-gnu", m + "openblas/libblas.so.3", m + "openblas/libopenblas.so.0",
		m + "libopenblas.so.0", m + "libsecond.so.2", "/usr/local/lib/custom/libcustom.so", m + "libother.so.1",
	} {
		if _, ok := all[name]; !ok {
			t.Errorf("%s is not packed", name)
		}
	}
	for _, name := range []string{m + "libunused.so.1", "/opt", "/opt/lib/libopt.so", "/usr/local/lib/custom/libother.so.1"} {
		if _, ok := all[name]; ok {
			t.Errorf("%s is packed", name)
		}
	}
	loaderCacheNames(t, all["/etc/ld.so.cache"].text, "/usr/local/lib/custom/libcustom.so", "/lib/x86_64-linux-gnu/libc.so.6")
}

// loaderCacheNames asks ldconfig what it reads in a cache of ours.
func loaderCacheNames(t *testing.T, cache string, want ...string) {
	name := filepath.Join(t.TempDir(), "ld.so.cache")
	must(t, os.WriteFile(name, []byte(cache), 0o600))
	out, err := exec.CommandContext(t.Context(), "/sbin/ldconfig", "-p", "-C", name).CombinedOutput()
	if err != nil {
		t.Skipf("no ldconfig to ask: %v", err)
	}
	for _, lib := range want {
		if !strings.Contains(string(out), "=> "+lib+"\n") {
			t.Errorf("ldconfig does not find %s in:\n%s", lib, out)
		}
	}
}

func TestNewLibraryIsNoticed(t *testing.T) {
	h := newHost(t, with(debian(), map[string]string{"/usr/bin/python3.11": elfFile(elf.EM_X86_64, "", "", "libz.so.1")}))
	before := ensure(t, h)
	put(t, h.Root, "/usr/lib/x86_64-linux-gnu/libz.so.1", elfFile(elf.EM_X86_64, "", ""))
	if after := ensure(t, h); after.Digest == before.Digest {
		t.Error("a library that was missing before is not packed")
	}
}

func TestCompareLibraries(t *testing.T) {
	// Ascending, as glibc's _dl_cache_libcmp has it.
	names := []string{"libX.so", "liba.so", "libz.so", "libz.so.1", "libz.so.2", "libz.so.10", "libz1.so"}
	for i := range names {
		for j := range names {
			got := compareLibraries(names[i], names[j])
			if (got < 0) != (i < j) || (got > 0) != (i > j) {
				t.Errorf("compare %s, %s is %d", names[i], names[j], got)
			}
		}
	}
}

func TestLoaderCacheIsInBisectionOrder(t *testing.T) {
	var libraries []library
	for _, name := range []string{"libz.so.1", "liba.so.9", "liba.so.10", "libm-2.so", "ld.so"} {
		libraries = append(libraries, library{name, "/usr/lib/" + name})
	}
	b := encodeLoaderCache(libraries)
	var got []string
	for i := range libraries {
		key := binary.LittleEndian.Uint32(b[loaderHeader+i*loaderEntry+4:])
		name, _, _ := bytes.Cut(b[key:], []byte{0})
		got = append(got, string(name))
	}
	if !slices.IsSortedFunc(got, func(a, b string) int { return compareLibraries(b, a) }) {
		t.Errorf("order %v", got)
	}
	if len(encodeLoaderCache(nil)) != loaderHeader {
		t.Error("an empty cache is not just a header")
	}
}
