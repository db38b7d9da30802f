// Package environment makes root file systems for sandboxes: one read-only
// EROFS file per environment, named by the digest of what went in. It executes
// nothing: an environment is made by looking at files.
//
// # Vocabulary
//
// An environment is what a job runs in: interpreters, libraries, tools. Its
// image is the EROFS file. The cache is the directory that holds images; any
// number of processes share it. The index is a record of every look at the
// host that led to an image, so that "has anything changed?" costs one stat
// per file and reads no content.
//
// # The default environment
//
// Host.Ensure packs this machine's own /usr/bin/python3 with its standard
// library, site packages, the shared libraries they need, and, where the
// machine has them, node, bash and ordinary tools. What may be in the image is
// an allow list (allow.go), enforced where entries are added; everything in
// /etc is written here or named there. Nothing of /home, /root, /var, /opt or
// /srv is read.
//
// # The cache
//
//	<digest>.erofs   an image; never modified, only replaced
//	<digest>.json    its size and checksums, written before the image is named
//	<digest>.pin     says that the image stays
//	<entry>.index    the looks that led to the newest image of an entry
//	<entry>.lock     held (flock) by the one process that builds
//	<entry>-*.tmp    unfinished; removed by the next holder of the lock
//
// The newest two images of an entry stay, those that somebody holds (see
// Environment.Hold) and those that are pinned (see Host.Pin). Images that
// PackTree made stay until PruneTrees.
package environment

import (
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/takovm/tako/internal/job"
)

// Environment is one root file system and what can be run in it.
type Environment struct {
	Name    string `json:"name"`    // "python"
	Version string `json:"version"` // of the interpreter: "3.11.2"
	// Digest is the SHA-256, in hex, of the sorted list of what went in: path,
	// type, mode, size, time and content of every file. Equal digests are
	// equal images, byte for byte.
	Digest string `json:"digest"`
	// Image is the absolute path of the EROFS file; Size is its size in bytes.
	Image string `json:"-"`
	Size  int64  `json:"size"`
	// Languages are what the environment can run: "python" always, "node" and
	// "bash" where the host has them.
	Languages map[string]Language `json:"languages"`
	// Config is what a container image says about how it is run; nil for this
	// machine's environment.
	Config *ImageConfig `json:"config,omitempty"`
	// Packages is a layer that was put beside the image; see With.
	Packages *Layer `json:"-"`
}

// ImageConfig is what a container image says about how its programs are run, as
// far as it holds inside a sandbox.
type ImageConfig struct {
	Env        []string `json:"env,omitempty"` // "NAME=value"
	WorkingDir string   `json:"working_dir,omitempty"`
	User       string   `json:"user,omitempty"` // as the image has it
	Entrypoint []string `json:"entrypoint,omitempty"`
	Cmd        []string `json:"cmd,omitempty"`
	// UID and GID are whom User is inside; 1000 for root, who is nobody's to be.
	UID int `json:"uid"`
	GID int `json:"gid"`
	// Dir is WorkingDir where it is a directory of the image that sandboxes see;
	// else empty.
	Dir string `json:"dir,omitempty"`
}

// Variable is the image's value of an environment variable; empty for none.
func (c *ImageConfig) Variable(name string) string {
	if c == nil {
		return ""
	}
	for _, v := range slices.Backward(c.Env) {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value
		}
	}
	return ""
}

// ValidVariable reports whether an image may set this environment variable: it is
// what a job may set, too.
func ValidVariable(name, value string) bool {
	if name == "" || len(name) > 256 || len(value) > 32<<10 || strings.ContainsRune(value, 0) || name[0] >= '0' && name[0] <= '9' {
		return false
	}
	return strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") == ""
}

// Language is how a program in one language is started.
type Language struct {
	Command []string `json:"command"` // argv before the program's file
	// Preloads says that the interpreter runs PreloadFile.
	Preloads bool     `json:"preloads,omitempty"`
	File     string   `json:"file"` // the program's file name: "main.py"
	Env      []string `json:"env"`  // "NAME=value", what the language expects to be set
}

// Phase is the part of the work that is under way.
type Phase string

const (
	PhaseScan   Phase = "scan"   // finding and reading what will go in
	PhasePack   Phase = "pack"   // writing the image
	PhaseVerify Phase = "verify" // reading the image back
)

// Progress is one report of Ensure. Reports come from one goroutine, some
// hundred per build; none when nothing has to be built.
type Progress struct {
	Phase       Phase
	Done, Total int64 // bytes
	// Note is one line for the operator, empty in ordinary reports: what was
	// left out and why, or that an image was found corrupt. At most maxNotes
	// per build.
	Note string
}

// Hold keeps the image from being removed until release is called, for whoever
// opens it later: a warm pool, a snapshot. A sandbox that runs needs no hold,
// because Linux keeps an open file. Removal by another process between Ensure
// and Hold is a job.KindUnavailable error; Ensure again.
func (e Environment) Hold() (release func(), err error) {
	f, err := os.Open(e.Image)
	if err != nil {
		return nil, job.Errorf(job.KindUnavailable, "holding the image of environment %s: %w", e.Name, err)
	}
	// The pruner takes the exclusive lock before it removes. Getting the
	// shared one on a file that is still at its path means it came too late.
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
	if err == nil {
		err = stillThere(f)
	}
	if err != nil {
		f.Close()
		return nil, job.Errorf(job.KindUnavailable, "holding the image of environment %s: %w", e.Name, err)
	}
	if e.Packages == nil {
		return func() { f.Close() }, nil
	}
	other, err := Environment{Name: e.Name + "'s packages", Image: e.Packages.Image}.Hold()
	if err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close(); other() }, nil
}

func stillThere(f *os.File) error {
	opened, err := f.Stat()
	if err != nil {
		return err
	}
	named, err := os.Stat(f.Name())
	if err == nil && !os.SameFile(opened, named) {
		err = fs.ErrNotExist
	}
	return err
}
