package main

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/retroattn/retroattn/retro/failure"
)

// gate keeps calls on one engine apart that the host must not make at the same time, so that its
// mistake is an error and not a crash: each thread number is in one call at a time, and only
// retro_select and retro_attend are in together. A call where all is right writes to no cache line
// but its own.
type gate struct {
	mutex  sync.Mutex // held by a call that is alone
	alone  atomic.Bool
	closed atomic.Bool
	seats  []seat // by thread number
}

type seat struct {
	taken atomic.Bool
	_     [63]byte
}

var errBusy = fmt.Errorf("%w: retro_select or retro_attend has not returned on another thread",
	failure.State)

// enter lets thread ith into a phase. Calls that are alone do not wait for anybody, so that waiting
// for them ends.
func (g *gate) enter(ith uint32) error {
	if int(ith) >= len(g.seats) {
		return argument(fmt.Sprintf("thread %d: the engine was opened for %d", ith, len(g.seats)))
	}
	for s := &g.seats[ith]; !g.closed.Load(); runtime.Gosched() {
		if !s.taken.CompareAndSwap(false, true) {
			return fmt.Errorf("%w: thread %d is in a call already", failure.State, ith)
		}
		if !g.alone.Load() && !g.closed.Load() {
			return nil
		}
		s.taken.Store(false)
	}
	return errHandle
}

func (g *gate) leave(ith uint32) { g.seats[ith].taken.Store(false) }

// enterAlone waits for calls of its kind, but not for a phase.
func (g *gate) enterAlone() error {
	g.mutex.Lock()
	g.alone.Store(true)
	switch {
	case g.closed.Load():
		g.leaveAlone()
		return errHandle
	case g.occupied():
		g.leaveAlone()
		return errBusy
	}
	return nil
}

func (g *gate) leaveAlone() {
	g.alone.Store(false)
	g.mutex.Unlock()
}

func (g *gate) occupied() bool {
	for i := range g.seats {
		if g.seats[i].taken.Load() {
			return true
		}
	}
	return false
}

// close refuses whoever comes and waits for those who are in: they read memory that the host will
// free.
func (g *gate) close() {
	g.closed.Store(true)
	g.mutex.Lock()
	defer g.mutex.Unlock()
	for g.occupied() {
		runtime.Gosched()
	}
}
