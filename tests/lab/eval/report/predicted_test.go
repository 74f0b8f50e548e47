package report

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/retro/options"
	"github.com/retroattn/retroattn/retro/plan"
)

// What follows the prediction has a ratio of 1, and a policy that a plan cannot choose has none.
func TestPrintPredicted(t *testing.T) {
	var records []Record
	for _, text := range []string{"budget=256,window=1", "budget=1024,window=1",
		"budget=512,window=8,period=8", "budget=512,window=1,beta=1",
		"select=pages,budget=512,window=1"} {
		o, err := options.Parse(text)
		require.NoError(t, err)
		r := Record{Test: "decode", Model: "m", KV: "f16", Ctx: 4096, Streams: 1, Tokens: 64,
			Text: "a", Policy: text, Options: text, SparseTokens: 64}.Unmeasured()
		r.KL = 0.05 * plan.Predicted(o, 4096)
		records = append(records, r)
	}
	var out strings.Builder
	require.NoError(t, PrintPredicted(&out, records))
	t.Log(out.String())
	require.Equal(t, 3, strings.Count(out.String(), "1.00"), "three policies, as predicted")
	require.NotContains(t, out.String(), "beta")
	require.NotContains(t, out.String(), "pages")
}
