package server

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/takovm/tako/internal/job"
)

// Identity is how a server is known among those that share a database.
type Identity struct {
	Host string // as the machine calls itself
	Name string // unique, and the same after a restart; records have it
}

// Node answers the identity of the server of a data directory. It is made once
// and kept there: what a server claimed before it died has to be found by the
// next one in the same place, and hosts may share a name.
func Node(dataDir string) (Identity, error) {
	host, err := os.Hostname()
	if err != nil {
		return Identity{}, job.Errorf(job.KindUnavailable, "asking for this host's name: %w", err)
	}
	path := filepath.Join(dataDir, "db", "node")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return Identity{}, job.Errorf(job.KindUnavailable, "keeping the name of this server: %w", err)
	}
	id, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(strings.TrimSpace(string(id))) == 0 {
		id = []byte(strings.ToLower(rand.Text()))
		err = os.WriteFile(path, id, 0o600)
	}
	if err != nil {
		return Identity{}, job.Errorf(job.KindUnavailable, "keeping the name of this server: %w", err)
	}
	return Identity{Host: host, Name: host + "-" + strings.TrimSpace(string(id))}, nil
}
