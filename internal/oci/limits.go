package oci

import (
	"github.com/takovm/tako/internal/job"
)

// Limits bound what an image may cost. A zero field is its default.
type Limits struct {
	Download int64 // bytes of all layers as they are stored: 16 GiB
	Unpacked int64 // bytes of all layers unpacked, and of the files of the result: 32 GiB
	Entries  int   // entries of all layers together, and the directories they imply: 500,000
	Ratio    int64 // bytes out of a layer for each byte in, beyond the first 64 MiB of it: 200
	Path     int   // bytes of one path: 4095, as Linux has it
	Paths    int64 // bytes of all paths of the result together: 64 MiB
	Layers   int   // 128, as Docker has it
	Manifest int64 // bytes of a manifest or a configuration: 4 MiB
}

const (
	// ratioFloor is how much comes out of a layer before its ratio counts: a few
	// empty files may be all there is.
	ratioFloor = 64 << 20
	// maxName is Linux' limit of one part of a path, in bytes.
	maxName = 255
	// maxWindow bounds what a zstd stream may have us remember, in bytes: as much
	// as its strongest ordinary level uses.
	maxWindow = 128 << 20
	// maxNotes bounds what is said about one image.
	maxNotes = 20
)

func (l Limits) withDefaults() Limits {
	or := func(n *int64, d int64) {
		if *n == 0 {
			*n = d
		}
	}
	orInt := func(n *int, d int) {
		if *n == 0 {
			*n = d
		}
	}
	or(&l.Download, 16<<30)
	or(&l.Unpacked, 32<<30)
	orInt(&l.Entries, 500_000)
	or(&l.Ratio, 200)
	orInt(&l.Path, 4095)
	or(&l.Paths, 64<<20)
	orInt(&l.Layers, 128)
	or(&l.Manifest, 4<<20)
	return l
}

// invalid is what is wrong with an image.
func invalid(format string, args ...any) *job.Error {
	return job.Errorf(job.KindInvalid, format, args...)
}

// corrupt is an image that is not what it says it is.
func corrupt(format string, args ...any) *job.Error {
	return invalid(format, args...).WithHint("it is corrupt where it comes from; pull another version of it, or have it built again")
}

// tooMuch is an image that goes over a limit.
func tooMuch(format string, args ...any) *job.Error {
	return invalid(format, args...).WithHint("it looks like a bomb; a smaller image is needed")
}
