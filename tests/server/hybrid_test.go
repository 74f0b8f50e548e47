package server

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/tests/harness"
)

// The slots of a server answer at the same time: with everything read as stock answers each
// question alone, and with little read by sparse tokens only.
func TestServerOfHybrids(t *testing.T) {
	harness.Slow(t)
	f := harness.Fixture{Arch: "qwen35", Kind: "dense"}
	program, _ := harness.Fixtures(t)
	args := []string{"-m", f.Make(t, program, "words")}
	deck := wordsDeck(6, 16)
	stock := harness.StartServerOf(t, harness.Setting(t, "RETRO_STOCK_DIR"), 1, args...)
	answerAlone(t, stock.URL, deck)
	for _, q := range deck {
		require.Equal(t, "limit", q.Alone.End, q.Alone.Message)
	}
	require.NoError(t, stock.Kill())

	for _, options := range []string{"budget=100000,min_ctx=0,always=1,window=4",
		"budget=32,local=16,min_ctx=0,window=4"} {
		exact := strings.HasPrefix(options, "budget=100000")
		server := harness.StartServer(t, 3, append([]string{"--retro-attn", "--retro-opts",
			options}, args...)...)
		for i, r := range answerTogether(t, server.URL, deck) {
			require.NotZero(t, r.Timings.Tokens)
			if !exact {
				require.Equal(t, r.Timings.Tokens, r.Timings.Sparse)
				require.NotZero(t, r.Timings.Corrections)
				continue
			}
			d, err := harness.Differs(deck[i].Alone, r)
			require.NoError(t, err)
			require.Less(t, d.Worst, loadBounds.Step)
			require.Zero(t, r.Timings.Sparse)
		}
		require.NoError(t, server.Kill())
	}
}

// wordsDeck are n questions to a model with random weights and the vocabulary of
// testdata/archs.cpp, with answers of so many tokens.
func wordsDeck(n, predict int) (deck []*harness.Request) {
	r := rand.New(rand.NewPCG(9, 10))
	for range n {
		q := &harness.Request{Predict: predict}
		for range 100 + r.IntN(100) {
			q.Prompt = append(q.Prompt, 3+r.IntN(125))
		}
		deck = append(deck, q)
	}
	return deck
}
