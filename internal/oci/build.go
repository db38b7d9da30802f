package oci

import (
	"archive/tar"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/takovm/tako/internal/environment"
	"github.com/takovm/tako/internal/job"
)

// build makes the environment of an image whose blobs are all in the store, or
// staged.
func (s *Store) build(ctx context.Context, src candidate, config *v1.ConfigFile, progress func(environment.Progress)) (environment.Environment, error) {
	var none environment.Environment
	ref, m := src.shown, src.manifest
	f, err := s.nameless()
	if err != nil {
		return none, s.fail(err)
	}
	defer f.Close()
	merged := newMerger(ctx, s.limits, &spool{f: f}, func(note string) { progress(environment.Progress{Phase: PhaseUnpack, Note: note}) })
	meter := newMeter(PhaseUnpack, total(m.Layers), progress)
	for i, layer := range m.Layers {
		path := cmp.Or(src.staged[layer.Digest], s.blob(layer.Digest))
		if err := merge(merged, path, layer, meter, config.RootFS.DiffIDs[i]); err != nil {
			return none, s.fail(inLayer(ref, i, len(m.Layers), err))
		}
	}
	tree := environment.Tree{Name: ref, Config: imageConfig(config, merged.say)}
	if tree.Entries, err = merged.result(asRoot(config.Config.User)); err != nil {
		return none, err
	}
	merged.root = nil
	return environment.PackTree(ctx, s.environments, tree, progress)
}

// merge unpacks one layer, which is in the file at path.
func merge(m *merger, path string, layer v1.Descriptor, meter io.Writer, diffID v1.Hash) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := m.unpack(io.TeeReader(f, meter), layer.Size, diffID); err != nil {
		return blame(path, layer.Digest, err)
	}
	return nil
}

// blame finds out whether a layer is at fault or this machine's disk. What the
// disk has damaged is removed, so that the next pull fetches it again.
func blame(path string, d v1.Hash, err error) error {
	if job.KindOf(err) != job.KindInvalid {
		return err
	}
	f, openErr := os.Open(path)
	if openErr != nil {
		return openErr
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	if hex.EncodeToString(h.Sum(nil)) == d.Hex {
		return err
	}
	os.Remove(f.Name())
	return job.Errorf(job.KindUnavailable, "%s: %w", f.Name(), errDamaged).WithHint("pull again; look at the disk")
}

// inLayer says which layer of which image something is wrong with.
func inLayer(ref string, i, n int, err error) error {
	var je *job.Error
	if !errors.As(err, &je) {
		return err
	}
	reason := *je
	reason.Hint = ""
	return job.Errorf(je.Kind, "%s cannot be unpacked, layer %d of %d: %w", ref, i+1, n, &reason).WithHint("%s", je.Hint)
}

// asRoot reports a user that is root, whom nobody is inside a sandbox.
func asRoot(user string) bool {
	name, _, _ := strings.Cut(user, ":")
	return name == "" || name == "root" || strings.Trim(name, "0") == ""
}

// result is the merged tree as what package environment packs. What an image's
// root user could read, the user in whose place it runs can read: all of it
// belongs to root and is readable. An image with a user of its own keeps owners
// and modes.
func (m *merger) result(root bool) ([]environment.TreeEntry, error) {
	var entries []environment.TreeEntry
	var bytes, paths int64
	err := m.root.walk("", func(name string, n *node) error {
		if len(name) > m.limits.Path {
			return corrupt("the path %s has %d bytes: it may have %d", quoted(name), len(name), m.limits.Path)
		}
		// Deep directories have little in an archive and much in a list.
		if paths += int64(len(name)); paths > m.limits.Paths {
			return tooMuch("the paths of the image have more than %d bytes together, with %s", m.limits.Paths, quoted(name))
		}
		// Hard links count once each: each is a file of its own.
		if bytes += n.size; bytes > m.limits.Unpacked || bytes > ratioFloor && bytes/max(m.input, 1) >= m.limits.Ratio {
			return tooMuch("the files of the image have %d bytes already, with %s", bytes, quoted(name))
		}
		e := environment.TreeEntry{Path: name, Mode: fs.FileMode(n.mode), Mtime: n.mtime, Size: n.size, Target: n.target}
		if root {
			e.Mode = 0o644
			if n.kind == tar.TypeDir || n.mode&0o111 != 0 {
				e.Mode = 0o755
			}
		} else {
			e.UID, e.GID = inRange(n.uid), inRange(n.gid)
		}
		switch n.kind {
		case tar.TypeDir:
			e.Type = fs.ModeDir
		case tar.TypeSymlink:
			e.Type = fs.ModeSymlink
		default:
			e.Open = m.spool.open(n.at, n.size)
		}
		entries = append(entries, e)
		return nil
	})
	return entries, err
}

// inRange keeps an id that no kernel takes for one from being cut to another.
func inRange(id int) uint32 {
	const nobody = 65534
	if id < 0 || id > 1<<31-2 {
		return nobody
	}
	return uint32(id)
}

// imageConfig takes over what holds inside a sandbox.
func imageConfig(c *v1.ConfigFile, say func(format string, args ...any)) environment.ImageConfig {
	out := environment.ImageConfig{
		WorkingDir: c.Config.WorkingDir, User: c.Config.User, Entrypoint: c.Config.Entrypoint, Cmd: c.Config.Cmd,
	}
	for _, v := range c.Config.Env {
		name, value, ok := strings.Cut(v, "=")
		if !ok || !environment.ValidVariable(name, value) {
			say("left out the variable %s: no program could be given it", quoted(name))
			continue
		}
		out.Env = append(out.Env, v)
	}
	return out
}

func total(layers []v1.Descriptor) (n int64) {
	for _, d := range layers {
		n += d.Size
	}
	return n
}

// meter turns bytes into reports, one for every few megabytes.
type meter struct {
	phase                 environment.Phase
	done, total, reported int64
	progress              func(environment.Progress)
}

const meterStep = 1 << 20

func newMeter(phase environment.Phase, total int64, progress func(environment.Progress)) *meter {
	return &meter{phase: phase, total: total, reported: -meterStep, progress: progress}
}

func (m *meter) add(n int64) {
	m.done += n
	if m.done-m.reported >= meterStep || m.done < m.reported || m.done == m.total && m.reported != m.total {
		m.reported = m.done
		m.progress(environment.Progress{Phase: m.phase, Done: m.done, Total: m.total})
	}
}

func (m *meter) Write(p []byte) (int, error) {
	m.add(int64(len(p)))
	return len(p), nil
}
