package llama

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/tests/divergence"
)

// possible makes nothing of tokens that a model forbids by the least of all numbers.
func possible(rows [][]float32) [][]float32 {
	for _, row := range rows {
		for i, x := range row {
			if x < -1e30 {
				row[i] = 0
			}
		}
	}
	return rows
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

// kl is the mean Kullback-Leibler divergence, in nats, of the distributions in got from those in
// want.
func kl(want, got [][]float32) float64 {
	total := 0.0
	for i := range want {
		total += divergence.KL(want[i], got[i])
	}
	return total / float64(len(want))
}

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

func same(a, b [][]float32) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if len(a[i]) != len(b[i]) {
			return false
		}
		for j := range a[i] {
			if a[i][j] != b[i][j] {
				return false
			}
		}
	}
	return true
}

func mean(x []float32) float64 {
	sum := 0.0
	for _, v := range x {
		sum += float64(v)
	}
	return sum / float64(len(x))
}
