package llama

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/tests/harness"
)

// of testdata/picture.c: 2 times before the state is saved, once alone and once beside a copy after
// that, and once after it was loaded
const pictureSteps = 10

// pictureProgram is testdata/picture.c, which runs with any build of llama.cpp.
func pictureProgram(t *testing.T) string {
	source, libs := harness.Setting(t, "RETRO_SOURCE"), harness.Setting(t, "RETRO_PATCHED_DIR")
	exe := filepath.Join(t.TempDir(), "picture")
	args := []string{"-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror",
		"../testdata/picture.c", "-o", exe,
		"-I" + filepath.Join(source, "include"), "-I" + filepath.Join(source, "ggml/include"),
		"-L" + libs, "-lllama", "-lggml", "-lggml-base"}
	if harness.Here.System == "linux" {
		args = append(args, "-Wl,-rpath-link,"+libs)
	}
	harness.Compiler(t).Run(t, args...)
	return exe
}

var contextLine = regexp.MustCompile(`retro attention: (\d+) of (\d+) tokens sparse(?:.* (\d+) corrections)?`)

// playPicture returns the logits of the parts: before the state is saved, after that, beside a
// copy, of the copy, and after the state was loaded. And what the contexts said of tokens: how many
// were sparse, decoded, and embedded again.
func playPicture(t *testing.T, exe, dir, model string, env ...string) (parts [5][][]float32,
	counts [][3]int) {
	out := filepath.Join(t.TempDir(), "logits")
	cmd := exec.Command(exe, model, out, filepath.Join(t.TempDir(), "state"))
	cmd.Env = append(os.Environ(), append(env, "LD_LIBRARY_PATH="+dir, "DYLD_LIBRARY_PATH="+dir)...)
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

// Tokens of pictures share a position. They are dense, the text behind them is sparse and
// corrected, also right behind them; with everything read it is stock's. A copy and a loaded state
// go on with the same bits.
func TestPictures(t *testing.T) {
	harness.Slow(t)
	exe := pictureProgram(t)
	t.Run("qwen2vl", func(t *testing.T) {
		testPictures(t, exe, harness.SmallModel(t,
			harness.Architecture{Name: "qwen2vl", Bias: true, MRoPE: true}),
			"budget=100000,min_ctx=0,always=1,window=4,period=2",
			"budget=16,local=16,min_ctx=0,window=4,period=4")
	})
	// a loaded state holds no copy of recurrent state, so there is no window
	t.Run("qwen35", func(t *testing.T) {
		program, _ := harness.Fixtures(t)
		testPictures(t, exe, harness.Fixture{Arch: "qwen35", Kind: "dense"}.Make(t, program),
			"budget=100000,min_ctx=0,always=1,window=4", "budget=16,local=16,min_ctx=0,window=1")
	})
}

func testPictures(t *testing.T, exe, model, exactOptions, sparseOptions string) {
	patched := harness.Setting(t, "RETRO_PATCHED_DIR")
	stock, _ := playPicture(t, exe, harness.Setting(t, "RETRO_STOCK_DIR"), model)
	off, _ := playPicture(t, exe, patched, model)
	play := func(options string) [5][][]float32 {
		got, counts := playPicture(t, exe, patched, model,
			"LLAMA_RETRO_LIB="+harness.Setting(t, "RETRO_LIB"), "LLAMA_RETRO_ATTN="+options)
		require.Len(t, counts, 2)
		// the token after each picture is the end of a prompt, as a picture asks for no output
		require.Equal(t, [2]int{5 * pictureSteps, pictureSteps}, [2]int{counts[0][1], counts[1][1]},
			"decoded")
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
