package server

import (
	"bufio"
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/tests/harness"
)

// The chat program keeps a conversation, tells its figures, and refuses what it cannot have.
func TestChatProgram(t *testing.T) {
	patched := harness.Setting(t, "RETRO_PATCHED_DIR")
	cmd := harness.ChatProgram(t, patched, "-n", "24", "--system", "You answer with one word.",
		"--retro", "min_ctx=16,budget=16,local=16,window=1")
	cmd.Stdin = strings.NewReader("What is the capital of France?\n\nAnd of Italy?")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	t.Log(string(out))
	require.Contains(t, string(out), "Paris")
	require.Regexp(t, `(?s)\[\d+ \+ \d+ tokens, [\d.]+ tokens/s; (\d+) of \d+ tokens sparse[^\]]*\]\n> .*\n\[1?\d \+ `, string(out), "the second turn decodes its own tokens only")

	for want, args := range map[string][]string{
		"option budget=0: must be":           {"--retro", "budget=0"},
		"option target=fast: must be one of": {"--target", "fast"},
		"Temperature is -1, must be 0..100":  {"--temp=-1"},
		"Ctx is -5, must be":                 {"--ctx=-5"},
		"no_such.gguf":                       {"-m", "no_such.gguf"},
	} {
		out, err := harness.ChatProgram(t, patched, args...).CombinedOutput()
		require.Error(t, err, string(out))
		require.Contains(t, string(out), want)
	}
	out, err = harness.ChatProgram(t, harness.Setting(t, "RETRO_STOCK_DIR"), "--retro",
		"").CombinedOutput()
	require.Error(t, err, string(out))
	require.Contains(t, string(out), "lacks the retroattn patch")
}

// Ctrl-C ends a reply, and the conversation goes on.
func TestChatInterrupted(t *testing.T) {
	cmd := harness.ChatProgram(t, harness.Setting(t, "RETRO_PATCHED_DIR"))
	var errs bytes.Buffer
	cmd.Stderr = &errs
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	pipe, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	dead := time.AfterFunc(2*time.Minute, func() { cmd.Process.Kill() })
	defer dead.Stop()
	out := bufio.NewReader(pipe)
	until := func(end string) (text string) {
		for !strings.HasSuffix(text, end) {
			c, err := out.ReadByte()
			require.NoError(t, err, "%q %s", text, errs.String())
			text += string(c)
		}
		return text
	}
	until("> ")
	_, err = in.Write([]byte("Count from 1 to 1000, please.\n"))
	require.NoError(t, err)
	until("1") // the reply begins
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	require.Contains(t, until("\n> "), " [interrupted]\n[")
	_, err = in.Write([]byte("What is the capital of France?\n"))
	require.NoError(t, err)
	require.NotContains(t, until("\n> "), "interrupted")
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	require.Error(t, cmd.Wait(), "at the prompt it ends the program")
}
