//go:build linux || darwin

package bridge

import (
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

// SetAbort has f asked, on the thread of Decode, before each node of the graph; where it returns true Decode
// gives up with ErrAborted, and the new tokens are taken out of the memory. nil, the default, asks nobody:
// asking takes about a microsecond, and a graph has hundreds of nodes. f must not call into this package; a panic in it aborts.
func (c *Context) SetAbort(f func() bool) error {
	if err := c.enter(); err != nil {
		return err
	}
	defer c.leave()
	c.forgetAbort()
	if f == nil {
		c.lib.setAbort(c.ptr, 0, 0)
		return nil
	}
	c.abortID = abortIDs.Add(1)
	abortFuncs.Store(c.abortID, f)
	c.lib.setAbort(c.ptr, abortCallback(), c.abortID)
	return nil
}

func (c *Context) forgetAbort() { abortFuncs.Delete(c.abortID) }

func shouldAbort(f func() bool) (abort bool) {
	defer func() {
		if recover() != nil {
			abort = true
		}
	}()
	return f()
}
