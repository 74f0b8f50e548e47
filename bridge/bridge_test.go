package bridge

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestStructsAreThoseOfLlamaHeader(t *testing.T) {
	var m cModelParams
	assert.EqualValues(t, 80, unsafe.Sizeof(m))
	assert.EqualValues(t, 16, unsafe.Offsetof(m.nGPULayers))
	assert.EqualValues(t, 24, unsafe.Offsetof(m.loadMode))
	assert.EqualValues(t, 32, unsafe.Offsetof(m.mainGPU))
	assert.EqualValues(t, 40, unsafe.Offsetof(m.tensorSplit))
	assert.EqualValues(t, 72, unsafe.Offsetof(m.vocabOnly))
	assert.EqualValues(t, 77, unsafe.Offsetof(m.loadMTP))

	var c cContextParams
	assert.EqualValues(t, 160, unsafe.Sizeof(c))
	assert.EqualValues(t, 52, unsafe.Offsetof(c.flashAttnType))
	assert.EqualValues(t, 56, unsafe.Offsetof(c.ropeFreqBase))
	assert.EqualValues(t, 88, unsafe.Offsetof(c.cbEval))
	assert.EqualValues(t, 104, unsafe.Offsetof(c.typeK))
	assert.EqualValues(t, 112, unsafe.Offsetof(c.abortCallback))
	assert.EqualValues(t, 128, unsafe.Offsetof(c.embeddings))
	assert.EqualValues(t, 133, unsafe.Offsetof(c.kvUnified))
	assert.EqualValues(t, 136, unsafe.Offsetof(c.samplers))
	assert.EqualValues(t, 152, unsafe.Offsetof(c.ctxOther))

	var b cBatch
	assert.EqualValues(t, 56, unsafe.Sizeof(b))
	assert.EqualValues(t, 8, unsafe.Offsetof(b.token))
	assert.EqualValues(t, 24, unsafe.Offsetof(b.pos))
	assert.EqualValues(t, 48, unsafe.Offsetof(b.logits))
}

func TestCheckLayout(t *testing.T) {
	require.NoError(t, checkLayout("0.5.0", knownModelDefaults, knownContextDefaults))

	moved := knownContextDefaults // as if a field were added in front
	moved.nCtx, moved.nBatch = 0, 512
	assert.ErrorIs(t, checkLayout("0.5.0", knownModelDefaults, moved), ErrLayout)
	longer := knownContextDefaults
	longer.tail[0] = 1
	assert.ErrorIs(t, checkLayout("0.5.0", knownModelDefaults, longer), ErrLayout)
	model := knownModelDefaults
	model.useExtraBufts, model.noHost = false, true
	assert.ErrorIs(t, checkLayout("0.5.0", model, knownContextDefaults), ErrLayout)
}

func TestBatch(t *testing.T) {
	b := NewBatch(1)
	for round := range 3 {
		b.Clear()
		for i := range 100 { // beyond its first capacity
			b.Add(Token(i+round), 1000+i, i%4, i%10 == 0)
		}
		runtime.GC()
		raw := b.pin()
		require.EqualValues(t, 100, raw.nTokens)
		tokens := unsafe.Slice((*int32)(raw.token), 100)
		pos := unsafe.Slice((*int32)(raw.pos), 100)
		ones := unsafe.Slice((*int32)(raw.nSeqID), 100)
		seqs := unsafe.Slice((**int32)(raw.seqID), 100)
		logits := unsafe.Slice((*int8)(raw.logits), 100)
		for i := range 100 {
			require.EqualValues(t, i+round, tokens[i])
			require.EqualValues(t, 1000+i, pos[i])
			require.EqualValues(t, 1, ones[i])
			require.EqualValues(t, i%4, *seqs[i])
			require.Equal(t, i%10 == 0, logits[i] == 1)
		}
		b.unpin()
	}
}

func TestBatchKeepsFirstBadAdd(t *testing.T) {
	for _, c := range []struct{ token, pos, seq int }{
		{-1, 0, 0}, {0, -1, 0}, {0, 1<<31 - 1, 0}, {0, 1 << 40, 0}, {0, 0, -1}, {0, 0, 256},
		{0, 0, 1 << 40},
	} {
		b := NewBatch(-1)
		b.Add(0, 0, 0, false)
		b.Add(Token(c.token), c.pos, c.seq, false)
		b.Add(-7, 0, 0, false)
		require.ErrorIs(t, b.err, ErrArgument)
		assert.Contains(t, b.err.Error(), "entry 1")
		b.Clear()
		assert.NoError(t, b.err)
	}
}

func TestDecodeError(t *testing.T) {
	assert.ErrorIs(t, &DecodeError{Code: 1}, ErrNoSlot)
	assert.ErrorIs(t, &DecodeError{Code: 2}, ErrAborted)
	other := fmt.Errorf("step: %w", &DecodeError{Code: -3, Detail: "why"})
	assert.False(t, errors.Is(other, ErrNoSlot))
	var d *DecodeError
	require.ErrorAs(t, other, &d)
	assert.Equal(t, -3, d.Code)
	assert.Equal(t, "step: bridge: llama_decode failed with code -3: why", other.Error())
	assert.Equal(t, "bridge: invalid batch", (&DecodeError{Code: -1}).Error())
}

func TestContextParams(t *testing.T) {
	base := knownContextDefaults.cContextParams
	c, err := ContextParams{}.resolve(base)
	require.NoError(t, err)
	assert.EqualValues(t, 1, c.nSeqMax)
	assert.EqualValues(t, -1, c.flashAttnType)
	assert.Equal(t, base.typeK, c.typeK)
	assert.True(t, c.offloadKQV)
	c, err = ContextParams{FlashAttn: FlashOn, TypeK: "q8_0", Threads: 3,
		HostKV: true}.resolve(base)
	require.NoError(t, err)
	assert.False(t, c.offloadKQV)
	assert.EqualValues(t, []int32{1, 8, 1, 3},
		[]int32{c.flashAttnType, c.typeK, c.typeV, c.nThreadsBatch})
	for _, bad := range []ContextParams{
		{Ctx: -1}, {Ctx: 1 << 40}, {Batch: -1}, {UBatch: -5}, {Seqs: 257}, {Threads: -1},
		{Threads: 513},
		{FlashAttn: 7}, {TypeK: "F16"}, {TypeV: "i8"},
	} {
		_, err := bad.resolve(base)
		assert.ErrorIs(t, err, ErrArgument, "%+v", bad)
	}
}

func TestLoadRejects(t *testing.T) {
	_, err := Load(Paths{})
	assert.ErrorIs(t, err, ErrArgument)
	_, err = Load(Paths{Dir: filepath.Join(t.TempDir(), "none")})
	assert.ErrorIs(t, err, os.ErrNotExist)
	if process.dir != "" {
		t.Skip("a llama.cpp is loaded")
	}
	dir := t.TempDir()
	_, err = Load(Paths{Dir: dir})
	assert.ErrorIs(t, err, os.ErrNotExist)
	_, err = Load(Paths{Dir: dir, Retro: filepath.Join(dir, "none.so")})
	assert.ErrorIs(t, err, os.ErrNotExist)
	require.NoError(t, os.WriteFile(filepath.Join(dir, llamaNames[0]), []byte("no library"), 0o600))
	_, err = Load(Paths{Dir: dir})
	require.Error(t, err)
	assert.Empty(t, process.dir, "a failed Load must not bind the process to its folder")
}

func TestClosedAndNilObjects(t *testing.T) {
	var m *Model
	_, err := m.Tokenize("x", false, false)
	assert.ErrorIs(t, err, ErrArgument)
	_, err = m.NewContext(ContextParams{})
	assert.ErrorIs(t, err, ErrArgument)
	assert.NoError(t, m.Close())
	_, err = new(Model).Detokenize(1)
	assert.ErrorIs(t, err, ErrClosed)

	var c *Context
	assert.ErrorIs(t, c.Decode(NewBatch(1)), ErrArgument)
	assert.NoError(t, c.Close())
	assert.ErrorIs(t, new(Context).EnableRetro(""), ErrArgument)
	busy := &Context{lib: &Library{}}
	require.NoError(t, busy.enter())
	assert.ErrorIs(t, busy.MemoryClear(), ErrBusy)
	assert.ErrorIs(t, busy.Close(), ErrBusy)
}

func TestLoggerFiltersAndCaptures(t *testing.T) {
	text := func(s string) *byte { return &append([]byte(s), 0)[0] }
	lib := &Library{}
	var got []string
	lib.SetLog(LogWarn, func(level LogLevel, s string) { got = append(got, fmt.Sprint(level, s)) })
	detail := lib.log.capture(func() {
		lib.log.receive(LogInfo, text("info"))
		lib.log.receive(LogError, text("bad\n"))
		lib.log.receive(logContinue, text("worse\n"))
		lib.log.receive(LogWarn, text(""))
		lib.log.receive(LogError, nil)
	})
	assert.Equal(t, []string{"4bad\n", "4worse\n", "3", "4"}, got)
	if haveThreadID {
		assert.True(t, strings.HasPrefix(detail, "bad; worse"), detail)
	}
	lib.SetLog(LogDebug, func(LogLevel, string) { panic("swallowed") })
	lib.log.receive(LogInfo, text("x"))
	lib.SetLog(LogDebug, nil)
	lib.log.receive(LogError, text("dropped"))
}

func TestWholeRunes(t *testing.T) {
	for text, want := range map[string]int{
		"": 0, "abc": 3, "é": 2, "a\xc3": 1, "\xf0\x9f\x98": 0, "ab\xe2\x82": 2,
		"\x80\x80\x80\x80\x80": 5, "a\xff": 2,
	} {
		assert.Equal(t, want, wholeRunes([]byte(text)), "%q", text)
	}
}

func TestArgmax(t *testing.T) {
	assert.EqualValues(t, -1, Argmax(nil))
	assert.EqualValues(t, 1, Argmax([]float32{-2, 3, 3, -9}))
}
