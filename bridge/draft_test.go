package bridge

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// What the first draft of a context prepares, summaries and graphs, says nothing of later ones.
func TestDraftsAreMeasuredWarm(t *testing.T) {
	d := untried(0, 16, 0)
	most := func() int { n, _ := d.length(100); return n }
	require.Zero(t, most(), "a token without drafts comes first")
	d.exact[1] = 0.300
	for _, verified := range []cost{0.500, 0.110} {
		n, least := d.length(100)
		require.Equal(t, []int{4, 0}, []int{n, least})
		d.sparse, d.exact[5] = 0.012, verified
	}
	require.Zero(t, most(), "nor what the first token does of the next ones")
	d.exact[1].add(0.090)
	n, least := d.length(100)
	require.Greater(t, n, 2)
	require.Zero(t, least)

	d.exact[5] = 0.500
	require.Zero(t, most(), "none pays where verifying costs that much")
}

// A token is in doubt if another one is about as likely, but not if it is not the likeliest: then a
// grammar or penalties have chosen it.
func TestInDoubt(t *testing.T) {
	for _, c := range []struct {
		logits []float32
		token  Token
		doubt  bool
	}{
		{[]float32{1, 0.6, -1}, 0, false}, {[]float32{1, 0.8, -1}, 0, true}, {[]float32{0.8, 1}, 1, true},
		{[]float32{1, 0.9}, 1, false}, {[]float32{2, 2}, 1, true}, {[]float32{3}, 0, false},
	} {
		require.Equal(t, c.doubt, inDoubt(c.logits, c.token), "%v", c)
	}
}

// Beyond the least that it must have, a draft holds no token in doubt, and ends before one if it is
// shorter than it may be.
func TestDraftsEndWithDoubts(t *testing.T) {
	for _, least := range []int{0, 2} {
		testDraftsEnd(t, least)
	}
}

func testDraftsEnd(t *testing.T, least int) {
	const most = 6
	c := sparseContext(t, patchedModelTiny(t), 1, "window=1,need=0")
	require.NoError(t, c.SetRetroMode(RetroDraft))
	g := &generator{c: c, ctx: t.Context(), batch: NewBatch(1), pos: threadsPrompt}
	g.drafter = untried(least, most, 0)
	d, replayed := g.drafter, untried(least, most, 0)
	d.exact[1], d.exact[2], d.sparse, d.first, d.warm = 1, 1, 1e-6, firstDrafts, true // all pay
	ended, tokens := 0, 0
	for i := range 20 {
		token := Token(3 + i)
		drafts, err := g.draft(token)
		require.NoError(t, err)
		require.NoError(t, c.SetRetroMode(RetroDraft))
		for j := range min(len(drafts)+1, most) {
			row := feed(t, c, 0, g.pos+j, token)
			if j >= least {
				require.Equal(t, j == len(drafts), inDoubt(row, Argmax(row)), "token %d of %v", j, drafts)
			}
			if token = Argmax(row); j < len(drafts) {
				require.Equal(t, drafts[j], token)
			}
		}
		require.NoError(t, c.SeqRemove(0, g.pos, -1))
		replayed.ended(len(drafts), least, len(drafts) < most)
		tokens += len(drafts)
		if len(drafts) < most {
			ended++
		}
	}
	t.Logf("%d tokens in 20 drafts, %d of which ended with a doubt", tokens, ended)
	require.NotZero(t, ended)
	require.NotZero(t, tokens)
	require.Greater(t, tokens, 20*least)
	require.Equal(t, []float64{replayed.sure, replayed.asked}, []float64{d.sure, d.asked})
}

// Where every draft has some tokens, none is decoded without, and longer ones are tried all the same.
func TestDraftsHaveAtLeast(t *testing.T) {
	for _, here := range []int{0, 1, 5} {
		c := truth{sure: 0.95, accepted: 0.98, here: here}
		d := untried(2, 16, here)
		longest := 0
		for i := range 50 {
			n, least := c.cycle(d, i)
			require.GreaterOrEqual(t, least, 2)
			require.GreaterOrEqual(t, n, least)
			longest = max(longest, n)
		}
		require.Greater(t, longest, 4)
	}
}

// Where a device verifies more than some tokens at once, what fewer take says nothing of more, and
// the other way round: drafts of both are tried, and their times decide.
func TestDraftsForADevice(t *testing.T) {
	d := untried(0, 16, 3)
	d.tested, d.accepted, d.warm = 100, 98, true
	most := func() int { n, _ := d.length(100); return n }
	d.exact[1], d.sparse, d.first = 0.035, 0.010, 2*firstDrafts
	d.exact[5] = 0.150 // on a line from the first 17 would take 0.5 s, and none paid
	require.Equal(t, 2, most())
	d.exact[3] = 0.080
	require.Equal(t, 16, most())
	d.exact[17] = 0.162
	require.Equal(t, 16, most())
	require.InDelta(t, 0.154, float64(d.batch(9)), 1e-9)
	require.InDelta(t, 0.0575, float64(d.batch(2)), 1e-9)
	d.exact[17] = 1
	require.Less(t, most(), 16)
}

// Whatever the first batch of a kind prepares, and other load does, the length that is fastest is
// found: with times of processors as with a 1.5B model at 32k, and of a device that copies the cache.
func TestDraftLengthIsFound(t *testing.T) {
	for name, c := range map[string]truth{
		"processors":              {0, 1, 0.97, nil},
		"slow at first":           {0, 1, 0.97, map[int]float64{0: 0.5, 1: 0.5, 2: 0.06, 3: 0.06}},
		"long ones slow once":     {0, 1, 0.99, map[int]float64{4: 0.5}},
		"a device":                {5, 1, 0.98, nil},
		"a device, slow at first": {5, 1, 0.98, map[int]float64{3: 1}},
		"a device for all drafts": {1, 1, 0.98, map[int]float64{1: 1, 3: 0.3}},
		"poor drafts":             {5, 1, 0.70, map[int]float64{3: 1}},
		"doubts":                  {0, 0.9, 0.99, nil},
		"a device, doubts":        {5, 0.9, 0.99, map[int]float64{3: 1}},
		"many doubts":             {5, 0.75, 0.97, nil},
	} {
		const most = 32
		d := untried(0, most, c.here)
		chosen := make([]int, most+1)
		for i := range 400 {
			if n, _ := c.cycle(d, i); i >= 200 {
				chosen[n]++
			}
		}
		best, mostly := c.best(most), 0
		for n := range chosen {
			if chosen[n] > chosen[mostly] {
				mostly = n
			}
		}
		t.Logf("%s: mostly %d tokens, %.1f/s; %d would have %.1f", name, mostly, c.rate(mostly),
			best, c.rate(best))
		require.Greater(t, c.rate(mostly), 0.95*c.rate(best), name)
	}
}

// Drafts that could not pay are not made to measure them, and the longest not again and again where
// they do not: both cost more than they tell.
func TestDraftsAreTriedCheaply(t *testing.T) {
	for _, c := range []struct {
		truth
		longest int // drafts
	}{
		{truth{accepted: 0.85}, 0}, {truth{accepted: 0.95}, 1}, {truth{accepted: 0.99}, 1},
		{truth{here: 5, accepted: 0.85}, firstDrafts}, {truth{here: 5, accepted: 0.9}, firstDrafts},
		{truth{here: 33, accepted: 0.95}, 1}, {truth{here: 64, accepted: 0.95}, 1}, // none is that long
	} {
		c.sure = 1
		const most = 32
		d := untried(0, most, c.here)
		tokens, time, longest := 0.0, 0.0, 0
		for i := range 600 {
			n, _ := c.cycle(d, i)
			if n == most {
				longest++
			}
			if i >= 8 {
				tokens, time = tokens+c.confirmed(n)+1, time+float64(n)*sparseStep+c.verified(n)
			}
		}
		best := c.rate(c.best(most))
		t.Logf("device %d, accepted %v: %.1f of %.1f/s", c.here, c.accepted, tokens/time, best)
		require.Greater(t, tokens/time, 0.985*best)
		require.Equal(t, c.longest, longest)
	}
}

// truth is what a drafter has to find out.
type truth struct {
	here     int
	sure     float64         // share of tokens that are not in doubt
	accepted float64         // of those
	late     map[int]float64 // what batches take more, by their number
}

const sparseStep = 0.008

func (c truth) verified(n int) float64 {
	if c.here > 0 && n+1 > c.here {
		return 0.150 + 0.0005*float64(n)
	}
	return 0.034 + 0.014*float64(n)
}

// confirmed is how many of n drafts are, in the mean.
func (c truth) confirmed(n int) (tokens float64) {
	for i := range n {
		tokens += math.Pow(c.accepted, float64(i+1))
	}
	return tokens
}

// rate is that of drafts of at most n tokens.
func (c truth) rate(n int) float64 {
	tokens, time := 0.0, 0.0
	for i := range n + 1 { // that many are not in doubt
		share, steps := math.Pow(c.sure, float64(i)), i
		if i < n {
			share *= 1 - c.sure
			steps++
		}
		tokens += share * (c.confirmed(i) + 1)
		time += share * (float64(steps)*sparseStep + c.verified(i))
	}
	return tokens / time
}

// best is the length of the fastest drafts.
func (c truth) best(most int) (best int) {
	for n := range most + 1 {
		if c.rate(n) > c.rate(best) {
			best = n
		}
	}
	return best
}

// draft lets a drafter choose, where so many tokens are not in doubt, and tells it so.
func (c truth) draft(d *drafter, sure int) (drafts, most, least int) {
	most, least = d.length(1000)
	drafts = min(most, max(sure, least))
	if most > 0 {
		d.sparse.add(sparseStep)
		d.ended(drafts, least, drafts < most)
	}
	return drafts, most, least
}

// cycle lets a drafter choose, and tells it what came of that.
func (c truth) cycle(d *drafter, number int) (most, least int) {
	rng, sure := rand.New(rand.NewPCG(1, uint64(number))), 0
	for sure < d.max && rng.Float64() < c.sure {
		sure++
	}
	n, most, least := c.draft(d, sure)
	d.exact[n+1].add(cost(c.verified(n) + c.late[number]))
	if n > 0 {
		d.tested = 0.98*d.tested + c.confirmed(n)/c.accepted
		d.accepted = 0.98*d.accepted + c.confirmed(n)
	}
	return most, least
}
