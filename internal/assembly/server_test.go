package assembly

import (
	"errors"
	"strings"
	"syscall"
	"testing"

	"github.com/takovm/tako/internal/config"
)

// Every name of loopback that a configuration may hold can be listened on.
func TestListenOnLoopback(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "localhost", "::1", "[::1]"} {
		cfg := config.Default(t.TempDir())
		cfg.ServerHost, cfg.ServerPort = host, 0
		l, err := listen(t.Context(), cfg)
		if strings.Contains(host, ":") && (errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT)) {
			t.Logf("%s: this machine has no IPv6", host)
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", host, err)
			continue
		}
		l.Close()
	}
}
