package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"
)

// cache holds what is slow to make again. Deleting it costs time, never correctness.
type cache struct {
	ctx  context.Context
	dir  string
	mu   sync.Mutex // of stages that run side by side, which the lock does not tell apart
	lock *flock.Flock
	say  func(format string, args ...any)
}

// product is one thing in the cache. It is ready when its stamp says what it was made from and its
// files are there.
type product struct {
	name  string   // for messages, and for the stamp beside the first of files
	made  string   // what it is made from; another value means making it again
	files []string // what must exist afterwards
	make  func() error
}

func openCache(ctx context.Context, root string, say func(string, ...any)) (*cache, error) {
	dir := os.Getenv("RETRO_CACHE_DIR")
	if dir == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return nil, fmt.Errorf("no cache folder: %w; name one in RETRO_CACHE_DIR", err)
		}
		dir = filepath.Join(user, "retroattn")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if inside(dir, root) {
		return nil, fmt.Errorf("RETRO_CACHE_DIR is %s, inside the checkout, where Go would take it for packages: name a folder elsewhere", dir)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("no cache folder: %w; name another in RETRO_CACHE_DIR", err)
	}
	return &cache{ctx: ctx, dir: dir, lock: flock.New(filepath.Join(dir, "lock")), say: say}, nil
}

func inside(dir, root string) bool {
	rel, err := filepath.Rel(root, dir)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

func (c *cache) path(elements ...string) string {
	return filepath.Join(append([]string{c.dir}, elements...)...)
}

// ensure makes a product unless it is ready. Readers of the cache share its lock until the program
// ends, so that nothing is replaced under a running demo or test; making something takes the lock
// alone.
func (c *cache) ensure(p product) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.acquire(c.lock.TryRLock); err != nil {
		return err
	}
	if c.ready(p) {
		return nil
	}
	if err := c.acquire(c.lock.TryLock); err != nil {
		return err
	}
	if !c.ready(p) {
		if err := c.remake(p); err != nil {
			return err
		}
	}
	return c.acquire(c.lock.TryRLock)
}

func (c *cache) remake(p product) error {
	// Whoever holds the lock alone may clear what a killed run left.
	if err := os.RemoveAll(c.path("tmp")); err != nil {
		return err
	}
	if err := os.MkdirAll(c.path("tmp"), 0o755); err != nil {
		return err
	}
	if err := os.Remove(p.stamp()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := p.make(); err != nil {
		return err
	}
	return writeFrom(strings.NewReader(p.made), p.stamp(), 0o644)
}

func (p product) stamp() string {
	return filepath.Join(filepath.Dir(p.files[0]), "."+p.name+".made")
}

func (c *cache) ready(p product) bool {
	made, err := os.ReadFile(p.stamp())
	if err != nil || string(made) != p.made {
		return false
	}
	for _, f := range p.files {
		if !exists(f) {
			return false
		}
	}
	return true
}

// acquire changes the lock of this process. The old one is given up first: two runs that both held
// it shared and both wanted it alone would wait for each other.
func (c *cache) acquire(try func() (bool, error)) error {
	if err := c.lock.Unlock(); err != nil {
		return err
	}
	for begun, said := time.Now(), false; ; {
		if held, err := try(); held || err != nil {
			return err
		}
		if !said && time.Since(begun) >= time.Second {
			c.say("Waiting for another run, which holds %s (set RETRO_CACHE_DIR to work beside it).",
				c.lock.Path())
			said = true
		}
		select {
		case <-c.ctx.Done():
			return c.ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// temp makes a scratch folder on the file system of the cache, from where a rename is atomic.
func (c *cache) temp() (string, error) { return os.MkdirTemp(c.path("tmp"), "") }
