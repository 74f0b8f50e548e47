package report

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every figure's key is there, null where it was not measured, and comes back as NaN.
func TestRecordJSON(t *testing.T) {
	r := Record{Test: "decode", Policy: "ours w2 512", KL: 0.07, NLL: math.NaN(),
		KLTokens: []float32{0.1, 0.04}}
	data, err := json.Marshal(r)
	require.NoError(t, err)
	var fields map[string]any
	require.NoError(t, json.Unmarshal(data, &fields))
	for _, key := range []string{"policy", "model", "text", "ctx", "tokens", "kl", "kl_lo", "kl_hi",
		"nll", "top1", "kv_share", "mass", "exposure", "tok_s"} {
		require.Contains(t, fields, key)
	}
	require.Nil(t, fields["mass"])
	require.Nil(t, fields["nll"])
	var back Record
	require.NoError(t, json.Unmarshal(data, &back))
	require.True(t, math.IsNaN(back.Mass) && math.IsNaN(back.NLL))
	require.Equal(t, r.KL, back.KL)
	require.Equal(t, r.KLTokens, back.KLTokens)
	require.Equal(t, r.Key(), back.Key())
}

func TestKeyTellsWhatToMeasure(t *testing.T) {
	r := Record{Test: "decode", Tokens: 512}
	longer, slower := r, r
	longer.Tokens, slower.TokS = 1024, 3
	require.NotEqual(t, r.Key(), longer.Key())
	require.Equal(t, r.Key(), slower.Key())
	r.Test, longer.Test = "needle", "needle"
	require.Equal(t, r.Key(), longer.Key(), "an answer is as long as it is")
}

// An interrupt in the middle of a line costs that line only.
func TestTornLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "results.jsonl")
	none, err := Read(path)
	require.NoError(t, err)
	require.Empty(t, none)

	first, second := Record{Test: "decode", Policy: "a", KLTokens: make([]float32, 40000)},
		Record{Test: "decode", Policy: "b"}
	require.NoError(t, Append(path, first))
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	for _, torn := range []string{"{", `{"test":"decode","policy":"c"}`,
		string(whole[:len(whole)-1])} {
		require.NoError(t, os.WriteFile(path, append(whole[:len(whole):len(whole)], torn...),
			0o666))
		got, err := Read(path)
		require.NoError(t, err)
		require.Len(t, got, 1)
		require.NoError(t, Append(path, second))
		got, err = Read(path)
		require.NoError(t, err)
		require.Len(t, got, 2)
		require.Equal(t, "b", got[1].Policy)
	}

	require.NoError(t, os.WriteFile(path, []byte("{\"policy"), 0o666))
	require.NoError(t, Append(path, second))
	got, err := Read(path)
	require.NoError(t, err)
	require.Len(t, got, 1)
}

func TestReadKeepsTheLastOfAKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "results.jsonl")
	for _, speed := range []float64{10, 20} {
		require.NoError(t, Append(path, Record{Test: "decode", Policy: "a", TokS: speed}))
	}
	got, err := Read(path)
	require.NoError(t, err)
	require.Len(t, got, 1)
	require.Equal(t, 20.0, got[0].TokS)

	require.NoError(t, os.WriteFile(path, []byte("{}\nnonsense\n"), 0o666))
	_, err = Read(path)
	require.ErrorContains(t, err, "results.jsonl:2")
}
