package assembly

import (
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/takovm/tako/internal/runner"
)

func TestZZProbe(t *testing.T) {
	r := newRig(t)
	r.print(t, r.python("print(1)"))
	var mu sync.Mutex
	seen := map[string]int{}
	var wg sync.WaitGroup
	for range 40 {
		wg.Go(func() {
			res, err := r.Run(t.Context(), r.python("import time; time.sleep(3)"), runner.Sinks{})
			if err != nil {
				t.Logf("%v %v", res, err)
			}
		})
	}
	stop := make(chan struct{})
	go func() { wg.Wait(); close(stop) }()
	for {
		select {
		case <-stop:
			for k, v := range seen {
				t.Log(k, v)
			}
			return
		default:
		}
		for _, pid := range sandboxesBelow(t, r.cfg.DataDir) {
			dir := fmt.Sprintf("/proc/%d/fd", pid)
			fds, _ := os.ReadDir(dir)
			mu.Lock()
			for _, fd := range fds {
				var n int
				fmt.Sscan(fd.Name(), &n)
				link, err := os.Readlink(dir + "/" + fd.Name())
				if n >= 30 && err == nil && n < 253 {
					seen[fmt.Sprintf("pid %d fd %d %s", pid, n, link)]++
				}
			}
			mu.Unlock()
		}
	}
}
