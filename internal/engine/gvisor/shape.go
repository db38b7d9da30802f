package gvisor

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/takovm/tako/internal/engine"
)

// Shape names everything that a snapshot of a sandbox depends on.
func (e *Engine) Shape(spec engine.Spec) (string, error) {
	oci := buildSpec(spec, "")
	// Each sandbox has its own.
	delete(oci.Annotations, annotationTotal)
	oci.Hostname = ""
	h := sha256.New()
	fmt.Fprintf(h, "tako shape 1\n%s\n", Version())
	if err := json.NewEncoder(h).Encode(oci); err != nil {
		return "", fmt.Errorf("naming the sandbox's shape: %w", err)
	}
	fmt.Fprintln(h, sandboxFlags())
	if err := writeHost(h); err != nil {
		return "", fmt.Errorf("naming the sandbox's shape: %w", err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// writeHost writes what of this host is inside a snapshot: the processor's
// features, which programs have asked for, and the kernel below.
func writeHost(w io.Writer) error {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return err
	}
	defer f.Close()
	// The first processor's: asking for all of them takes its time on large
	// machines, and the kernel insists on equal ones.
	lines := bufio.NewScanner(f)
	for lines.Scan() && lines.Text() != "" {
		name, _, _ := strings.Cut(lines.Text(), ":")
		switch strings.TrimSpace(name) {
		case "vendor_id", "cpu family", "model", "stepping", "flags":
			fmt.Fprintln(w, lines.Text())
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	var uts unix.Utsname
	if err := unix.Uname(&uts); err != nil {
		return err
	}
	_, err = fmt.Fprintln(w, unix.ByteSliceToString(uts.Release[:]))
	return err
}
