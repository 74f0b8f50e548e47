package main

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/retro/failure"
)

func TestGate(t *testing.T) {
	g := gate{seats: make([]seat, 2)}
	require.NoError(t, g.enter(0))
	require.NoError(t, g.enter(1))
	require.ErrorIs(t, g.enter(1), failure.State, "the same thread twice")
	require.ErrorIs(t, g.enter(2), failure.Argument)
	require.ErrorIs(t, g.enterAlone(), failure.State)
	g.leave(0)
	require.ErrorIs(t, g.enterAlone(), failure.State)
	g.leave(1)
	require.NoError(t, g.enterAlone())
	g.leaveAlone()
	require.NoError(t, g.enter(1))

	closed := make(chan bool)
	go func() {
		g.close()
		close(closed)
	}()
	require.Eventually(t, g.closed.Load, time.Minute, time.Millisecond)
	require.Equal(t, errHandle, g.enter(0))
	select {
	case <-closed:
		t.Fatal("closed while a thread is in")
	case <-time.After(20 * time.Millisecond):
	}
	g.leave(1)
	<-closed
	require.Equal(t, errHandle, g.enterAlone())
	require.Equal(t, errHandle, g.enter(0))
}

// Whatever threads do, a call that is alone is.
func TestGateUnderLoad(t *testing.T) {
	g := gate{seats: make([]seat, 3)}
	var inside, phases, alone atomic.Int32
	var wg sync.WaitGroup
	for ith := range uint32(len(g.seats)) {
		wg.Go(func() {
			for range 20000 {
				if g.enter(ith) == nil {
					if inside.Add(1); inside.Load() >= 100 {
						t.Error("with a call that is alone")
					}
					phases.Add(1)
					inside.Add(-1)
					g.leave(ith)
				}
				if g.enterAlone() == nil {
					if inside.Add(100) != 100 {
						t.Error("not alone")
					}
					alone.Add(1)
					inside.Add(-100)
					g.leaveAlone()
				}
			}
		})
	}
	wg.Wait()
	require.NotZero(t, phases.Load())
	require.NotZero(t, alone.Load())
}
