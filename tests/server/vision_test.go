package server

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/tests/gguf"
	"github.com/retroattn/retroattn/tests/harness"
)

// visionModel writes what makes embeddings of pictures for a small qwen2vl: one layer with random
// weights.
func visionModel(t *testing.T) string {
	const embd, ff, patch, text = 32, 64, 14, 128
	g := &harness.Maker{File: gguf.New("clip"), Random: rand.New(rand.NewPCG(5, 6))}
	g.Set("has_vision_encoder", true)
	g.Set("projector_type", "qwen2vl_merger")
	g.Set("vision.embedding_length", embd)
	g.Set("vision.attention.head_count", 2)
	g.Set("vision.attention.layer_norm_epsilon", 1e-6)
	g.Set("vision.feed_forward_length", ff)
	g.Set("vision.block_count", 1)
	g.Set("vision.projection_dim", text)
	g.Set("vision.image_size", 280)
	g.Set("vision.patch_size", patch)
	g.Set("vision.image_mean", []float32{0.5, 0.5, 0.5})
	g.Set("vision.image_std", []float32{0.3, 0.3, 0.3})
	linear := func(name string, in, out int) {
		g.Matrix(name+".weight", 1, in, out)
		g.Normal(name+".bias", 0, 0.3, out)
	}
	norm := func(name string) {
		g.Normal(name+".weight", 1, 0.1, embd)
		g.Normal(name+".bias", 0, 0.3, embd)
	}
	for _, name := range []string{"v.patch_embd.weight", "v.patch_embd.weight.1"} {
		g.Normal(name, 0, 1/harness.Sqrt(3*patch*patch), patch, patch, 3, embd)
	}
	for _, name := range []string{"attn_q", "attn_k", "attn_v", "attn_out"} {
		linear("v.blk.0."+name, embd, embd)
	}
	linear("v.blk.0.ffn_up", embd, ff)
	linear("v.blk.0.ffn_down", ff, embd)
	norm("v.blk.0.ln1")
	norm("v.blk.0.ln2")
	norm("v.post_ln")
	linear("mm.0", 4*embd, 4*embd)
	linear("mm.2", 4*embd, text)
	return g.Save(t, "vision")
}

// painted is a picture of random stripes, as servers take it.
func painted(t *testing.T, r *rand.Rand, wide, high int) string {
	m := image.NewRGBA(image.Rect(0, 0, wide, high))
	for x := range wide {
		c := color.RGBA{uint8(r.IntN(256)), uint8(r.IntN(256)), uint8(r.IntN(256)), 255}
		for y := range high {
			m.SetRGBA(x, y, c)
		}
	}
	var b bytes.Buffer
	require.NoError(t, png.Encode(&b, m))
	return base64.StdEncoding.EncodeToString(b.Bytes())
}

// pictureAsked are questions with pictures before and in the middle of a text, and one without.
func pictureAsked(t *testing.T) (deck []*harness.Request) {
	r := rand.New(rand.NewPCG(7, 8))
	words := func(n int) string {
		var b strings.Builder
		for range n {
			fmt.Fprintf(&b, "w%d ", 5+r.IntN(harness.SmallVocab-5))
		}
		return b.String()
	}
	for i := range 5 {
		text, pictures := words(150), []string{}
		for range i % 3 {
			text += "<__media__>" + words(20+r.IntN(40))
			pictures = append(pictures, painted(t, r, 28*(4+r.IntN(6)), 28*(4+r.IntN(6))))
		}
		prompt := any(text)
		if len(pictures) > 0 {
			prompt = map[string]any{"prompt_string": text, "multimodal_data": pictures}
		}
		deck = append(deck, &harness.Request{Predict: 16, More: map[string]any{"prompt": prompt}})
	}
	return deck
}

// The slots of a server are asked of pictures at the same time: with everything read each answer is
// as stock's, to the question alone, and with little read all tokens of all answers are sparse.
func TestServerSeesPictures(t *testing.T) {
	t.Setenv("LLAMA_MEDIA_MARKER", "<__media__>")
	args := []string{"-m", harness.SmallModel(t,
		harness.Architecture{Name: "qwen2vl", Bias: true, MRoPE: true, Words: true}), "--mmproj",
		visionModel(t)}
	deck := pictureAsked(t)
	stock := harness.StartServerOf(t, harness.Setting(t, "RETRO_STOCK_DIR"), 1, args...)
	answerAlone(t, stock.URL, deck)
	for _, q := range deck {
		require.Equal(t, "limit", q.Alone.End, q.Alone.Message)
	}
	require.NoError(t, stock.Kill())
	d, err := harness.Differs(deck[1].Alone, deck[2].Alone)
	require.True(t, err != nil || d.Worst > loadBounds.Step, "%+v", d)

	ask := func(t *testing.T, options string) []harness.Reply {
		server := harness.StartServer(t, 3, append([]string{"--retro-attn", "--retro-opts",
			options}, args...)...)
		return answerTogether(t, server.URL, deck)
	}
	t.Run("exact", func(t *testing.T) {
		for i, r := range ask(t, exactOptions) {
			d, err := harness.Differs(deck[i].Alone, r)
			require.NoError(t, err)
			require.Less(t, d.Worst, loadBounds.Step)
			require.Less(t, d.Sum/float64(d.Steps), loadBounds.Mean)
			require.NotZero(t, r.Timings.Tokens)
			require.Zero(t, r.Timings.Sparse)
		}
	})
	t.Run("sparse", func(t *testing.T) {
		for _, r := range ask(t, loadOptions) {
			require.NotZero(t, r.Timings.Tokens)
			require.Equal(t, r.Timings.Tokens, r.Timings.Sparse)
			require.Less(t, r.Timings.KVReadShare, 0.9)
			require.NotZero(t, r.Timings.Corrections)
		}
	})
}
