package tests

import (
	"fmt"
	"io"
	"math/bits"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/ebitengine/purego"
	"github.com/stretchr/testify/require"

	"retroattn/bridge"
)

// faulty builds the library of testdata/faults.c.
func faulty(t *testing.T) string {
	lib, err := filepath.Abs(library(t))
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "libretroattn.so.1")
	run(t, compiler(t), "-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-I../capi", "-DREAL=\""+lib+"\"",
		"-o", path, "testdata/faults.c", "-Wl,--no-as-needed", lib, "-Wl,-rpath,"+filepath.Dir(lib), "-ldl")
	return path
}

// playFaults plays the script once for each call of the library, which fails, and names the function on standard error.
// A text, which takes longer, is generated only for the first call, the second, the fourth, ...
func (j job) playFaults(model *bridge.Model, out io.Writer) error {
	handle, err := purego.Dlopen(j.Retro, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return err
	}
	var faultAt func(int)
	var faultIn func() string
	purego.RegisterLibFunc(&faultAt, handle, "fault_at")
	purego.RegisterLibFunc(&faultIn, handle, "fault_in")
	for n := 1; ; n++ {
		if j.Prompt != nil {
			n = 1 << bits.Len(uint(n-1))
		}
		p := contextParams(j.Seqs, j.Unified)
		p.Ctx, p.Threads = 256*j.Seqs, 1
		ctx, err := model.NewContext(p)
		if err != nil {
			return err
		}
		if err := ctx.EnableRetro(j.Faults); err != nil {
			return err
		}
		faultAt(n)
		rows, err := j.play(ctx)
		where := faultIn()
		faultAt(0)
		if err != nil {
			return fmt.Errorf("%w after call %d, of %s, failed", err, n, where)
		}
		if err := ctx.Close(); err != nil {
			return err
		}
		if where == "" {
			return nil
		}
		fmt.Fprintf(os.Stderr, "fault in %s\n", where)
		if err := writeRows(out, rows); err != nil {
			return err
		}
	}
}

// randomScript has sequences begin, end, part and shrink while others decode, so that each is at another place in its
// period of corrections.
func randomScript(r *rand.Rand, text []bridge.Token, seqs, ops int) script {
	w := newWriter(text)
	held := func(not int) (all []int) {
		for s := range seqs {
			if s != not && w.at[s] > 0 {
				all = append(all, s)
			}
		}
		return all
	}
	for range ops {
		s := r.IntN(seqs)
		switch op := r.IntN(10); {
		case w.at[s] == 0 && len(held(s)) > 0 && op < 5:
			w.mixed(op < 2, s, 10+r.IntN(30), held(s)...)
		case w.at[s] == 0:
			w.prefill(s, 10+r.IntN(60))
		case op == 0 && w.at[s] > 10:
			w.remove(s, 1+r.IntN(6))
		case op == 1 && w.at[s] > 20:
			w.shift(s, 4, 1+r.IntN(6))
		case op == 2:
			to := (s + 1) % seqs
			w.remove(to, w.at[to])
			w.copy(s, to)
		case op == 3:
			n := 2 + r.IntN(7)
			w.drafts(s, n, r.IntN(n))
		default:
			some := slices.DeleteFunc(held(-1), func(x int) bool { return x != s && r.IntN(3) == 0 })
			w.decode(1+r.IntN(4), some...)
		}
	}
	return w.script
}

var faultLine = regexp.MustCompile(`(?m)^fault in (\w+)$`)

// worstRow is the NMSE of the worst row, which may be no number.
func worstRow(want, got [][]float32) float64 {
	worst := 0.0
	for i := range want {
		var errs, power float64
		for j, x := range want[i] {
			d := float64(got[i][j]) - float64(x)
			errs, power = errs+d*d, power+float64(x)*float64(x)
		}
		worst = max(worst, errs/power) // NaN is the maximum
	}
	return worst
}

// Whatever call of the library fails, and when, the host's answers are stock's: with everything in the budget they are
// so before, too. The tokens of several layers, streams and sequences are in the middle of their windows then.
func TestEveryCallFails(t *testing.T) {
	dir, lib := setting(t, "RETRO_PATCHED_DIR"), faulty(t)
	for _, a := range caches {
		path := smallModel(t, a)
		for _, unified := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/unified %v", a.name, unified), func(t *testing.T) {
				r := rand.New(rand.NewPCG(3, 4))
				text := make([]bridge.Token, 600)
				for i := range text {
					text[i] = bridge.Token(r.IntN(smallVocab))
				}
				j := job{Dir: dir, Model: path, Seqs: 3, Unified: unified, Script: randomScript(r, text, 3, 20)}
				stock := j.start(t)
				j.Retro, j.Faults = lib, "budget=100000,min_ctx=0,always=1,window=4,period=3"
				out, msg := j.process(t, "OMP_WAIT_POLICY=passive")
				failed, wrong := map[string]int{}, map[string][]string{}
				for n, m := range faultLine.FindAllStringSubmatch(msg, -1) {
					failed[m[1]]++
					if off := worstRow(stock, readRows(t, out, len(stock), smallVocab)); !(off < 1e-4) {
						wrong[m[1]] = append(wrong[m[1]], fmt.Sprintf("call %d: NMSE %.2g", n+1, off))
					}
				}
				require.Empty(t, wrong)
				require.Zero(t, out.Len())
				t.Log(failed)
				for _, name := range []string{"seq_next", "seq_extend", "seq_truncate", "seq_copy", "seq_window", "step_begin", "select", "attend", "step_end"} {
					require.NotZero(t, failed["retro_"+name], name)
				}
			})
		}
	}
}
