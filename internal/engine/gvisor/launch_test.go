package gvisor

import (
	"errors"
	"strings"
	"testing"

	"github.com/takovm/tako/internal/job"
)

// What the kernel says in a chroot is said with its mend. The text is os/exec's,
// which gVisor keeps.
func TestConfined(t *testing.T) {
	err := confined(errors.New("cannot create sandbox: fork/exec /proc/self/exe: operation not permitted"))
	if job.KindOf(err) != job.KindUnavailable || !strings.Contains(err.Error(), "outside of a chroot") {
		t.Errorf("%v", err)
	}
	other := errors.New("cannot create sandbox: fork/exec /proc/self/exe: no such file or directory")
	if got := confined(other); !errors.Is(got, other) {
		t.Errorf("%v", got)
	}
}
