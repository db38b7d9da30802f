package auth

import (
	"crypto/sha256"
	"sync"
	"time"

	"github.com/takovm/tako/internal/job"
)

// cache remembers stored keys for a short time, and when their use was noted.
type cache struct {
	size int
	life time.Duration

	mu sync.Mutex
	// generation counts what was forgotten: a look-up that began before must
	// not bring back what it found.
	generation int
	keys       map[[sha256.Size]byte]cached
	touched    map[string]time.Time // by id; of the last minute
}

type cached struct {
	key   job.Key
	until time.Time
}

func newCache(size int, life time.Duration) cache {
	return cache{size: size, life: life, keys: map[[sha256.Size]byte]cached{}, touched: map[string]time.Time{}}
}

// get answers a key that is remembered. The generation is for put.
func (c *cache) get(hash [sha256.Size]byte, now time.Time) (k job.Key, generation int, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	entry, ok := c.keys[hash]
	if ok && !now.Before(entry.until) {
		delete(c.keys, hash)
		return job.Key{}, c.generation, false
	}
	return entry.key, c.generation, ok
}

// put remembers a key, unless one was forgotten since the look-up began.
func (c *cache) put(hash [sha256.Size]byte, k job.Key, now time.Time, generation int) {
	if c.life < 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if generation != c.generation {
		return
	}
	if _, ok := c.keys[hash]; !ok && len(c.keys) >= c.size {
		c.makeRoom(now)
	}
	c.keys[hash] = cached{k, now.Add(c.life)}
}

// makeRoom removes what is over, or else any one: who is looked up more often
// is soon back.
func (c *cache) makeRoom(now time.Time) {
	for hash, entry := range c.keys {
		if !now.Before(entry.until) {
			delete(c.keys, hash)
		}
	}
	for hash := range c.keys {
		if len(c.keys) < c.size {
			return
		}
		delete(c.keys, hash)
	}
}

// due reports whether the use of a key is to be noted, and takes it as noted.
func (c *cache) due(k job.Key, now time.Time) bool {
	if now.Sub(k.LastUsedAt) < touchEvery {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if last, ok := c.touched[k.ID]; ok && now.Sub(last) < touchEvery {
		return false
	}
	if len(c.touched) >= c.size {
		for id, last := range c.touched {
			if now.Sub(last) >= touchEvery {
				delete(c.touched, id)
			}
		}
	}
	// With more keys in use within a minute than there is room for, some are
	// noted more often.
	if len(c.touched) < c.size {
		c.touched[k.ID] = now
	}
	return true
}

func (c *cache) forget(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation++
	for hash, entry := range c.keys {
		if entry.key.ID == id {
			delete(c.keys, hash)
		}
	}
	delete(c.touched, id)
}
