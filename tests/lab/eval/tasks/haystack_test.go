package tasks

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// pieces counts tokens about as a real tokenizer does: words of up to five letters, and each other
// character.
func pieces(text string) int {
	n, run := 1, 0
	for _, r := range text {
		switch {
		case r == ' ':
			run = 0
		case r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z':
			if run%5 == 0 {
				n++
			}
			run++
		default:
			n++
			run = 0
		}
	}
	return n
}

var nineDepths = []float64{0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9}

func TestHaystackProperties(t *testing.T) {
	for _, tokens := range []int{1024, 2048, 3000, 7000, 33000} {
		for seed := range int64(4) {
			checkHaystack(t, Needles(seed, tokens, nineDepths, pieces), tokens)
			for _, depth := range []float64{0, 0.1, 0.5, 0.9, 1} {
				checkHaystack(t, Passkey(seed, tokens, depth, pieces), tokens)
			}
		}
	}
}

func checkHaystack(t *testing.T, h Haystack, tokens int) {
	t.Helper()
	n := pieces(h.Text)
	require.LessOrEqual(t, n, tokens)
	require.GreaterOrEqual(t, n, tokens*97/100)
	keys := map[string]bool{}
	near := 0.02
	if tokens < 2000 {
		near = 0.03 // a sentence is 2 % of the text
	}
	for _, q := range h.Questions {
		require.Equal(t, 1, strings.Count(h.Text, q.Want), q.Want)
		require.InDelta(t, q.Depth, float64(strings.Index(h.Text, q.Want))/float64(len(h.Text)),
			near)
		require.False(t, keys[q.Want], "two keys are %s", q.Want)
		require.NotContains(t, q.Text, q.Want)
		// The text says literally what the answer begins with, and nowhere else.
		_, lead, _ := strings.Cut(q.Text, "Answer: ")
		require.Equal(t, 1, strings.Count(h.Text, lead+" "+q.Want+"."), lead)
		require.Equal(t, 1, strings.Count(h.Text, lead), lead)
		keys[q.Want] = true
	}
}

// The filler must not hold what looks like a key: neither capitals nor long numbers, even when it
// is much longer than needed.
func TestFillerHoldsNoKey(t *testing.T) {
	c := newChronicle(newRandom(1, "test"))
	key := regexp.MustCompile(`[A-Z]{2}|\d{4}|[{}]|  | [.,]`)
	for range 20000 {
		s := c.next()
		require.NotRegexp(t, key, s)
		require.Less(t, pieces(s), 60, s)
	}
}

func TestFillerIsVaried(t *testing.T) {
	h := Passkey(1, 16000, 0.5, pieces)
	sentences := map[string]int{}
	for s := range strings.SplitSeq(h.Text, ". ") {
		sentences[s]++
	}
	most := 0
	for s, n := range sentences {
		if len(s) > 30 {
			most = max(most, n)
		}
	}
	assert.LessOrEqual(t, most, 2)
	assert.Greater(t, len(sentences), 500)
}

func TestHaystackIsDeterministic(t *testing.T) {
	assert.Equal(t, Needles(3, 2000, nineDepths, pieces), Needles(3, 2000, nineDepths, pieces))
	assert.NotEqual(t, Needles(3, 2000, nineDepths, pieces).Text,
		Needles(4, 2000, nineDepths, pieces).Text)
	assert.NotEqual(t, Passkey(3, 2000, 0.5, pieces).Questions,
		Passkey(4, 2000, 0.5, pieces).Questions)
}

// A real tokenizer takes a while on a long text.
func TestCountIsCalledRarely(t *testing.T) {
	calls := 0
	Needles(1, 33000, nineDepths, func(s string) int { calls++; return pieces(s) })
	assert.Less(t, calls, 40)
}

// The order of the questions is that of the depths asked for, whatever it is, and a depth may occur
// twice.
func TestNeedlesInAnyOrder(t *testing.T) {
	h := Needles(1, 4000, []float64{0.9, 0.1, 0.5, 0.5}, pieces)
	checkHaystack(t, h, 4000)
	assert.Equal(t, 0.9, h.Questions[0].Depth)
}

func TestHaystackBounds(t *testing.T) {
	many := make([]float64, MaxNeedles)
	for i := range many {
		many[i] = float64(i) / MaxNeedles
	}
	checkHaystack(t, Needles(1, 8000, many, pieces), 8000)
	assert.Panics(t, func() { Needles(1, 8000, append(many, 1), pieces) })
	assert.Panics(t, func() { Passkey(1, MinTokens, 0.5, pieces) })
	h := Passkey(1, MinTokens+30, 0.5, pieces)
	assert.LessOrEqual(t, pieces(h.Text), MinTokens+30)
	assert.Contains(t, h.Text, h.Questions[0].Want)
}

func TestFramesAndWords(t *testing.T) {
	for _, text := range []string{framesText, wordsText} {
		lines := strings.Split(strings.TrimSpace(text), "\n")
		assert.Len(t, lines, MaxNeedles)
		seen := map[string]bool{}
		for _, line := range lines {
			assert.NotEmpty(t, line)
			assert.False(t, seen[line], line)
			seen[line] = true
		}
	}
}

func TestQuestionRight(t *testing.T) {
	tests := []struct {
		want, answer string
		right        bool
	}{
		{"MARIGOLD-47", " MARIGOLD-47.\n\nThe", true},
		{"MARIGOLD-47", "\n\n  MARIGOLD-47", true},
		{"MARIGOLD-47", `It is "MARIGOLD-47", I think.`, true},
		{"MARIGOLD-47", "**MARIGOLD-47**", true},
		{"MARIGOLD-47", "MARIGOLD-47 -", true},
		{"MARIGOLD-47", "MARIGOLD-475", false},
		{"MARIGOLD-47", "MARIGOLD-4", false},
		{"MARIGOLD-47", "XMARIGOLD-47", false},
		{"MARIGOLD-47", "Marigold-47", false},
		{"MARIGOLD-47", "MARIGOLD-47-B", false},
		{"MARIGOLD-47", "TULIP-12 or MARIGOLD-47", false},
		{"MARIGOLD-47", "unknown\nMARIGOLD-47", false},
		{"MARIGOLD-47", "", false},
		{"MARIGOLD-47", "MARIGOLD 47", false},
		{"48213", " 48213. Remember", true},
		{"48213", "number 3: 48213", true},
		{"48213", "482134", false},
		{"48213", "11111, not 48213", false},
		{"48213", "4821", false},
	}
	for _, test := range tests {
		assert.Equal(t, test.right, Question{Want: test.want}.Right(test.answer), "%s in %q",
			test.want, test.answer)
	}
}

// Every rule that an alternative names exists, and each is named.
func TestGrammarIsComplete(t *testing.T) {
	g := chronicleGrammar()
	used := map[string]bool{"sentence": true, "day": true, "closing": true}
	for rule, alternatives := range g {
		for _, a := range alternatives {
			for _, m := range regexp.MustCompile(`\{([^}]*)\}`).FindAllStringSubmatch(a, -1) {
				used[m[1]] = true
				if _, _, ok := numberRange(m[1]); !ok {
					assert.NotEmpty(t, g[m[1]], "%s names %s", rule, m[1])
				}
			}
		}
	}
	for rule := range g {
		assert.True(t, used[rule], "%s is not used", rule)
	}
	assert.Panics(t, func() { g.expand(newRandom(1, ""), "missing") })
}
