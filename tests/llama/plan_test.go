package llama

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/tests/harness"
)

// The measurement leaves a context as it was: empty, with its counters at rest, and it
// decodes as one that was given the same options. In a context that holds tokens
// nothing is measured.
func TestPlanLeavesContext(t *testing.T) {
	harness.Slow(t)
	m := model(t, "RETRO_MODEL")
	p := contextParams(1, false)
	p.Ctx = 4096
	s := oneSequence(prose(t, m, 2000))
	ctx := newContext(t, m, p)
	require.NoError(t, ctx.EnableRetro("budget=64,min_ctx=0,window=2"))
	choice := harness.PlanLine.FindStringSubmatch(ctx.RetroPlan())
	require.NotNil(t, choice, ctx.RetroPlan())
	got := play(t, ctx, s)
	st, err := ctx.RetroStats()
	require.NoError(t, err)
	require.EqualValues(t, 24, st.Tokens)
	want, _ := playRetro(t, m, p, "min_ctx=0,"+strings.NewReplacer(", ", ",", " ",
		"=").Replace(choice[1]), s)
	require.True(t, same(want, got))

	require.NoError(t, ctx.EnableRetro("min_ctx=0"))
	require.Contains(t, ctx.RetroPlan(), "plan: budget 1024, window 1 (nothing could be measured")
	w := newWriter(prose(t, m, 2000))
	w.prefill(0, 300)
	ctx = newContext(t, m, p)
	_, err = w.script.play(ctx)
	require.NoError(t, err)
	require.NoError(t, ctx.EnableRetro("min_ctx=0"))
	w.script = nil
	w.decode(5, 0)
	_, err = w.script.play(ctx)
	require.NoError(t, err)
	_, err = ctx.RetroStats()
	require.NoError(t, err)
}
