package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/bridge"
	"github.com/retroattn/retroattn/kernels"
	"github.com/retroattn/retroattn/retro/options"
)

func TestBandwidth(t *testing.T) {
	rate := bandwidth(2)
	assert.Greater(t, rate, 1e6)
	assert.Less(t, rate, 1e14)
}

func TestHugePages(t *testing.T) {
	assert.Equal(t, "used (madvise)", hugePagesOf("always [madvise] never\n", "file"))
	assert.Equal(t, "used (always)", hugePagesOf("[always] madvise never\n", "file"))
	assert.Equal(t, "off (always madvise [never]), which makes reading here and there slower: "+
		"write madvise to file", hugePagesOf("always madvise [never]\n", "file"))
	assert.Contains(t, hugePagesOf("", "file"), "off")
}

func TestHoldsLlama(t *testing.T) {
	for _, name := range []string{"libllama.so", "libllama.so.0", "libllama.dylib", "llama.dll"} {
		dir := filepath.Join(t.TempDir(), "a [b] c")
		require.NoError(t, os.Mkdir(dir, 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "libllama-common.so"), nil, 0o644))
		assert.False(t, holdsLlama(dir))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o644))
		assert.True(t, holdsLlama(dir), name)
	}
	assert.False(t, holdsLlama(filepath.Join(t.TempDir(), "none")))
}

// described is a model of four layers, of which one has a window and one has the keys of another.
func described() *bridge.Description {
	layer := bridge.DescribedLayer{TypeK: kernels.F16, TypeV: kernels.F16, Heads: 8, KVHeads: 2,
		DK: 64, DV: 64, KRow: 256, VRow: 256}
	shared := layer
	shared.Layer, shared.Shared = 2, true
	return &bridge.Description{Text: "tiny", Ctx: 8192, Layers: 4, PassSize: 1 << 20, Window: 512,
		WindowLayers: 1, Served: []bridge.DescribedLayer{layer, layer, shared}}
}

func TestServed(t *testing.T) {
	m := described()
	assert.Equal(t, "3 of 4 layers; 1 have a sliding window of 512 tokens (llama.cpp's, as ever)",
		served(m))
	m.Layers, m.RecurrentLayers = 9, 2
	assert.Equal(t, "3 of 9 layers; 1 have a sliding window of 512 tokens; 2 are recurrent; "+
		"3 have no attention of their own (llama.cpp's, as ever)", served(m))
}

func TestCache(t *testing.T) {
	m := described()
	assert.Equal(t, "1.0 KiB per token as it is asked for, 0.01 GiB for 8192 tokens; f16: 1.0 KiB; "+
		"q8_0: 0.5 KiB; q4_0: 0.3 KiB", cache(m))
	for i := range m.Served {
		m.Served[i].Latent, m.Served[i].DK = true, 72
	}
	assert.EqualValues(t, 512, cacheRow(m), "values are a part of the keys")
	assert.NotContains(t, cache(m), "q8_0", "heads of 72 do not fit its blocks")
}

// What the plan says is of the layers of the model; what the library refuses is said.
func TestPlanned(t *testing.T) {
	m := described()
	line, err := planned(m, options.Default(), 2, 0.01)
	require.NoError(t, err)
	assert.Regexp(t, `^plan: budget \d+, window 1 `, line)
	m.Ctx = 256
	line, err = planned(m, options.Default(), 2, 0.01)
	require.NoError(t, err)
	assert.Contains(t, line, "attended to exactly")
	m.Served[1].TypeK = 3
	_, err = planned(m, options.Default(), 2, 0.01)
	assert.ErrorContains(t, err, "layer 1 has K or V of q4_1")
	m.Served[0].KRow = 1 << 40
	_, err = planned(m, options.Default(), 2, 0.01)
	assert.ErrorContains(t, err, "of the free memory")
}

func TestTellRefused(t *testing.T) {
	var out bytes.Buffer
	say := func(name, format string, args ...any) {
		fmt.Fprintf(&out, name+" "+format+"\n", args...)
	}
	m := &bridge.Description{Text: "mamba", Layers: 3, Refused: "a recurrent model has no attention"}
	require.NoError(t, (&doctor{}).model(say, m, 1e9))
	assert.Equal(t, "model mamba, 3 layers\nserved nothing: a recurrent model has no attention\n",
		out.String())
}

func TestRefuses(t *testing.T) {
	assert.ErrorContains(t, (&doctor{Threads: -1}).Validate(), "must be 0..512")
	_, err := (&doctor{}).load()
	assert.ErrorContains(t, err, "name its folder by --lib")
}
