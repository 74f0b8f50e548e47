package bridge

import (
	"context"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRetroAbsent(t *testing.T) {
	if os.Getenv(envStock) == "" {
		t.Skipf("%s is not set", envStock)
	}
	model := loadModel(t)
	assert.False(t, model.lib.HasRetro())
	_, err := model.lib.RetroVersion()
	assert.ErrorIs(t, err, ErrRetroAbsent)
	c := newContext(t, model, ContextParams{Ctx: 256})
	err = c.EnableRetro("")
	require.ErrorIs(t, err, ErrRetroAbsent)
	assert.Contains(t, err.Error(), "patch")
	assert.ErrorIs(t, c.EnableRetro("a\x00"), ErrArgument)
	_, err = c.RetroStats()
	assert.ErrorIs(t, err, ErrRetroOff)
	assert.Empty(t, c.RetroSummary())
	assert.NoError(t, c.DisableRetro())
	feed(t, c, 0, 0, 1, 2)
}

func urgAction(t *testing.T) sigaction {
	t.Helper()
	var action sigaction
	_, _, errno := syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(syscall.SIGURG), 0,
		uintptr(unsafe.Pointer(&action)), sigsetSize, 0, 0)
	require.Zero(t, errno)
	return action
}

// The host keeps its signal handling beside the Go runtime of libretroattn.
func TestRetroLeavesHostRuntimeAlone(t *testing.T) {
	model := patchedModel(t)
	before := urgAction(t)
	version, err := model.lib.RetroVersion()
	require.NoError(t, err)
	assert.NotEmpty(t, version)
	assert.Equal(t, before, urgAction(t))
	c := newContext(t, model, ContextParams{Ctx: 512, FlashAttn: FlashOn})
	require.NoError(t, c.EnableRetro(""))
	assert.Equal(t, before, urgAction(t))

	// A loop without a call can be stopped only by SIGURG.
	var started, stop atomic.Bool
	go func() {
		started.Store(true)
		for n := 0; !stop.Load(); n++ {
			for i := range 1 << 20 {
				n ^= i
			}
		}
	}()
	for !started.Load() {
		runtime.Gosched()
	}
	collected := make(chan struct{})
	go func() {
		for range 20 {
			runtime.GC()
		}
		close(collected)
	}()
	select {
	case <-collected:
	case <-time.After(30 * time.Second):
		t.Error("runtime.GC hangs")
	}
	stop.Store(true)

	assert.Panics(t, func() { // SIGSEGV still reaches this runtime
		var p *int
		*p = 1
	})
}

func TestRetroOptions(t *testing.T) {
	model := patchedModel(t)
	c := newContext(t, model, ContextParams{Ctx: 512, FlashAttn: FlashOn})
	err := c.EnableRetro("no_such_option=1")
	require.Error(t, err)
	assert.Contains(t, err.Error(), "no_such_option")
	_, err = c.RetroStats()
	assert.ErrorIs(t, err, ErrRetroOff)

	require.NoError(t, c.EnableRetro(""))
	require.NoError(t, c.EnableRetro(""), "anew")
	_, err = c.RetroStats()
	assert.NoError(t, err)
	require.NoError(t, c.DisableRetro())
	_, err = c.RetroStats()
	assert.ErrorIs(t, err, ErrRetroOff)
	require.NoError(t, c.EnableRetro(""))
}

func TestRetroCounts(t *testing.T) {
	model := patchedModel(t)
	c := newContext(t, model, ContextParams{Ctx: 2048, FlashAttn: FlashOn})
	require.NoError(t, c.EnableRetro(""))
	out, err := c.Generate(context.Background(), strings.Repeat(prose+" ", 40),
		GenerateOptions{MaxTokens: 16}, nil)
	require.NoError(t, err)
	stats, err := c.RetroStats()
	require.NoError(t, err)
	assert.GreaterOrEqual(t, stats.Tokens, uint64(len(out.Tokens)-1))
	assert.LessOrEqual(t, stats.SparseTokens, stats.Tokens)
	assert.Contains(t, c.RetroSummary(), "sparse")
	t.Log(c.RetroSummary())
}
