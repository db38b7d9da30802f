package cgroup

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"
)

// Watch tells when the group's memory limit has killed something.
type Watch struct {
	// C is closed when the kernel has hit the limit.
	C    <-chan struct{}
	stop func()
}

// Stop ends the watch and waits for its goroutine.
func (w *Watch) Stop() { w.stop() }

// WatchOOM starts to watch the memory limit. Without a memory controller the
// channel never closes.
func (g *Group) WatchOOM() (*Watch, error) {
	if !g.tree.Has(Memory) {
		return &Watch{C: make(chan struct{}), stop: func() {}}, nil
	}
	if g.tree.Version == 2 {
		return g.watchV2()
	}
	return g.watchV1()
}

// watchV1 asks the kernel to signal an eventfd when the group is out of
// memory (cgroup-v1/memory.rst, "OOM Control").
func (g *Group) watchV1() (*Watch, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("watching the memory limit: %w", err)
	}
	event := os.NewFile(uintptr(fd), "oom event")
	control, err := os.Open(filepath.Join(g.dir(Memory), "memory.oom_control"))
	if err != nil {
		event.Close()
		return nil, fmt.Errorf("watching the memory limit: %w", err)
	}
	defer control.Close()
	line := fmt.Sprintf("%d %d", fd, int(control.Fd()))
	if err := g.set(Memory, "cgroup.event_control", line); err != nil {
		event.Close()
		return nil, fmt.Errorf("watching the memory limit: %w", err)
	}
	// The kernel signals when it is out of memory, before it has chosen a
	// victim; it signals once more when the group goes away.
	return watch(event, 8, func() bool {
		return field(g.read(Memory, "memory.oom_control"), "under_oom") == 1 || g.Stats().OOMKills > 0
	}), nil
}

// watchV2 watches memory.events, which the kernel marks as modified when a
// counter in it rises (cgroup-v2.rst).
func (g *Group) watchV2() (*Watch, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("watching the memory limit: %w", err)
	}
	notify := os.NewFile(uintptr(fd), "memory.events")
	file := filepath.Join(g.dir(Memory), "memory.events")
	if _, err := unix.InotifyAddWatch(fd, file, unix.IN_MODIFY); err != nil {
		notify.Close()
		return nil, fmt.Errorf("watching the memory limit: %w", err)
	}
	return watch(notify, 4096, func() bool { return g.Stats().OOMKills > 0 }), nil
}

// watch reads events from f until hit says that the limit was hit.
func watch(f *os.File, size int, hit func() bool) *Watch {
	c := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, size)
		for {
			if _, err := f.Read(buf); err != nil {
				return
			}
			if hit() {
				close(c)
				return
			}
		}
	}()
	var once sync.Once
	return &Watch{C: c, stop: func() {
		once.Do(func() { f.Close(); <-done })
	}}
}
