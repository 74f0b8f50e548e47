package report

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// synthetic are the records of one setup, made once.
var synthetic = synthDecode("decode", "f16", "prose")

func curveOf(t *testing.T, family string) *Curve {
	curves := curvesOf(synthetic)
	for i := range curves {
		if curves[i].Family == family {
			return &curves[i]
		}
	}
	require.Fail(t, "no curve", family)
	return nil
}

func curvesOf(records []Record) (all []Curve) {
	for _, s := range setups(records) {
		all = append(all, s.curves()...)
	}
	return all
}

// Between points the curve is a power law; at a point it is the point; beyond, nothing.
func TestCurveInterpolates(t *testing.T) {
	c := Curve{Points: []Point{{Share: 0.04, KL: Estimate{Value: 0.16}},
		{Share: 0.16, KL: Estimate{Value: 0.04}}, {Share: 0.32, KL: Estimate{Value: 0.01}}}}
	for share, want := range map[float64]float64{0.04: 0.16, 0.08: 0.08, 0.16: 0.04, 0.32: 0.01,
		0.16 * math.Sqrt2: 0.02} {
		kl, ok := c.At(share)
		require.True(t, ok)
		require.InDelta(t, want, kl, 1e-9)
	}
	for _, share := range []float64{0.039, 0.33} {
		_, ok := c.At(share)
		require.False(t, ok)
	}
	one := Curve{Points: c.Points[:1]}
	_, ok := one.At(0.04)
	require.False(t, ok)
}

func TestCurves(t *testing.T) {
	c := curveOf(t, "ours w2")
	require.Len(t, c.Points, 4)
	for i, p := range c.Points[1:] {
		require.Greater(t, p.Share, c.Points[i].Share)
		require.Less(t, p.KL.Value, c.Points[i].KL.Value)
	}
	mid := c.Points[1]
	kl, ok := c.AtTime(mid.MS)
	require.True(t, ok)
	require.InDelta(t, mid.KL.Value, kl, 1e-9)
	for _, c := range curvesOf(synthetic) {
		require.NotContains(t, []string{"full", "broken"}, c.Family)
	}
}

// A policy that lacks a text is not compared with the mean over more texts.
func TestCurvesLeaveOutTheIncomplete(t *testing.T) {
	records := append(synthDecode("decode", "f16", "code"), synthetic...)
	n := len(curvesOf(records))
	// streaming on prose, and the broken one
	require.Len(t, curvesOf(records[:len(records)-2]), n-1)
}

// A point beyond the end of a curve is compared only where one has both advantages.
func TestAgainstBeyondTheEnds(t *testing.T) {
	plain, windowed := curveOf(t, "ours w1"), curveOf(t, "ours w2")
	slow := windowed.bytime[0]
	require.Greater(t, slow.MS, plain.bytime[3].MS)
	r, ok := slow.against(plain.bytime, byTime)
	require.True(t, ok, "slower and worse")
	require.Greater(t, r.ratio.Lo, 1.0)
	_, ok = windowed.bytime[3].against(plain.bytime, byTime)
	require.False(t, ok, "slower and better")

	r, ok = windowed.Points[2].against(plain.Points, byShare)
	require.True(t, ok)
	require.InDelta(t, windowed.Points[2].KL.Value/plain.Points[2].KL.Value, r.ratio.Value, 1e-6)
}

func TestColumns(t *testing.T) {
	curves := curvesOf(synthetic)
	require.Subset(t, commonShares(curves), []float64{0.12, 0.16, 0.24})
	require.NotContains(t, commonShares(curves), 0.02)
	times := commonTimes(curves)
	require.GreaterOrEqual(t, len(times), 3)
	require.IsIncreasing(t, times)
	require.Empty(t, commonTimes(nil))
}
