package llama

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/bridge"
	"github.com/retroattn/retroattn/tests/harness"
)

// noModel is why no model of an architecture can be made, or runs alone.
var noModel = map[string]string{
	"clip":             "no: a part of other models, for images",
	"gptj":             "no: llama.cpp knows the name only",
	"rwkv6qwen2":       "no: a recurrent model has no attention",
	"gemma4-assistant": "no: it drafts with the cache of another model",
	"eagle3":           "no: it drafts with the features of another model",
	"dflash":           "no: it drafts with the features of another model",
}

// Of every architecture that llama.cpp knows, a small random model, or the reason why it is not
// served: without the feature the bits of stock; with everything read what stock computes; and
// sparse attention that is sparse, from a saved state on. What docs/models.md says of each is true.
func TestEveryArchitecture(t *testing.T) {
	harness.Slow(t)
	page, err := os.ReadFile("../../docs/models.md")
	require.NoError(t, err)
	program, all := harness.Fixtures(t)
	verdicts := map[string]string{}
	for _, f := range all {
		t.Run(f.Arch+" "+f.Kind, func(t *testing.T) {
			verdict, line := noModel[f.Arch], ""
			if verdict == "" {
				verdict, line = testFixture(t, f, program)
			}
			t.Logf("note: %s %s: %s", f.Arch, f.Kind, cmp.Or(line, verdict))
			name := f.Arch
			if f.Kind == "full" {
				name += ", without an indexer"
			}
			if verdicts[name] != "" {
				require.Equal(t, verdicts[name], verdict, "its models differ")
			}
			verdicts[name] = verdict
			require.Contains(t, string(page), fmt.Sprintf("\n| %s | %s |\n", name, verdict),
				"docs/models.md")
		})
	}
	served, refused := 0, 0
	for name, verdict := range verdicts {
		if strings.Contains(name, ",") {
			continue // a variant
		}
		if verdict == "yes" {
			served++
		} else {
			refused++
		}
	}
	t.Logf("note: architectures: %d served, %d refused", served, refused)
}

// archScript is a prompt and an answer, which begins with the op of this number.
func archScript() (s script, answer int) {
	r := rand.New(rand.NewPCG(3, 4))
	text := make([]bridge.Token, 1000)
	for i := range text {
		text[i] = bridge.Token(r.IntN(128))
	}
	w := newWriter(text)
	w.prefill(0, 600)
	w.prefill(0, 100)
	answer = len(w.script)
	w.decode(archSteps, 0)
	return w.script, answer
}

const archSteps = 12

// stockFixture is what stock llama.cpp computes of a model, or why it cannot.
func stockFixture(t *testing.T, path string, p bridge.ContextParams, s script) (rows [][]float32,
	reason string) {
	out, msg, err := job{Dir: harness.Setting(t, "RETRO_STOCK_DIR"), Model: path, Params: &p,
		Script: s}.try(t)
	if err != nil {
		if m := assertLine.FindString(msg); m != "" {
			return nil, "llama.cpp itself ends with " + m
		}
		line, _, _ := strings.Cut(msg, "\n")
		return nil, strings.TrimPrefix(strings.TrimPrefix(line, "bridge: "), "invalid argument: ")
	}
	return readRows(t, out, s.rows(), out.Len()/4/s.rows()), ""
}

// testFixture returns "yes" or the reason why not, and what was seen of a model that is served.
func testFixture(t *testing.T, f harness.Fixture, program string) (verdict, line string) {
	path := f.Make(t, program)
	defer os.Remove(path)
	p := contextParams(1, false)
	p.Ctx, p.TypeK, p.TypeV = 1024, "f32", "f32"
	if f.Arch == "chameleon" {
		p.UBatch = 2048 // llama.cpp ends where a micro-batch has no output
	}
	s, answer := archScript()
	stock, reason := stockFixture(t, path, p, s)
	if reason != "" {
		return "no: " + reason, ""
	}

	lib, err := bridge.Load(bridge.Paths{Dir: harness.Setting(t, "RETRO_PATCHED_DIR"),
		Retro: harness.Setting(t, "RETRO_LIB")})
	require.NoError(t, err)
	told, err := lib.Describe(path, p) // without weights
	require.NoError(t, err)
	m, err := lib.LoadModel(path, bridge.ModelParams{})
	require.NoError(t, err)
	defer func() { require.NoError(t, m.Close()) }()
	ctx, err := m.NewContext(p)
	require.NoError(t, err)
	defer func() { require.NoError(t, ctx.Close()) }()
	require.True(t, same(stock, play(t, ctx, s)), "off is not stock")

	layers := ""
	lib.SetLog(bridge.LogInfo, func(_ bridge.LogLevel, text string) {
		if m := layersLine.FindStringSubmatch(text); m != nil {
			layers = fmt.Sprintf("%s layers, %s sparse", m[2], m[1])
		}
		if strings.Contains(text, "full attention in") {
			layers += ", but" + text[strings.Index(text, ":")+1:]
		}
	})
	defer lib.SetLog(0, nil)
	window := ""
	enable := func(options string) error {
		require.NoError(t, ctx.MemoryClear())
		return ctx.EnableRetro(settled("min_ctx=0,local=32," + options + window))
	}
	err = enable("budget=100000")
	if err != nil && strings.Contains(err.Error(), "leave period out") {
		window = ",period=2"
		err = enable("budget=100000")
	}
	if err != nil {
		reason := strings.TrimPrefix(err.Error(), "bridge: cannot enable sparse attention: ")
		require.Equal(t, reason, told.Refused)
		return "no: " + reason, ""
	}
	require.Empty(t, told.Refused)
	require.Equal(t, fmt.Sprintf("%d layers, %d sparse", told.Layers, len(told.Served)),
		strings.SplitN(layers, ", but", 2)[0])
	exact := play(t, ctx, s[:answer])
	state, err := ctx.SeqStateData(0)
	require.NoError(t, err)
	exact = append(exact, play(t, ctx, s[answer:])...)
	st := counted(t, ctx)
	if st.Tokens == 0 {
		return "no: " + ctx.RetroSummary(), ""
	}
	require.EqualValues(t, archSteps, st.Tokens)
	require.Zero(t, st.SparseTokens)
	e, worst := nmse(t, possible(stock), possible(exact))
	if e > 1e-5 { // which may be what stock's flash attention rounds
		p.FlashAttn = bridge.FlashOff
		plain, reason := stockFixture(t, path, p, s)
		require.Empty(t, reason)
		if x, w := nmse(t, possible(plain), exact); x < e {
			e, worst = x, w
		}
	}
	require.Less(t, e, 1e-4, "exact: worst %.2g", worst)

	require.NoError(t, enable("budget=64"))
	require.NoError(t, ctx.SetSeqStateData(0, state))
	sparse := play(t, ctx, s[answer:])
	st = counted(t, ctx)
	require.EqualValues(t, archSteps, st.SparseTokens)
	require.Less(t, st.KVReadBytes, st.KVFullBytes/2)
	require.NotContains(t, layers, "but")
	d, _ := nmse(t, exact[len(exact)-archSteps:], possible(sparse))
	require.NotZero(t, d, "leaving tokens out changes nothing")
	return "yes", fmt.Sprintf("%s%s, exact NMSE %.1e, %d of %d tokens sparse (NMSE %.1e)", layers,
		window, e, st.SparseTokens, st.Tokens, d)
}

var (
	// logged when the feature is on
	layersLine = regexp.MustCompile(`libretroattn .*, (\d+) of (\d+) layers`)
	assertLine = regexp.MustCompile(`GGML_ASSERT\(.*\)`)
)
