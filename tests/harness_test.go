package tests

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"retroattn/bridge"
	"retroattn/tests/divergence"
)

// A process can hold one llama.cpp. This one holds the patched build; a run of
// stock llama.cpp, or of the patched one in another environment, is this binary
// started again with a job on standard input and logits on standard output.
const childEnv = "RETRO_TESTS_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) == "" {
		os.Exit(m.Run())
	}
	if err := child(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// job is a script and where to run it.
type job struct {
	Dir, Model string
	Retro      string // a libretroattn to switch on, or to say on standard error why not
	Seqs       int
	Unified    bool
	Params     *bridge.ContextParams // in place of those that tests share
	Faults     string                // options of sparse attention, of which each call fails in its turn, see playFaults
	Script     script
	Prompt     []bridge.Token // instead of a script: what to go on from with drafts, if there are faults, or without
}

func child(in io.Reader, out io.Writer) error {
	var j job
	if err := json.NewDecoder(in).Decode(&j); err != nil {
		return err
	}
	lib, err := bridge.Load(bridge.Paths{Dir: j.Dir, Retro: j.Retro})
	if err != nil {
		return err
	}
	model, err := lib.LoadModel(j.Model, bridge.ModelParams{})
	if err != nil {
		return err
	}
	if j.Faults != "" {
		return j.playFaults(model, out)
	}
	p := contextParams(j.Seqs, j.Unified)
	if j.Params != nil {
		p = *j.Params
	}
	ctx, err := model.NewContext(p)
	if err != nil {
		return err
	}
	if j.Retro != "" {
		if err := ctx.EnableRetro(settled("")); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	logits, err := j.play(ctx)
	if err != nil {
		return err
	}
	return writeRows(out, logits)
}

// play returns the logits of the script, or those after a text, and that text as a row of numbers.
func (j job) play(c *bridge.Context) ([][]float32, error) {
	if j.Prompt == nil {
		return j.Script.play(c)
	}
	o := bridge.GenerateOptions{Tokens: j.Prompt, MaxTokens: faultText}
	if j.Faults != "" {
		o.Draft, o.DraftMin = 6, 6
	}
	got, err := c.Generate(context.Background(), "", o, nil)
	if err != nil {
		return nil, err
	}
	w := newWriter(got.Tokens[len(got.Tokens)-1:])
	w.at[0] = len(j.Prompt) + got.Decoded
	w.decode(1, 0)
	rows, err := w.script.play(c)
	if err != nil {
		return nil, err
	}
	text := make([]float32, len(rows[0]))
	for i, token := range got.Tokens {
		text[i] = float32(token)
	}
	return append(rows, text), nil
}

func writeRows(out io.Writer, rows [][]float32) error {
	for _, row := range rows {
		if err := binary.Write(out, binary.LittleEndian, row); err != nil {
			return err
		}
	}
	return nil
}

// readRows takes the next rows of so many logits from what writeRows wrote.
func readRows(t *testing.T, in *bytes.Buffer, rows, logits int) [][]float32 {
	t.Helper()
	read := make([][]float32, rows)
	for i := range read {
		read[i] = make([]float32, logits)
		require.NoError(t, binary.Read(in, binary.LittleEndian, read[i]))
	}
	return read
}

// start runs a job in a process of its own and returns the rows of logits.
func (j job) start(t *testing.T, env ...string) [][]float32 {
	t.Helper()
	rows, _ := j.startAndListen(t, env...)
	return rows
}

// startAndListen is start that also returns what was said on standard error.
func (j job) startAndListen(t *testing.T, env ...string) ([][]float32, string) {
	t.Helper()
	out, msg := j.process(t, env...)
	n := j.Script.rows()
	rows := readRows(t, out, n, out.Len()/4/n)
	require.Zero(t, out.Len())
	return rows, msg
}

// process runs a job and returns all that it wrote.
func (j job) process(t *testing.T, env ...string) (*bytes.Buffer, string) {
	t.Helper()
	out, msg, err := j.try(t, env...)
	require.NoError(t, err, msg)
	return out, msg
}

// try is process for a job that may fail.
func (j job) try(t *testing.T, env ...string) (*bytes.Buffer, string, error) {
	t.Helper()
	in, err := json.Marshal(j)
	require.NoError(t, err)
	exe, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(exe)
	cmd.Env = append(append(os.Environ(), childEnv+"=1"), env...)
	cmd.Stdin = bytes.NewReader(in)
	var out, msg bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &msg
	err = cmd.Run()
	return &out, msg.String(), err
}

func contextParams(seqs int, unified bool) bridge.ContextParams {
	return bridge.ContextParams{Ctx: 2048 * seqs, Seqs: seqs, Unified: unified, Threads: 2, FlashAttn: bridge.FlashOn}
}

// setting is a value of the environment, without which the test is skipped.
func setting(t *testing.T, name string) string {
	t.Helper()
	v := os.Getenv(name)
	if v == "" {
		t.Skipf("needs %s: run it by go run ./build test", name)
	}
	return v
}

var models = map[string]*bridge.Model{}

// model is the patched llama.cpp with the model that the environment names.
func model(t *testing.T, env string) *bridge.Model {
	t.Helper()
	path := setting(t, env)
	lib, err := bridge.Load(bridge.Paths{Dir: setting(t, "RETRO_PATCHED_DIR"), Retro: setting(t, "RETRO_LIB")})
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

// op is one call: a batch of tokens, or a change to positions P0..P1-1 (-1: to
// the end) of a sequence.
type op struct {
	Batch                  []token `json:",omitempty"`
	Change                 string  `json:",omitempty"` // "remove", "copy" (to To), "add" (Delta)
	Seq, P0, P1, To, Delta int
}

type token struct {
	Token    bridge.Token
	Pos, Seq int
	Logits   bool `json:",omitempty"`
}

// script drives a context: the same calls on any build.
type script []op

func (s script) rows() int {
	n := 0
	for _, o := range s {
		for _, t := range o.Batch {
			if t.Logits {
				n++
			}
		}
	}
	return n
}

// play runs the script and returns a copy of the logits of each token that asked for them.
func (s script) play(ctx *bridge.Context) ([][]float32, error) {
	// OpenMP keeps threads for each thread that calls; one that changed between
	// calls would leave pools of them behind, spinning.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var rows [][]float32
	for _, o := range s {
		var err error
		switch o.Change {
		case "remove":
			err = ctx.SeqRemove(o.Seq, o.P0, o.P1)
		case "copy":
			err = ctx.SeqCopy(o.Seq, o.To, o.P0, o.P1)
		case "add":
			err = ctx.SeqAdd(o.Seq, o.P0, o.P1, o.Delta)
		}
		if err != nil {
			return nil, err
		}
		if o.Change != "" {
			continue
		}
		b := bridge.NewBatch(len(o.Batch))
		for _, t := range o.Batch {
			b.Add(t.Token, t.Pos, t.Seq, t.Logits)
		}
		if err := ctx.Decode(b); err != nil {
			return nil, err
		}
		for i, t := range o.Batch {
			if !t.Logits {
				continue
			}
			x, err := ctx.Logits(i)
			if err != nil {
				return nil, err
			}
			rows = append(rows, append([]float32(nil), x...))
		}
	}
	return rows, nil
}

// writer builds scripts: it knows how far each sequence is and takes tokens from a text.
type writer struct {
	text []bridge.Token
	at   map[int]int
	script
}

func newWriter(text []bridge.Token) *writer { return &writer{text: text, at: map[int]int{}} }

func (w *writer) next(seq int, logits bool) token {
	pos := w.at[seq]
	w.at[seq]++
	return token{Token: w.text[(pos+97*seq)%len(w.text)], Pos: pos, Seq: seq, Logits: logits}
}

// prefill is n tokens at once; the last one's logits are read.
func (w *writer) prefill(seq, n int) {
	var b []token
	for i := range n {
		b = append(b, w.next(seq, i == n-1))
	}
	w.script = append(w.script, op{Batch: b})
}

// decode is n steps of one token for each sequence.
func (w *writer) decode(n int, seqs ...int) {
	for range n {
		var b []token
		for _, s := range seqs {
			b = append(b, w.next(s, true))
		}
		w.script = append(w.script, op{Batch: b})
	}
}

// mixed is n tokens of a new sequence and one of each other in one batch, in that order or the other way round.
func (w *writer) mixed(first bool, seq, n int, seqs ...int) {
	var steps, prompt []token
	for _, s := range seqs {
		steps = append(steps, w.next(s, true))
	}
	for i := range n {
		prompt = append(prompt, w.next(seq, i == n-1))
	}
	if first {
		steps, prompt = prompt, steps
	}
	w.script = append(w.script, op{Batch: append(steps, prompt...)})
}

func (w *writer) remove(seq, n int) {
	w.at[seq] -= n
	w.script = append(w.script, op{Change: "remove", Seq: seq, P0: w.at[seq], P1: -1})
}

// copy makes a sequence equal to another.
func (w *writer) copy(from, to int) {
	w.at[to] = w.at[from]
	w.script = append(w.script, op{Change: "copy", Seq: from, To: to, P0: -1, P1: -1})
}

// shift takes n tokens from position p on out of a sequence and closes the gap.
func (w *writer) shift(seq, p, n int) {
	w.at[seq] -= n
	w.script = append(w.script, op{Change: "remove", Seq: seq, P0: p, P1: p + n},
		op{Change: "add", Seq: seq, P0: p + n, P1: -1, Delta: -n})
}

// shifts tells whether positions move.
func (s script) shifts() bool {
	return slices.ContainsFunc(s, func(o op) bool { return o.Change == "add" })
}

// oneSequence and threeSequences are the scripts that most tests play.
func oneSequence(text []bridge.Token) script {
	w := newWriter(text)
	w.prefill(0, 600)
	w.decode(24, 0)
	return w.script
}

// threeSequences start at different times; two lose their tails and go on.
func threeSequences(text []bridge.Token) script {
	w := newWriter(text)
	w.prefill(0, 300)
	w.decode(5, 0)
	w.prefill(1, 200)
	w.decode(6, 0, 1)
	w.prefill(2, 40)
	w.decode(8, 0, 1, 2)
	w.remove(0, 3)
	w.remove(1, 5)
	w.decode(3, 0)
	w.decode(9, 0, 1, 2)
	return w.script
}

// editedSequences share a prefix, part in the middle of decoding, and lose tokens
// in the middle of their contexts; in the end even shared ones, which in a
// unified cache leaves several cells with one position.
func editedSequences(text []bridge.Token) script {
	w := newWriter(text)
	w.prefill(0, 300)
	w.decode(6, 0)
	w.copy(0, 1)
	w.decode(8, 0, 1)
	w.prefill(2, 200)
	w.decode(5, 2)
	w.shift(2, 40, 90)
	w.decode(8, 0, 1, 2)
	w.shift(0, 40, 90)
	w.decode(6, 0, 1)
	w.decode(6, 2)
	return w.script
}

// mixedSequences decode while prompts of others arrive, one of them in parts.
func mixedSequences(text []bridge.Token) script {
	w := newWriter(text)
	w.prefill(1, 150)
	w.decode(6, 1)
	w.mixed(true, 0, 100, 1)
	w.decode(5, 0, 1)
	w.mixed(false, 3, 40, 1, 0)
	w.mixed(true, 3, 530, 0, 1) // more than a micro-batch
	w.decode(4, 3, 0, 1)
	w.mixed(true, 2, 50, 3, 1) // 1 and 3 are no neighbours, and 0 waits
	w.decode(8, 0, 1, 2, 3)
	return w.script
}

// source is text of the pinned llama.cpp tree: prose and code that never change.
func source(t *testing.T, m *bridge.Model, n int, files ...string) []bridge.Token {
	t.Helper()
	dir := setting(t, "RETRO_SOURCE")
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

// nmse is the squared error of got relative to the power of want over all rows,
// and that of the worst row.
func nmse(t *testing.T, want, got [][]float32) (all, worst float64) {
	t.Helper()
	require.Len(t, got, len(want))
	var errs, power float64
	for i := range want {
		var e, p float64
		require.Len(t, got[i], len(want[i]))
		for j, x := range want[i] {
			d := float64(got[i][j]) - float64(x)
			e += d * d
			p += float64(x) * float64(x)
		}
		require.False(t, math.IsNaN(e))
		errs, power, worst = errs+e, power+p, max(worst, e/p)
	}
	return errs / power, worst
}

// kl is the mean Kullback-Leibler divergence, in nats, of the distributions in got from those in want.
func kl(want, got [][]float32) float64 {
	total := 0.0
	for i := range want {
		total += divergence.KL(want[i], got[i])
	}
	return total / float64(len(want))
}
