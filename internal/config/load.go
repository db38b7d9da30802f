package config

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/takovm/tako/internal/job"
)

// Options are all that Load looks at. See Host for those of this process.
type Options struct {
	// Path is the file that the caller named. It must exist. Empty searches.
	Path string
	// LookupEnv answers an environment variable and whether it is set.
	LookupEnv func(name string) (string, bool)
	// ReadFile answers a file's content, or an error that is fs.ErrNotExist.
	// It is given absolute paths where Dir is absolute.
	ReadFile func(path string) ([]byte, error)
	// Trust, if not nil, says why a file of the working directory may not be
	// used: whoever could plant one there would configure tako.
	Trust func(path string) error
	// Home is the user's home directory; empty where there is none.
	Home string
	// Dir is the working directory, which relative paths start from.
	Dir string
}

// Host is the Options of this process: its environment, home and working
// directory. path is the file that the user named, or empty.
func Host(path string) Options {
	o := Options{Path: path, LookupEnv: os.LookupEnv, ReadFile: readFile, Trust: trust}
	// A process without home or working directory can still be configured.
	o.Home, _ = os.UserHomeDir()
	o.Dir, _ = os.Getwd()
	return o
}

// trust refuses, for root, a file that belongs to another user.
func trust(path string) error {
	info, err := os.Stat(path)
	if err != nil || os.Geteuid() != 0 {
		return nil // readFile says what is wrong
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Uid != 0 {
		return job.Errorf(job.KindConfig, "%s belongs to another user (uid %d), and tako runs as root", path, st.Uid).
			WithHint("chown it to root, or name it with --config")
	}
	return nil
}

// readFile is os.ReadFile that stops where parseYAML would refuse anyway.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFileBytes+1))
}

// Load reads the configuration: defaults, then one file, then environment
// variables. The file is Path; else the one that TAKO_VM_CONFIG names, if it
// exists; else the first of ./tako_vm.yaml, ./config/tako_vm.yaml,
// ~/.tako_vm/config.yaml and /etc/tako_vm/config.yaml; else none. An error is
// of KindConfig and lists everything that is wrong; Problems is its cause.
func Load(o Options) (*Config, error) {
	c := &Config{sources: map[string]string{}}
	setDefaults(configRows(), c)
	data, err := c.readFirst(o)
	if err != nil {
		return nil, err
	}
	tree, found := parseYAML(data)
	found = append(found, decode(configRows(), "", tree, c)...)
	for _, e := range flatKeys(tree) {
		c.sources[e] = "file"
	}
	found = append(found, c.applyEnv(o.LookupEnv)...)
	found = append(found, c.settleDataDir(o)...)
	if err := c.problems(found); err != nil {
		return nil, err
	}
	return c, nil
}

// readFirst answers the content of the file that is in force.
func (c *Config) readFirst(o Options) ([]byte, error) {
	if o.Path != "" {
		data, err := c.read(o, o.Path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, job.Errorf(job.KindConfig, "Config file not found: %s", o.Path)
		}
		return data, err
	}
	here := []string{"tako_vm.yaml", filepath.Join("config", "tako_vm.yaml")}
	candidates := slices.Clone(here)
	if o.Home != "" {
		candidates = append(candidates, filepath.Join(o.Home, ".tako_vm", "config.yaml"))
	}
	candidates = append(candidates, "/etc/tako_vm/config.yaml")
	named, _ := o.LookupEnv("TAKO_VM_CONFIG")
	if named != "" {
		candidates = append([]string{named}, candidates...)
	}
	for i, path := range candidates {
		if slices.Contains(here, path) && o.Trust != nil {
			if err := o.Trust(absolute(o, path)); err != nil {
				return nil, err
			}
		}
		data, err := c.read(o, path)
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return data, err
		}
		if i == 0 && named != "" {
			c.notes = append(c.notes, "TAKO_VM_CONFIG names a file that does not exist: "+named)
		}
	}
	return nil, nil
}

func (c *Config) read(o Options, path string) ([]byte, error) {
	path = absolute(o, path)
	data, err := o.ReadFile(path)
	switch {
	case err == nil:
		c.File = path
		return data, nil
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return nil, fs.ErrNotExist
	}
	// Never skipped: the file may hold the line that switches authentication on.
	return nil, job.Errorf(job.KindConfig, "Config file cannot be read: %w", err)
}

func absolute(o Options, path string) string {
	if rest, ok := strings.CutPrefix(path, "~/"); ok && o.Home != "" {
		path = filepath.Join(o.Home, rest)
	}
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(o.Dir, path)
}

// settleDataDir fills in the default and makes the path absolute.
func (c *Config) settleDataDir(o Options) Problems {
	if c.DataDir != "" {
		c.DataDir = absolute(o, c.DataDir)
		return nil
	}
	// The XDG specification has relative paths ignored.
	if xdg, _ := o.LookupEnv("XDG_DATA_HOME"); filepath.IsAbs(xdg) {
		c.DataDir = filepath.Join(xdg, "tako_vm")
		return nil
	}
	if o.Home == "" {
		return problem("data_dir", "has no default without a home directory; set it")
	}
	c.DataDir = filepath.Join(o.Home, ".tako_vm")
	return nil
}
