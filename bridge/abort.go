package bridge

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/ebitengine/purego"
)

// Callbacks that C can call are few and never freed: there is one, and each context has a number.
var (
	abortCallback = sync.OnceValue(func() uintptr {
		return purego.NewCallback(func(id uintptr) uintptr {
			if f, ok := abortFuncs.Load(id); ok && shouldAbort(f.(func() bool)) {
				return 1
			}
			return 0
		})
	})
	abortFuncs sync.Map // id -> func() bool
	abortIDs   atomic.Uintptr
)

// SetAbort has f asked, on the thread of Decode, before each node of the graph; where it returns
// true Decode gives up with ErrAborted, and the new tokens are taken out of the memory. nil, the
// default, asks nobody: asking takes about a microsecond, and a graph has hundreds of nodes. f must
// not call into this package; a panic in it aborts.
func (c *Context) SetAbort(f func() bool) error {
	if err := c.enter(); err != nil {
		return err
	}
	defer c.leave()
	c.abort = f
	c.installAbort(f)
	return nil
}

func (c *Context) installAbort(f func() bool) {
	c.forgetAbort()
	if f == nil {
		c.lib.setAbort(c.ptr, 0, 0)
		return
	}
	c.abortID = abortIDs.Add(1)
	abortFuncs.Store(c.abortID, f)
	c.lib.setAbort(c.ptr, abortCallback(), c.abortID)
}

func (c *Context) forgetAbort() { abortFuncs.Delete(c.abortID) }

// decodeWatched is Decode that also gives up when ctx is done, then with its error.
func (c *Context) decodeWatched(ctx context.Context, b *Batch) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if ctx.Done() == nil {
		return c.Decode(b)
	}
	if err := c.enter(); err != nil {
		return err
	}
	defer c.leave()
	var done atomic.Bool
	stop := context.AfterFunc(ctx, func() { done.Store(true) })
	defer stop()
	users := c.abort
	c.installAbort(func() bool { return done.Load() || users != nil && users() })
	defer c.installAbort(users)
	err := c.decode(b)
	if errors.Is(err, ErrAborted) && done.Load() {
		return ctx.Err()
	}
	return err
}

func shouldAbort(f func() bool) (abort bool) {
	defer func() {
		if recover() != nil {
			abort = true
		}
	}()
	return f()
}
