package disk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/takovm/tako/internal/artifact"
)

// List answers up to limit blobs after that digest. It reads whole folders,
// one 256th of the blobs each.
func (s *Store) List(ctx context.Context, after artifact.Digest, limit int) ([]artifact.Info, error) {
	if err := artifact.CheckList(after, limit); err != nil {
		return nil, err
	}
	shards, err := names(s.root)
	if err != nil {
		return nil, s.problem("listing", err)
	}
	slices.Sort(shards)
	var list []artifact.Info
	for _, name := range shards {
		if len(name) != 2 || after != "" && name < string(after[:2]) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("listing blobs: %w", err)
		}
		if list, err = s.listShard(list, name, after, limit); err != nil {
			return nil, s.problem("listing", err)
		}
		if len(list) == limit {
			break
		}
	}
	return list, nil
}

// listShard adds the blobs of one folder to list, up to limit.
func (s *Store) listShard(list []artifact.Info, name string, after artifact.Digest, limit int) ([]artifact.Info, error) {
	shard, err := openAt(s.root, name, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if foreign(err) {
		return list, nil
	}
	if err != nil {
		return nil, err
	}
	defer shard.Close()
	entries, err := names(shard)
	if err != nil {
		return nil, err
	}
	slices.Sort(entries)
	for _, entry := range entries {
		d := artifact.Digest(entry)
		if d <= after || entry[:min(2, len(entry))] != name || d.Check() != nil {
			continue
		}
		if list, err = add(list, shard, d); err != nil {
			return nil, err
		}
		if len(list) == limit {
			break
		}
	}
	return list, nil
}

// add looks at one blob, which may have been removed since it was listed.
func add(list []artifact.Info, shard *os.File, d artifact.Digest) ([]artifact.Info, error) {
	st, err := statAt(shard, string(d))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return list, nil
	case err != nil:
		return nil, err
	case !st.regular:
		return list, nil
	}
	return append(list, artifact.Info{Digest: d, Size: st.size, ModTime: st.modTime}), nil
}

// foreign reports what is no folder of ours: a link, a file, or gone.
func foreign(err error) bool {
	return errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, fs.ErrNotExist)
}
