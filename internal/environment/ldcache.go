package environment

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// library is one line of ld.so.cache: what is asked for and where it is.
type library struct{ name, path string }

// The format is that of glibc 2.2 and later, struct cache_file_new in
// sysdeps/generic/dl-cache.h, without the old one before it and without
// extensions.
const (
	loaderMagic      = "glibc-ld.so.cache1.1"
	loaderHeader     = 48
	loaderEntry      = 24
	loaderLittle     = 2      // cache_file_new_flags_endian_little
	loaderFlagsAMD64 = 0x0303 // FLAG_X8664_LIB64 | FLAG_ELF_LIBC6
)

// encodeLoaderCache makes a cache of libraries. The loader searches it by
// bisection, in the descending order of compareLibraries.
func encodeLoaderCache(libraries []library) []byte {
	libraries = slices.Clone(libraries)
	slices.SortStableFunc(libraries, func(a, b library) int { return compareLibraries(b.name, a.name) })

	base := loaderHeader + loaderEntry*len(libraries)
	var entries, texts bytes.Buffer
	text := func(s string) uint32 {
		at := base + texts.Len()
		texts.WriteString(s)
		texts.WriteByte(0)
		return uint32(at)
	}
	for _, l := range libraries {
		var e [loaderEntry]byte // flags, key, value, osversion, hwcap
		binary.LittleEndian.PutUint32(e[0:], loaderFlagsAMD64)
		binary.LittleEndian.PutUint32(e[4:], text(l.name))
		binary.LittleEndian.PutUint32(e[8:], text(l.path))
		entries.Write(e[:])
	}
	header := make([]byte, loaderHeader)
	copy(header, loaderMagic)
	binary.LittleEndian.PutUint32(header[20:], uint32(len(libraries)))
	binary.LittleEndian.PutUint32(header[24:], uint32(texts.Len()))
	header[28] = loaderLittle
	return slices.Concat(header, entries.Bytes(), texts.Bytes())
}

// compareLibraries orders names as glibc's _dl_cache_libcmp does: runs of
// digits by their value, and a digit after everything else.
func compareLibraries(a, b string) int {
	digit := func(s string) bool { return s != "" && s[0] >= '0' && s[0] <= '9' }
	number := func(s string) (n int, rest string) {
		for ; digit(s); s = s[1:] {
			n = n*10 + int(s[0]-'0')
		}
		return n, s
	}
	for a != "" {
		switch {
		case digit(a) && digit(b):
			var x, y int
			x, a = number(a)
			y, b = number(b)
			if x != y {
				return x - y
			}
		case digit(a):
			return 1
		case digit(b):
			return -1
		case b == "":
			return 1
		case a[0] != b[0]:
			return int(a[0]) - int(b[0])
		default:
			a, b = a[1:], b[1:]
		}
	}
	return -len(b)
}
