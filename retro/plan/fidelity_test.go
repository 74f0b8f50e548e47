package plan

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/retro/options"
)

// measuredKL is the KL divergence from full attention, measured, of what a plan chooses among.
// Lines of one model, depth and selector stand together.
var measuredKL = []struct {
	model   string
	depth   int
	options string
	kl      float64
}{
	{"Qwen2.5-Coder-1.5B", 16384, "budget=512,window=1", 0.0188},
	{"Qwen2.5-Coder-1.5B", 16384, "budget=512,window=4,period=1", 0.0150},
	{"Qwen2.5-Coder-1.5B", 16384, "budget=512,window=8,period=8", 0.0158},
	{"Qwen2.5-Coder-1.5B", 16384, "budget=1024,window=1", 0.0095},
	{"Qwen2.5-Coder-1.5B, need=0", 16384, "need=0,budget=256,window=1", 0.0472},
	{"Qwen2.5-Coder-1.5B, need=0", 16384, "need=0,budget=512,window=1", 0.0286},
	{"Qwen2.5-Coder-1.5B, need=0", 16384, "need=0,budget=512,window=2,period=1", 0.0245},
	{"Qwen2.5-Coder-1.5B, need=0", 16384, "need=0,budget=512,window=4,period=1", 0.0221},
	{"Qwen2.5-Coder-1.5B, need=0", 16384, "need=0,budget=512,window=8,period=8", 0.0235},
	{"Qwen2.5-Coder-1.5B, need=0", 16384, "need=0,budget=1024,window=1", 0.0145},
	{"SmolLM2-135M", 4096, "budget=128,window=1", 0.0261},
	{"SmolLM2-135M", 4096, "budget=256,window=1", 0.0128},
	{"SmolLM2-135M, need=0", 4096, "need=0,budget=128,window=1", 0.0302},
	{"SmolLM2-135M, need=0", 4096, "need=0,budget=192,window=1", 0.0205},
	{"SmolLM2-135M, need=0", 4096, "need=0,budget=256,window=1", 0.0163},
	{"SmolLM2-135M", 4096, "select=pages,budget=256,window=1", 0.078},
	{"SmolLM2-135M", 4096, "select=pages,budget=256,window=2,period=1", 0.073},
	{"SmolLM2-135M", 4096, "select=pages,budget=256,window=8,period=8,correct_budget=1024", 0.061},
	{"SmolLM2-135M", 4096, "select=pages,budget=512,window=1", 0.036},
	{"SmolLM2-135M", 4096, "select=pages,budget=512,window=2,period=1", 0.033},
	{"SmolLM2-135M", 4096, "select=pages,budget=1024,window=1", 0.016},
	{"Qwen2.5-Coder-0.5B", 8192, "select=pages,budget=512,window=1", 0.083},
	{"Qwen2.5-Coder-0.5B", 8192, "select=pages,budget=1024,window=1", 0.034},
}

func choose(budget options.Budget, window, period int, correct options.Budget) options.Choice {
	return options.Choice{Budget: budget, Window: window, Period: period, CorrectBudget: correct}
}

// What a plan predicts against what was measured. Only ratios are predicted, so that each model's
// KL is scaled by the factor that fits best.
func TestFidelity(t *testing.T) {
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "model\tdepth\toptions\tmeasured\tpredicted\tratio")
	for begin := 0; begin < len(measuredKL); {
		first := measuredKL[begin]
		end := begin
		var predicted []float64
		scale, sel := 0.0, options.Selector(-1)
		for ; end < len(measuredKL); end++ {
			x := measuredKL[end]
			o := parsed(t, x.options)
			if x.model != first.model || x.depth != first.depth || end > begin && o.Select != sel {
				break
			}
			sel = o.Select
			m := measured{Depth: x.depth, Far: x.depth - o.Local - o.Page}
			require.False(t, o.Planned(), x.options)
			predicted = append(predicted, m.divergence(&o, o.Choice()))
			scale += math.Log(x.kl / predicted[end-begin])
		}
		scale = math.Exp(scale / float64(end-begin))
		worst := 0.0
		for i, p := range predicted {
			x := measuredKL[begin+i]
			off := x.kl / (scale * p)
			worst = max(worst, math.Abs(math.Log(off)))
			fmt.Fprintf(w, "%s\t%d\t%s\t%.4f\t%.4f\t%.2f\n", x.model, x.depth, x.options, x.kl,
				scale*p, off)
		}
		require.Less(t, worst, math.Log(1.25), "%s at %d is predicted badly", first.model,
			first.depth)
		begin = end
	}
	require.NoError(t, w.Flush())
	t.Logf("predicted against measured:\n%s", table.String())
	// What a plan relies on: more is better, and so is correction.
	for _, f := range []*fidelity{&byPages, &byTokens} {
		last := math.Inf(1)
		for _, c := range []options.Choice{choose(256, 1, 1, 0), choose(256, 8, 8, 0),
			choose(256, 8, 1, 0), choose(512, 1, 1, 0), choose(512, 2, 1, 0), choose(512, 4, 1, 0),
			choose(512, 16, 1, 0), choose(1024, 1, 1, 0)} {
			d := f.divergence(c, float64(c.Budget), 0)
			require.Less(t, d, last, c)
			last = d
		}
		require.Less(t, f.divergence(choose(512, 8, 8, 2048), 512, 2048),
			f.divergence(choose(512, 8, 8, 0), 512, 0))
	}
}
