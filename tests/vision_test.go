package tests

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"retroattn/tests/gguf"
)

// of testdata/picture.c: 2 times before the state is saved, once alone and once beside a copy after that, and once after it was loaded
const pictureSteps = 10

// pictureProgram is testdata/picture.c, which runs with any build of llama.cpp.
func pictureProgram(t *testing.T) string {
	source, libs := setting(t, "RETRO_SOURCE"), setting(t, "RETRO_PATCHED_DIR")
	exe := filepath.Join(t.TempDir(), "picture")
	run(t, compiler(t), "-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "testdata/picture.c", "-o", exe,
		"-I"+filepath.Join(source, "include"), "-I"+filepath.Join(source, "ggml/include"), "-L"+libs, "-Wl,-rpath-link,"+libs, "-lllama", "-lggml", "-lggml-base")
	return exe
}

var contextLine = regexp.MustCompile(`retro attention: (\d+) of (\d+) tokens sparse(?:.* (\d+) corrections)?`)

// playPicture returns the logits of the parts: before the state is saved, after that, beside a copy, of the copy, and after
// the state was loaded. And what the contexts said of tokens: how many were sparse, decoded, and embedded again.
func playPicture(t *testing.T, exe, dir, model string, env ...string) (parts [5][][]float32, counts [][3]int) {
	out := filepath.Join(t.TempDir(), "logits")
	cmd := exec.Command(exe, model, out, filepath.Join(t.TempDir(), "state"))
	cmd.Env = append(os.Environ(), append(env, "LD_LIBRARY_PATH="+dir)...)
	log, err := cmd.CombinedOutput()
	require.NoError(t, err, string(log))
	data, err := os.ReadFile(out)
	require.NoError(t, err)
	const n = pictureSteps
	rows := readRows(t, bytes.NewBuffer(data), 6*n, len(data)/4/6/n)
	parts[0], parts[1], parts[4] = rows[:2*n], rows[2*n:3*n], rows[5*n:]
	for i := range n {
		parts[2] = append(parts[2], rows[3*n+2*i])
		parts[3] = append(parts[3], rows[3*n+2*i+1])
	}
	for _, m := range contextLine.FindAllStringSubmatch(string(log), -1) {
		var c [3]int
		for i := range c {
			c[i], _ = strconv.Atoi(m[i+1])
		}
		counts = append(counts, c)
	}
	return parts, counts
}

// Tokens of pictures share a position. They are dense, the text behind them is sparse and corrected, also right behind them;
// with everything read it is stock's. A copy and a loaded state go on with the same bits.
func TestPictures(t *testing.T) {
	exe := pictureProgram(t)
	t.Run("qwen2vl", func(t *testing.T) {
		testPictures(t, exe, smallModel(t, architecture{name: "qwen2vl", bias: true, mrope: true}),
			"budget=100000,min_ctx=0,always=1,window=4,period=2", "budget=16,local=16,min_ctx=0,window=4,period=4")
	})
	t.Run("qwen35", func(t *testing.T) { // a loaded state holds no copy of recurrent state, so there is no window
		program, _ := fixtures(t)
		testPictures(t, exe, fixture{"qwen35", "dense"}.make(t, program),
			"budget=100000,min_ctx=0,always=1,window=4", "budget=16,local=16,min_ctx=0,window=1")
	})
}

func testPictures(t *testing.T, exe, model, exactOptions, sparseOptions string) {
	patched := setting(t, "RETRO_PATCHED_DIR")
	stock, _ := playPicture(t, exe, setting(t, "RETRO_STOCK_DIR"), model)
	off, _ := playPicture(t, exe, patched, model)
	play := func(options string) [5][][]float32 {
		got, counts := playPicture(t, exe, patched, model, "LLAMA_RETRO_LIB="+setting(t, "RETRO_LIB"), "LLAMA_RETRO_ATTN="+options)
		require.Len(t, counts, 2)
		// the token after each picture is the end of a prompt, as a picture asks for no output
		require.Equal(t, [2]int{5 * pictureSteps, pictureSteps}, [2]int{counts[0][1], counts[1][1]}, "decoded")
		for _, c := range counts {
			if options[:9] == "budget=16" {
				require.Equal(t, c[1], c[0], "sparse")
				require.Equal(t, strings.Contains(options, "period"), c[2] > 0, "corrected")
			}
		}
		return got
	}
	for i := range stock {
		require.True(t, same(stock[i], off[i]), "off")
	}
	exact := play(exactOptions)
	sparse := play(sparseOptions)
	for i := range stock {
		e, worst := nmse(t, stock[i], exact[i])
		t.Logf("exact: NMSE %.2g, worst token %.2g", e, worst)
		require.Less(t, worst, 1e-4)
		d, _ := nmse(t, stock[i], sparse[i])
		require.Greater(t, d, 2*e)
	}
	require.True(t, same(sparse[1], sparse[4]), "a loaded state")
}

// visionModel writes what makes embeddings of pictures for a small qwen2vl: one layer with random weights.
func visionModel(t *testing.T) string {
	const embd, ff, patch, text = 32, 64, 14, 128
	g := &maker{File: gguf.New("clip"), random: rand.New(rand.NewPCG(5, 6))}
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
		g.matrix(name+".weight", 1, in, out)
		g.tensor(name+".bias", 0, 0.3, out)
	}
	norm := func(name string) {
		g.tensor(name+".weight", 1, 0.1, embd)
		g.tensor(name+".bias", 0, 0.3, embd)
	}
	for _, name := range []string{"v.patch_embd.weight", "v.patch_embd.weight.1"} {
		g.tensor(name, 0, 1/sqrt(3*patch*patch), patch, patch, 3, embd)
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
	return g.write(t, "vision")
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
func pictureAsked(t *testing.T) (deck []*asked) {
	r := rand.New(rand.NewPCG(7, 8))
	words := func(n int) string {
		var b strings.Builder
		for range n {
			fmt.Fprintf(&b, "w%d ", 5+r.IntN(smallVocab-5))
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
		deck = append(deck, &asked{predict: 16, more: map[string]any{"prompt": prompt}})
	}
	return deck
}

// The slots of a server are asked of pictures at the same time: with everything read each answer is as stock's, to the question
// alone, and with little read all tokens of all answers are sparse.
func TestServerSeesPictures(t *testing.T) {
	t.Setenv("LLAMA_MEDIA_MARKER", "<__media__>")
	args := []string{"-m", smallModel(t, architecture{name: "qwen2vl", bias: true, mrope: true, words: true}), "--mmproj", visionModel(t)}
	deck := pictureAsked(t)
	stock := startServerOf(t, setting(t, "RETRO_STOCK_DIR"), 1, args...)
	answerAlone(t, stock.url, deck)
	for _, q := range deck {
		require.Equal(t, "limit", q.alone.end, q.alone.message)
	}
	require.NoError(t, stock.kill())
	d, err := differs(deck[1].alone, deck[2].alone)
	require.True(t, err != nil || d.worst > loadBounds.step, "%+v", d)

	ask := func(t *testing.T, options string) []reply {
		server := startServer(t, 3, append([]string{"--retro-attn", "--retro-opts", options}, args...)...)
		return answerTogether(t, server.url, deck)
	}
	t.Run("exact", func(t *testing.T) {
		for i, r := range ask(t, exactOptions) {
			d, err := differs(deck[i].alone, r)
			require.NoError(t, err)
			require.Less(t, d.worst, loadBounds.step)
			require.Less(t, d.sum/float64(d.steps), loadBounds.mean)
			require.NotZero(t, r.timings.Tokens)
			require.Zero(t, r.timings.Sparse)
		}
	})
	t.Run("sparse", func(t *testing.T) {
		for _, r := range ask(t, loadOptions) {
			require.NotZero(t, r.timings.Tokens)
			require.Equal(t, r.timings.Tokens, r.timings.Sparse)
			require.Less(t, r.timings.KVReadShare, 0.9)
			require.NotZero(t, r.timings.Corrections)
		}
	})
}
