// Package pgtest runs a PostgreSQL server for tests: a real one, from the
// binaries of the machine, with its files in a directory of its own that goes
// with it. It is meant for a TestMain:
//
//	func TestMain(m *testing.M) {
//		stop := pgtest.Setup()
//		code := m.Run()
//		stop()
//		os.Exit(code)
//	}
//
// and NewDatabase in each test.
package pgtest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
)

// ErrMissing is answered where PostgreSQL is not installed.
var ErrMissing = errors.New("no PostgreSQL server is installed: apt-get install postgresql")

// superuser is who owns the databases.
const superuser = "tako"

// Server is a PostgreSQL server on the loopback. It ends with Close, and with
// the process that started it, however that ends.
type Server struct {
	bin, dir string
	as       *syscall.Credential // nil is who we are
	port     int
	password string
	guard    *exec.Cmd
	alive    *os.File // held open as long as we live
}

// Start makes a server with the settings of a fresh installation, fsync
// included, and waits until it answers.
func Start() (_ *Server, err error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	s := &Server{bin: bin, password: rand.Text()}
	if s.dir, err = os.MkdirTemp("", "tako-postgres-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if err := s.drop(); err != nil {
		return nil, err
	}
	if err := s.watch(); err != nil {
		return nil, err
	}
	if err := s.initialize(); err != nil {
		return nil, err
	}
	for range 5 { // somebody else may take the port that was free
		if s.port, err = freePort(); err != nil {
			return nil, err
		}
		if err = s.Resume(); err == nil {
			return s, nil
		}
	}
	return nil, err
}

// binaries is the directory of a server's programs, the newest.
func binaries() (string, error) {
	dirs, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil {
		return "", err
	}
	slices.SortFunc(dirs, func(a, b string) int { return version(b) - version(a) })
	for _, dir := range append(dirs, filepath.SplitList(os.Getenv("PATH"))...) {
		if _, err := os.Stat(filepath.Join(dir, "initdb")); err != nil {
			continue
		}
		if _, err := os.Stat(filepath.Join(dir, "pg_ctl")); err == nil {
			return dir, nil
		}
	}
	return "", ErrMissing
}

// version is 15 of /usr/lib/postgresql/15/bin.
func version(dir string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(dir)))
	return n
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

// drop gives the directory to a user who is not root: PostgreSQL refuses root.
func (s *Server) drop() error {
	if os.Geteuid() != 0 {
		return nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		if u, err = user.Lookup("nobody"); err != nil {
			return err
		}
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return err
	}
	s.as = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid), NoSetGroups: false}
	return os.Chown(s.dir, int(uid), int(gid))
}

func (s *Server) file(name string) string { return filepath.Join(s.dir, name) }

// command is a program in the server's directory and name. Its output goes to a
// file: go test waits for whoever has its own.
func (s *Server) command(log *os.File, name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.dir, log, log
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "HOME="+s.dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.as, Setsid: true}
	return cmd
}

func (s *Server) run(program string, args ...string) error {
	log, err := os.Create(s.file(program + ".log"))
	if err != nil {
		return err
	}
	err = s.command(log, filepath.Join(s.bin, program), args...).Run()
	if err := errors.Join(err, log.Close()); err != nil {
		return errors.Join(fmt.Errorf("%s: %w", program, err), s.said(program+".log"), s.said("server.log"))
	}
	return nil
}

// said is the end of a log.
func (s *Server) said(name string) error {
	text, err := os.ReadFile(s.file(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return fmt.Errorf("%s: ...%s", name, bytes.TrimSpace(text[max(0, len(text)-2000):]))
}

// watch starts a shell that waits for our end, a killed one included, and then
// stops the server and removes its files.
func (s *Server) watch() error {
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return errors.Join(err, read.Close(), write.Close())
	}
	s.guard = s.command(null, "sh", "-c", `read ended; "$1/pg_ctl" -D "$2/data" -m immediate -w stop; cd /; rm -rf "$2"`, "sh", s.bin, s.dir)
	s.guard.Stdin = read
	if err := errors.Join(s.guard.Start(), read.Close(), null.Close()); err != nil {
		return errors.Join(err, write.Close())
	}
	s.alive = write
	return nil
}

func (s *Server) initialize() error {
	secret := s.file("password")
	if err := os.WriteFile(secret, []byte(s.password), 0o600); err != nil {
		return err
	}
	if s.as != nil {
		if err := os.Chown(secret, int(s.as.Uid), int(s.as.Gid)); err != nil {
			return err
		}
	}
	return s.run("initdb", "-D", s.file("data"), "-U", superuser, "--pwfile", secret, "-A", "scram-sha-256", "-E", "UTF8",
		"--no-locale", "--no-sync") // the server's own writes are synced
}

// Resume starts the server after Halt and waits until it answers.
func (s *Server) Resume() error {
	options := fmt.Sprintf("-p %d -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=300", s.port)
	return s.run("pg_ctl", "-D", s.file("data"), "-l", s.file("server.log"), "-o", options, "-w", "-t", "60", "start")
}

// Halt stops the server, breaking its connections; its databases stay.
func (s *Server) Halt() error {
	return s.run("pg_ctl", "-D", s.file("data"), "-m", "fast", "-w", "-t", "60", "stop")
}

// Restart is Halt and Resume in one.
func (s *Server) Restart() error {
	return s.run("pg_ctl", "-D", s.file("data"), "-m", "fast", "-w", "-t", "60", "restart")
}

// Log is what the server logged so far.
func (s *Server) Log() (string, error) {
	text, err := os.ReadFile(s.file("server.log"))
	return string(text), err
}

// URL is that of a database on the server.
func (s *Server) URL(database string) string {
	return (&url.URL{Scheme: "postgres", User: url.UserPassword(superuser, s.password), Path: "/" + database,
		Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port))}).String()
}

// Close stops the server and removes its files.
func (s *Server) Close() error {
	if s.guard == nil || s.alive == nil {
		return os.RemoveAll(s.dir)
	}
	err := errors.Join(s.alive.Close(), s.guard.Wait())
	s.alive = nil
	if err != nil {
		err = fmt.Errorf("stopping PostgreSQL: %w", err)
	}
	return err
}

// NewDatabase makes an empty database and returns its URL. It goes with the
// server.
func (s *Server) NewDatabase(ctx context.Context) (string, error) {
	return create(ctx, s.URL("postgres"))
}
