package bridge

import "sync/atomic"

// guard lets one call at a time into a C object, and none after close. The zero value is open and
// idle.
type guard struct{ state atomic.Int32 }

// values of guard.state
const (
	stateIdle int32 = iota
	stateBusy
	stateClosed
)

// enter claims the object for a call; leave ends it.
func (g *guard) enter() error {
	if !g.state.CompareAndSwap(stateIdle, stateBusy) {
		if g.state.Load() == stateClosed {
			return ErrClosed
		}
		return ErrBusy
	}
	return nil
}

func (g *guard) leave() { g.state.Store(stateIdle) }

// close closes the object for good. It says whether this is the call that has to free it.
func (g *guard) close() (first bool, err error) {
	if g.state.CompareAndSwap(stateIdle, stateClosed) {
		return true, nil
	}
	if g.state.Load() == stateClosed {
		return false, nil
	}
	return false, ErrBusy
}
