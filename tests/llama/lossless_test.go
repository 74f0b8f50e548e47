package llama

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/bridge"
	"github.com/retroattn/retroattn/tests/harness"
)

// drafted are options of which most drafts are right, and some are not; wrongly drafted is what
// leaves too much out.
const drafted, wronglyDrafted = "budget=48,min_ctx=0,local=32,window=1",
	"select=streaming,budget=16,min_ctx=0,local=16,window=1"

// exactText is what full attention makes of a prompt, and how clear each choice was: the logits of
// the best token less those of the second.
func exactText(t *testing.T, c *bridge.Context, prompt []bridge.Token, n int) (text []bridge.Token,
	gaps []float32) {
	t.Helper()
	require.NoError(t, c.MemoryClear())
	batch := bridge.NewBatch(len(prompt))
	for i, token := range prompt {
		batch.Add(token, i, 0, i == len(prompt)-1)
	}
	for {
		require.NoError(t, c.Decode(batch))
		row, err := c.Logits(-1)
		require.NoError(t, err)
		best := bridge.Argmax(row)
		second := float32(math.Inf(-1))
		for i, x := range row {
			if bridge.Token(i) != best {
				second = max(second, x)
			}
		}
		if c.Model().IsEOG(best) {
			return text, gaps
		}
		text, gaps = append(text, best), append(gaps, row[best]-second)
		if len(text) == n {
			return text, gaps
		}
		batch.Clear()
		batch.Add(best, len(prompt)+len(text)-1, 0, true)
	}
}

// tie is by how much logits may differ for rounding to choose.
const tie = 0.1

// lossless generates with drafts, from nothing.
func lossless(t *testing.T, c *bridge.Context, prompt []bridge.Token, n,
	draft int) bridge.Generation {
	t.Helper()
	require.NoError(t, c.MemoryClear())
	got, err := c.Generate(t.Context(), "", bridge.GenerateOptions{Tokens: prompt, MaxTokens: n,
		Draft: draft, DraftMin: draft}, nil)
	require.NoError(t, err)
	requireHeld(t, c, got)
	return got
}

// requireHeld compares what the memory holds with what was generated.
func requireHeld(t *testing.T, c *bridge.Context, got bridge.Generation) {
	t.Helper()
	last, err := c.SeqPosMax(0)
	require.NoError(t, err)
	require.Equal(t, got.Prompt+got.Decoded-1, last)
	require.LessOrEqual(t, len(got.Tokens)-got.Decoded, 1)
}

// What is drafted sparsely and verified is the text of full attention, although drafts are refused;
// of drafts of any length, also of those that a micro-batch does not hold, and across pages.
func TestLossless(t *testing.T) {
	harness.Slow(t)
	m := model(t, "RETRO_MODEL_F16")
	text := prose(t, m, 6000)
	full := newContext(t, m, contextParams(1, false))
	small := contextParams(1, false)
	small.Batch, small.UBatch = 32, 8
	compared, drafts, accepted := 0, 0, 0
	for i := range 10 {
		prompt := text[300*i:][:200+5*i]
		want, gaps := exactText(t, full, prompt, 40)
		p := contextParams(1, false)
		if i%4 == 3 {
			p = small
		}
		c := newContext(t, m, p)
		require.NoError(t, c.EnableRetro(drafted))
		got := lossless(t, c, prompt, 40, []int{1, 3, 8, 24, 100}[i%5])
		compared += harness.RequireSameText(t, want, gaps, got.Tokens, tie)
		st, err := c.RetroStats()
		require.NoError(t, err)
		require.Equal(t, st.Tokens, st.SparseTokens, "a draft was not sparse")
		require.GreaterOrEqual(t, int(st.SparseTokens), got.Drafts.Tokens)
		drafts, accepted = drafts+got.Drafts.Tokens, accepted+got.Drafts.Accepted
		require.NoError(t, c.Close())
	}
	t.Logf("%d of 400 tokens compared; %d of %d drafts accepted", compared, accepted, drafts)
	require.Greater(t, compared, 350)
	require.Greater(t, accepted, drafts/4)
	require.Less(t, accepted, drafts)
}

// A sequence that drafts were taken back from is as if there had been none: decoding goes on
// sparsely with the same result.
func TestLosslessLeavesNothing(t *testing.T) {
	m := model(t, "RETRO_MODEL_F16")
	text := prose(t, m, 1000)
	const options = "budget=64,min_ctx=0,local=32,window=4,period=4"
	c := newContext(t, m, contextParams(1, false))
	require.NoError(t, c.EnableRetro(options))
	var prompt []bridge.Token
	var got bridge.Generation
	for at := 0; got.Drafts.Tokens == got.Drafts.Accepted; at += 100 { // some processor rounds otherwise
		require.LessOrEqual(t, at, 700, "no draft was refused")
		prompt = text[at:][:300]
		got = lossless(t, c, prompt, 80, 20)
	}

	plain := newContext(t, m, contextParams(1, false))
	require.NoError(t, plain.EnableRetro(options))
	require.NoError(t, plain.SetRetroMode(bridge.RetroExact))
	w := newWriter(slices.Concat(prompt, got.Tokens))
	w.prefill(0, 300)
	w.decode(got.Decoded, 0)
	_, err := w.script.play(plain)
	require.NoError(t, err)
	require.NoError(t, plain.SetRetroMode(bridge.RetroSparse))

	more := newWriter(text)
	more.at[0] = 300 + got.Decoded
	more.decode(24, 0)
	a, err := more.script.play(c)
	require.NoError(t, err)
	b, err := more.script.play(plain)
	require.NoError(t, err)
	all, worst := nmse(t, b, a)
	t.Logf("NMSE %.2g, worst token %.2g", all, worst)
	require.Less(t, all, 1e-3) // a choice of tokens may differ by rounding
	st, err := c.RetroStats()
	require.NoError(t, err)
	require.NotZero(t, st.CorrectedTokens, "the window was not embedded again")
}

// Sampled tokens have the distribution of full attention: given what came before, their
// log-probabilities under it are what they should be in the mean. Tokens of the drafts' own
// distribution are found out by that.
func TestLosslessSampling(t *testing.T) {
	harness.Slow(t)
	m := model(t, "RETRO_MODEL_F16")
	text := prose(t, m, 900)
	full := newContext(t, m, contextParams(1, false))
	c := newContext(t, m, contextParams(1, false))
	score := func(draft int) (z float64) {
		sum, variance := 0.0, 0.0
		for i := range 14 {
			prompt := slices.Repeat(text[60*i:][:60], 4) // which full attention goes on repeating
			sampler, err := m.NewSampler(bridge.SamplerParams{Temperature: 1,
				Seed: uint32(100 + i)})
			require.NoError(t, err)
			require.NoError(t, c.EnableRetro(wronglyDrafted))
			require.NoError(t, c.MemoryClear())
			got, err := c.Generate(t.Context(), "",
				bridge.GenerateOptions{Tokens: prompt, MaxTokens: 40, Draft: draft, DraftMin: draft,
					Sampler: sampler}, nil)
			require.NoError(t, err)
			require.NoError(t, sampler.Close())
			require.NoError(t, full.MemoryClear())
			w := newWriter(append(append([]bridge.Token{}, prompt...), got.Tokens...))
			w.prefill(0, len(prompt)+len(got.Tokens)-1)
			for i := len(prompt) - 1; i < len(w.script[0].Batch); i++ {
				w.script[0].Batch[i].Logits = true
			}
			rows, err := w.script.play(full)
			require.NoError(t, err)
			for j, row := range rows {
				s, v := surprise(row, got.Tokens[j])
				sum, variance = sum+s, variance+v
			}
		}
		return sum / math.Sqrt(variance)
	}
	with, without := score(6), score(0)
	t.Logf("deviations: %.2f with drafts that are verified, %.2f without verification", with,
		without)
	require.Less(t, math.Abs(with), 3.0)
	require.Less(t, without, -4.0, "the drafts are as good as full attention: nothing is tested")
}

// surprise is the log-probability of a token less that expected, and the variance of it.
func surprise(logits []float32, token bridge.Token) (deviation, variance float64) {
	top := float64(logits[bridge.Argmax(logits)])
	z := 0.0
	for _, x := range logits {
		z += math.Exp(float64(x) - top)
	}
	mean, square := 0.0, 0.0
	for _, x := range logits {
		l := float64(x) - top - math.Log(z)
		mean += math.Exp(l) * l
		square += math.Exp(l) * l * l
	}
	return float64(logits[token]) - top - math.Log(z) - mean, square - mean*mean
}

// Where the window of a model slides, cells that a rolled-back position needs stay, also if the
// cache holds little more than the window.
func TestLosslessSlidingWindow(t *testing.T) {
	harness.Slow(t)
	m := model(t, "RETRO_MODEL_SWA")
	text := prose(t, m, 2000)
	p := contextParams(1, false)
	p.SmallSWA, p.UBatch = true, 64
	full := newContext(t, m, p)
	want, gaps := exactText(t, full, text[:900], 60)
	c := newContext(t, m, p)
	require.NoError(t, c.EnableRetro(wronglyDrafted))
	got := lossless(t, c, text[:900], 60, 24)
	n := harness.RequireSameText(t, want, gaps, got.Tokens, tie)
	t.Logf("%d tokens compared, %d of %d drafts accepted", n, got.Drafts.Accepted,
		got.Drafts.Tokens)
	require.Greater(t, got.Drafts.Tokens, got.Drafts.Accepted)
}

// An abort, in a draft or in its verification, loses nothing: the sequence holds what was accepted,
// and goes on from there.
func TestLosslessAborted(t *testing.T) {
	harness.Slow(t)
	m := model(t, "RETRO_MODEL_F16")
	prompt := prose(t, m, 120)
	full := newContext(t, m, contextParams(1, false))
	want, gaps := exactText(t, full, prompt, 30)
	c := newContext(t, m, contextParams(1, false))
	aborted := 0
	for at := 1; ; at = at*5/4 + 3 {
		require.NoError(t, c.EnableRetro(drafted))
		require.NoError(t, c.MemoryClear())
		o := bridge.GenerateOptions{Tokens: prompt, MaxTokens: 1, Draft: 5, DraftMin: 5}
		first, err := c.Generate(t.Context(), "", o, nil)
		require.NoError(t, err)
		asked := 0
		require.NoError(t, c.SetAbort(func() bool { asked++; return asked == at }))
		tokens := first.Tokens
		for len(tokens) < len(want) {
			o.Tokens, o.MaxTokens = tokens[len(tokens)-1:], len(want)-len(tokens)
			got, err := c.Generate(t.Context(), "", o, nil)
			if err != nil {
				require.ErrorIs(t, err, bridge.ErrAborted)
				aborted++
			}
			last, errPos := c.SeqPosMax(0)
			require.NoError(t, errPos)
			tokens = append(tokens, got.Tokens...)
			// all but the last, of which nothing was sampled
			require.Equal(t, len(prompt)+len(tokens)-2, last)
		}
		harness.RequireSameText(t, want, gaps, tokens, tie)
		require.NoError(t, c.SetAbort(nil))
		if asked < at {
			break
		}
	}
	t.Logf("%d aborts reached the caller", aborted)
	require.NotZero(t, aborted)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := c.Generate(ctx, "", bridge.GenerateOptions{Tokens: prompt, Draft: 4}, nil)
	require.True(t, errors.Is(err, context.Canceled))
}

func TestLosslessRefuses(t *testing.T) {
	m := model(t, "RETRO_MODEL_F16")
	c := newContext(t, m, contextParams(1, false))
	prompt := prose(t, m, 20)
	for _, o := range []bridge.GenerateOptions{{Draft: -1}, {Draft: 1 << 20},
		{Draft: 4, DraftMin: 5}, {DraftMin: 1}} {
		o.Tokens = prompt
		_, err := c.Generate(t.Context(), "", o, nil)
		require.ErrorIs(t, err, bridge.ErrArgument)
	}
	_, err := c.Generate(t.Context(), "", bridge.GenerateOptions{Tokens: prompt, Draft: 4}, nil)
	require.ErrorIs(t, err, bridge.ErrRetroOff)
	require.ErrorIs(t, c.SetRetroMode(bridge.RetroDraft), bridge.ErrRetroOff)
	require.ErrorIs(t, c.SetRetroMode(3), bridge.ErrArgument)
}

// Whatever call of the library fails, in a draft or in its verification, the text is that of full
// attention.
func TestLosslessFaults(t *testing.T) {
	harness.Slow(t)
	lib := harness.Faulty(t)
	for _, c := range []struct {
		env       string
		functions []string
	}{
		{"RETRO_MODEL_F16", []string{"seq_next", "seq_truncate", "seq_window", "step_begin",
			"select", "attend", "step_end"}},
		{"RETRO_MODEL_SWA", []string{"step_begin", "attend"}},
	} {
		t.Run(c.env, func(t *testing.T) {
			m := model(t, c.env)
			prompt := prose(t, m, 150)[50:]
			p := contextParams(1, false)
			p.Ctx = 256
			want, gaps := exactText(t, newContext(t, m, p), prompt, faultText)
			for _, name := range c.functions {
				j := job{Dir: harness.Setting(t, "RETRO_PATCHED_DIR"),
					Model: harness.Setting(t, c.env), Seqs: 1, Prompt: prompt, Retro: lib,
					Faults: drafted}
				out, msg := j.process(t, "OMP_WAIT_POLICY=passive", "FAULT_IN=retro_"+name)
				n := len(faultLine.FindAllString(msg, -1))
				require.NotZero(t, n, name)
				size := out.Len() / 4 / n / 2
				for range n {
					rows := readRows(t, out, 2, size)
					var got []bridge.Token
					for _, token := range rows[1][:faultText] {
						got = append(got, bridge.Token(token))
					}
					harness.RequireSameText(t, want, gaps, got, tie)
				}
				t.Logf("%s: %d of its calls failed", name, n)
			}
		})
	}
}
