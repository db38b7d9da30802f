package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

//go:embed network.py
var networkProgram string

// network is what a program measured of its connections to a server of ours.
type network struct {
	Where     string      `json:"where"`
	ConnectMS percentiles `json:"connect_and_first_byte_ms"`
	EchoMS    percentiles `json:"round_trip_of_64_bytes_ms"`
	Down      float64     `json:"download_mb_per_second"`
	Up        float64     `json:"upload_mb_per_second"`
}

// network measures the way out of a sandbox beside the host's own: the same
// program, the same server, on an address of this machine that is not loopback.
func (s *session) network(ctx context.Context, o options) error {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return err
	}
	ip := reachable(addrs)
	if ip == "" { // a sandbox's loopback is its own
		s.printf("\nthe network of sandboxes: not measured: this machine has no IPv4 address but loopback's\n")
		return nil
	}
	l, err := net.Listen("tcp", net.JoinHostPort(ip, "0"))
	if err != nil {
		return err
	}
	defer l.Close()
	go serveNetwork(l)
	port := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	config := filepath.Join(s.dir, "network.yaml")
	if err := os.WriteFile(config, []byte("egress_allow_cidrs: ["+ip+"/32]\n"), 0o600); err != nil {
		return err
	}
	script := filepath.Join(s.dir, "network.py")
	if err := os.WriteFile(script, []byte(networkProgram), 0o600); err != nil {
		return err
	}
	args := []string{script, ip, port, strconv.Itoa(o.connections), strconv.FormatInt(o.transfer, 10)}
	inside := s.takoCommand(append([]string{"-q", "--config", config, "--timeout", "110s", "--allow-host", ip + "/32:" + port}, args...)...)
	host := command{path: "/usr/bin/python3", args: args, dir: s.dir, env: s.environ(), limit: inside.limit}
	for _, c := range []struct {
		where string
		command
	}{{"host", host}, {"sandbox", inside}} {
		m, err := s.run(ctx, c.command)
		if err != nil {
			return err
		}
		n := network{Where: c.where}
		var values struct {
			Connect, Echo []float64
			Down, Up      float64
		}
		if err := json.Unmarshal(m.Stdout, &values); err != nil || m.ExitCode != 0 {
			return fmt.Errorf("the program in the %s: exit code %d, it said %.500q", c.where, m.ExitCode, m.Stderr)
		}
		n.ConnectMS, n.EchoMS, n.Down, n.Up = percentilesOf(values.Connect), percentilesOf(values.Echo), values.Down, values.Up
		s.report.Network = append(s.report.Network, n)
	}
	s.printNetwork(s.report.Network[0], s.report.Network[1])
	return nil
}

func (s *session) printNetwork(host, inside network) {
	s.table("a program's connections to a server on this machine", func(row func(string, ...any)) {
		row("\thost\tsandbox\tratio")
		for _, r := range []struct {
			name         string
			host, inside float64
		}{
			{"connect and first byte, p50 ms", host.ConnectMS.P50, inside.ConnectMS.P50},
			{"connect and first byte, p95 ms", host.ConnectMS.P95, inside.ConnectMS.P95},
			{"round trip of 64 bytes, p50 ms", host.EchoMS.P50, inside.EchoMS.P50},
			{"download, MB/s", host.Down, inside.Down},
			{"upload, MB/s", host.Up, inside.Up},
		} {
			row("%s\t%s\t%s\t%.2f", r.name, digits(r.host), digits(r.inside), r.inside/r.host)
		}
	})
	s.printf("  the program is Python; client, server and tako's stack share the machine's processors.\n")
}

// digits has three of them, or all before the point.
func digits(v float64) string {
	if v >= 100 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3g", v)
}

// reachable is the first of a machine's addresses that others could reach by
// IPv4; empty for none.
func reachable(addrs []net.Addr) string {
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && n.IP.IsGlobalUnicast() {
			return n.IP.String()
		}
	}
	return ""
}

// serveNetwork answers the program: each connection begins with a line that
// says what it is for.
func serveNetwork(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(2 * time.Minute)) // it has gone by then
			_ = answer(c)                                      // the program says what it got
		}()
	}
}

func answer(c io.ReadWriter) error {
	var line strings.Builder
	for b := make([]byte, 1); line.Len() < 100; line.WriteByte(b[0]) {
		if _, err := io.ReadFull(c, b); err != nil {
			return err
		}
		if b[0] == '\n' {
			break
		}
	}
	what, size, _ := strings.Cut(line.String(), " ")
	n, err := strconv.ParseInt(size, 10, 64)
	if err != nil {
		return err
	}
	switch what {
	case "first":
		_, err = c.Write([]byte("x"))
	case "echo":
		_, err = io.Copy(c, c)
	case "down":
		_, err = io.CopyN(c, zeros{}, n)
	case "up":
		if _, err = io.CopyN(io.Discard, c, n); err == nil {
			_, err = c.Write([]byte("x"))
		}
	default:
		err = errors.New("it asked for something else")
	}
	return err
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }
