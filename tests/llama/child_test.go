package llama

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math/bits"
	"os"
	"os/exec"
	"regexp"
	"testing"

	"github.com/ebitengine/purego"
	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/bridge"
	"github.com/retroattn/retroattn/tests/harness"
)

// A process can hold one llama.cpp. This one holds the patched build; a run of
// stock llama.cpp, or of the patched one in another environment, is this binary
// started again with a job on standard input and logits on standard output.
const childEnv = "RETRO_TESTS_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) == "" {
		harness.Main(m)
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
	// options of sparse attention, of which each call fails in its turn, see playFaults
	Faults string
	Script script
	// instead of a script: what to go on from with drafts, if there are faults, or without
	Prompt []bridge.Token

	command func() *exec.Cmd // starts another build of this binary
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
	cmd.Env = os.Environ()
	if j.command != nil {
		cmd = j.command()
	}
	cmd.Env = append(append(cmd.Env, childEnv+"=1"), env...)
	cmd.Stdin = bytes.NewReader(in)
	var out, msg bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &msg
	err = cmd.Run()
	return &out, msg.String(), err
}

// playFaults plays the script once for each call of the library, which fails, and names the
// function on standard error. A text, which takes longer, is generated only for the first call, the
// second, the fourth, ...
func (j job) playFaults(model *bridge.Model, out io.Writer) error {
	handle, err := dlopen(j.Retro)
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

var faultLine = regexp.MustCompile(`(?m)^fault in (\w+)$`)

// faultText is how many tokens are generated while calls fail.
const faultText = 24
