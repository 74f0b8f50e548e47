package llama

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/bridge"
	"github.com/retroattn/retroattn/retro/stats"
	"github.com/retroattn/retroattn/tests/harness"
)

func contextParams(seqs int, unified bool) bridge.ContextParams {
	return bridge.ContextParams{Ctx: 2048 * seqs, Seqs: seqs, Unified: unified, Threads: 2,
		FlashAttn: bridge.FlashOn}
}

var models = map[string]*bridge.Model{}

// model is the patched llama.cpp with the model that the environment names.
func model(t *testing.T, env string) *bridge.Model {
	t.Helper()
	path := harness.Setting(t, env)
	lib, err := bridge.Load(bridge.Paths{Dir: harness.Setting(t, "RETRO_PATCHED_DIR"),
		Retro: harness.Setting(t, "RETRO_LIB")})
	require.NoError(t, err)
	require.True(t, lib.HasRetro(), "the build is not patched")
	if models[path] == nil {
		models[path], err = lib.LoadModel(path, bridge.ModelParams{})
		require.NoError(t, err)
	}
	return models[path]
}

func newContext(t *testing.T, m *bridge.Model, p bridge.ContextParams) *bridge.Context {
	t.Helper()
	ctx, err := m.NewContext(p)
	require.NoError(t, err)
	t.Cleanup(func() { ctx.Close() })
	return ctx
}

// source is text of the pinned llama.cpp tree: prose and code that never change.
func source(t *testing.T, m *bridge.Model, n int, files ...string) []bridge.Token {
	t.Helper()
	dir := harness.Setting(t, "RETRO_SOURCE")
	var b strings.Builder
	for _, f := range files {
		data, err := os.ReadFile(filepath.Join(dir, f))
		require.NoError(t, err)
		b.Write(data)
	}
	tokens, err := m.Tokenize(b.String(), true, false)
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(tokens), n, "the text is too short")
	return tokens[:n]
}

func prose(t *testing.T, m *bridge.Model, n int) []bridge.Token {
	return source(t, m, n, "docs/build.md", "README.md")
}

// openHybrid is the patched llama.cpp with such a model, and where its file is.
func openHybrid(t *testing.T, f harness.Fixture) (m *bridge.Model, path string,
	text []bridge.Token) {
	program, _ := harness.Fixtures(t)
	path = f.Make(t, program)
	lib, err := bridge.Load(bridge.Paths{Dir: harness.Setting(t, "RETRO_PATCHED_DIR"),
		Retro: harness.Setting(t, "RETRO_LIB")})
	require.NoError(t, err)
	m, err = lib.LoadModel(path, bridge.ModelParams{})
	require.NoError(t, err)
	t.Cleanup(func() { m.Close() })
	r := rand.New(rand.NewPCG(3, 4))
	text = make([]bridge.Token, 1000)
	for i := range text {
		text[i] = bridge.Token(r.IntN(128))
	}
	return m, path, text
}

// settled are options that leave nothing to a plan, whatever else they say.
func settled(options string) string { return "budget=512,window=2,period=1," + options }

// playRetro plays a script in a new context with the feature on.
func playRetro(t *testing.T, m *bridge.Model, p bridge.ContextParams, options string,
	s script) ([][]float32, stats.Stats) {
	t.Helper()
	ctx := newContext(t, m, p)
	require.NoError(t, ctx.EnableRetro(settled(options)))
	rows, err := s.play(ctx)
	require.NoError(t, err)
	st, err := ctx.RetroStats()
	require.NoError(t, err)
	t.Logf("seen: memory per sequence: %.3f kB",
		float64(st.SummaryBytes+st.RingBytes)/1e3/float64(max(1, p.Seqs)))
	if steps, passes, err := ctx.RetroPasses(); err == nil && steps > 0 {
		t.Logf("seen: ubatches per step: %.3f", float64(passes)/float64(steps))
	}
	return rows, st
}

// random is a small model of random weights, its file, and a text for it.
func random(t *testing.T, a harness.Architecture) (m *bridge.Model, path string,
	text []bridge.Token) {
	t.Helper()
	lib, err := bridge.Load(bridge.Paths{Dir: harness.Setting(t, "RETRO_PATCHED_DIR"),
		Retro: harness.Setting(t, "RETRO_LIB")})
	require.NoError(t, err)
	path = harness.SmallModel(t, a)
	m, err = lib.LoadModel(path, bridge.ModelParams{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	r := rand.New(rand.NewPCG(3, 4))
	text = make([]bridge.Token, 2000)
	for i := range text {
		text[i] = bridge.Token(r.IntN(harness.SmallVocab))
	}
	return m, path, text
}

// onContext is a new context; without options the feature is off.
func onContext(t *testing.T, m *bridge.Model, p bridge.ContextParams,
	options string) *bridge.Context {
	t.Helper()
	ctx := newContext(t, m, p)
	if options != "" {
		require.NoError(t, ctx.EnableRetro(settled(options)))
	}
	return ctx
}

func play(t *testing.T, ctx *bridge.Context, s script) [][]float32 {
	t.Helper()
	rows, err := s.play(ctx)
	require.NoError(t, err)
	return rows
}

func counted(t *testing.T, ctx *bridge.Context) stats.Stats {
	t.Helper()
	st, err := ctx.RetroStats()
	require.NoError(t, err)
	return st
}
