package divergence

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The divergence of two coins is known.
func TestCompare(t *testing.T) {
	full := make([]float32, 2)
	logProbs([]float32{float32(math.Log(3)), 0}, full) // 3/4, 1/4
	var v verdict
	v.compare(full, []float32{100, 100}, 1) // 1/2, 1/2
	assert.InDelta(t, 0.75*math.Log(1.5)+0.25*math.Log(0.5), v.kl, 1e-6)
	assert.InDelta(t, math.Log(2), v.nll, 1e-6)
	assert.True(t, v.same)
	v.compare(full, []float32{-7, -6}, 0)
	assert.False(t, v.same)
	v.compare(full, []float32{float32(math.Log(3)) - 1000, -1000}, 0)
	assert.InDelta(t, 0, v.kl, 1e-4)
	assert.InDelta(t, -math.Log(0.75), v.nll, 1e-4)
}

// Many random distributions: never negative, and zero only where they are equal.
func TestCompareRandom(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	full, a := make([]float32, 300), make([]float32, 300)
	for range 200 {
		for i := range a {
			a[i] = float32(r.NormFloat64() * 4)
		}
		logProbs(a, full)
		sum := 0.0
		for _, p := range full {
			sum += math.Exp(float64(p))
		}
		require.InDelta(t, 1, sum, 1e-5)
		var v verdict
		v.compare(full, a, 0)
		require.Less(t, v.kl, 1e-5)
		a[slices.Index(a, slices.Min(a))] += 60
		v.compare(full, a, 0)
		require.Greater(t, v.kl, 1e-3)
	}
}

func TestRows(t *testing.T) {
	r, err := newRows(t.TempDir(), 3)
	require.NoError(t, err)
	require.NoError(t, r.put(2, []float32{1, 2, 3}))
	require.NoError(t, r.put(0, []float32{-1, float32(math.Inf(-1)), 0}))
	x := make([]float32, 3)
	require.NoError(t, r.get(2, x))
	assert.Equal(t, []float32{1, 2, 3}, x)
	require.NoError(t, r.get(0, x))
	assert.Equal(t, []float32{-1, float32(math.Inf(-1)), 0}, x)
	assert.Error(t, r.get(3, x))
	require.NoError(t, r.close())
	require.NoError(t, (*rows)(nil).close())
}

func TestNewRejects(t *testing.T) {
	_, err := New(t.Context(), nil, Params{}, nil)
	assert.ErrorContains(t, err, "no streams")
	_, err = New(t.Context(), nil, Params{}, []Stream{{Prompt: make([]int32, 3),
		Follow: make([]int32, 3)}, {Prompt: make([]int32, 3), Follow: make([]int32, 4)}})
	assert.ErrorContains(t, err, "3 + 4")
}
