package tasks

import (
	"cmp"
	_ "embed"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"
	"unicode"
)

// framesText holds sentences that lack their last word, the key. They differ in all their words:
// with one sentence for all keys and only a name exchanged, a model of 135M parameters mixes the
// keys up even under full attention.
//
//go:embed data/frames.txt
var framesText string

//go:embed data/words.txt
var wordsText string

// MaxNeedles is how many keys a text can hide: each has a sentence of its own.
const MaxNeedles = 32

// MinTokens is the shortest text that Passkey and Needles write, beside the about 30 tokens of each
// key.
const MinTokens = 256

// Haystack is a long text and questions about it. The text is processed densely once; each question
// is then decoded token by token under a policy from the saved state.
type Haystack struct {
	Name      string // passkey or needle
	Text      string
	Questions []Question
}

// Question asks for one key of a Haystack.
type Question struct {
	Text      string  // what is appended to the haystack; the answer continues its last sentence
	Want      string  // the key
	Whole     bool    // the answer must begin with it, whatever its form
	Depth     float64 // where the key was asked to lie: 0 is the start of the text, 1 its end
	MaxTokens int     // enough for the key and a full stop
}

// keyTokens is generous: tokenizers of small vocabularies cut a rare word in capitals into four or
// five.
const keyTokens = 16

// Right reports whether the answer names the key. Only the first line that is not blank counts, and
// in it the first word of the key's form, such as capitals-digit-digit: that word must be the key,
// in the same case. So a longer or cut word is wrong, and so is a list that names the key second.
func (q Question) Right(answer string) bool {
	if q.Whole {
		return strings.HasPrefix(answer, q.Want)
	}
	line, _, _ := strings.Cut(strings.TrimSpace(answer), "\n")
	for word := range strings.FieldsFuncSeq(line, func(r rune) bool {
		return !unicode.IsLetter(r) &&
			!unicode.IsDigit(r) && r != '-'
	}) {
		if word = strings.Trim(word, "-"); word != "" && form(word) == form(q.Want) {
			return word == q.Want
		}
	}
	return false
}

// Done reports whether the answer has said what there is to say.
func (q Question) Done(answer string) bool {
	return strings.Contains(answer, "\n") || q.Whole && len(answer) >= len(q.Want)
}

// form replaces each run of capitals by A, each run of other letters by a, and each digit by 0.
func form(word string) string {
	var b []rune
	for _, r := range word {
		switch {
		case unicode.IsDigit(r):
			b = append(b, '0')
			continue
		case unicode.IsUpper(r):
			r = 'A'
		case unicode.IsLetter(r):
			r = 'a'
		}
		if len(b) == 0 || b[len(b)-1] != r {
			b = append(b, r)
		}
	}
	return string(b)
}

// Passkey hides one number of five digits in a text of at most tokens tokens and at least 97 % of
// them. It panics below MinTokens.
func Passkey(seed int64, tokens int, depth float64, count func(string) int) Haystack {
	random := newRandom(seed, "passkey")
	key := fmt.Sprint(10000 + random.IntN(90000))
	hidden := []needle{{depth: depth, sentence: " The secret pass key is " + key +
		". Remember the pass key."}}
	return Haystack{
		Name: "passkey",
		Text: hide(newChronicle(random), hidden, tokens, count),
		Questions: []Question{{
			Text: "\n\nQuestion: What is the secret pass key?\nAnswer: The secret pass key is",
			Want: key, Depth: depth, MaxTokens: keyTokens,
		}},
	}
}

// Needles hides one key at each depth, each in another sentence, in a text of at most tokens tokens
// and at least 97 % of them. It panics if there are more than MaxNeedles or too few tokens for
// them.
func Needles(seed int64, tokens int, depths []float64, count func(string) int) Haystack {
	if len(depths) > MaxNeedles {
		panic(fmt.Sprintf("tasks: %d needles, the most is %d", len(depths), MaxNeedles))
	}
	random := newRandom(seed, "needles")
	frames, words := shuffledLines(random, framesText), shuffledLines(random, wordsText)
	h := Haystack{Name: "needle"}
	var hidden []needle
	for i, depth := range depths {
		key := fmt.Sprintf("%s-%d", words[i], 10+random.IntN(90))
		hidden = append(hidden, needle{depth: depth, sentence: " " + frames[i] + " " + key + "."})
		h.Questions = append(h.Questions, Question{
			Text: "\n\nQuestion: What does the chronicle say?\nAnswer: " + frames[i],
			Want: key, Depth: depth, MaxTokens: keyTokens,
		})
	}
	h.Text = hide(newChronicle(random), hidden, tokens, count)
	return h
}

// newRandom gives each kind of text numbers of its own, so that equal seeds do not give equal
// texts.
func newRandom(seed int64, kind string) *rand.Rand {
	return rand.New(rand.NewPCG(uint64(seed), hash(kind)))
}

func hash(text string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(text))
	return h.Sum64()
}

func shuffledLines(random *rand.Rand, text string) []string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	random.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
	return lines
}

// needle is a sentence and where it is to lie.
type needle struct {
	depth    float64
	sentence string
}

const title = "The chronicle of the town of Alder Ford, kept by its clerks."

// hide writes the longest chronicle that holds the needles and fits into the tokens.
func hide(c *chronicle, needles []needle, tokens int, count func(string) int) string {
	if tokens < MinTokens+30*len(needles) {
		panic(fmt.Sprintf("tasks: %d tokens are too few for a text of %d keys", tokens,
			len(needles)))
	}
	needles = slices.Clone(needles)
	slices.SortStableFunc(needles, func(a, b needle) int { return cmp.Compare(a.depth, b.depth) })
	filler := enough(c, tokens, count)
	// The last text that fits. A few of the texts may be longer than their successor, as the
	// needles move; the best that was seen counts.
	best, bestTokens := 0, count(weave(nil, needles))
	low, high := 0, len(filler)
	for low < high {
		middle := (low + high + 1) / 2
		if n := count(weave(filler[:middle], needles)); n <= tokens {
			low = middle
			if n > bestTokens {
				best, bestTokens = middle, n
			}
		} else {
			high = middle - 1
		}
	}
	return pad(c, weave(filler[:best], needles), bestTokens, tokens, count)
}

// enough returns sentences that have more tokens than asked for. It counts them by blocks, which is
// a little too many, never too few.
func enough(c *chronicle, tokens int, count func(string) int) []string {
	var filler []string
	for total := 0; total <= tokens+tokens/20; {
		start := len(filler)
		for range 200 {
			filler = append(filler, c.next())
		}
		total += count(strings.Join(filler[start:], ""))
	}
	return filler
}

// pad adds short sentences to a text that lacks more than a percent.
func pad(c *chronicle, text string, have, tokens int, count func(string) int) string {
	for have < tokens-tokens/100 {
		longer := text + c.closing()
		if have = count(longer); have > tokens {
			return text
		}
		text = longer
	}
	return text
}

// weave puts each needle where its end, the key, is nearest to its depth in the whole text.
func weave(filler []string, needles []needle) string {
	total := len(title)
	for _, s := range filler {
		total += len(s)
	}
	for _, n := range needles {
		total += len(n.sentence)
	}
	var b strings.Builder
	b.WriteString(title)
	due := func(next string) bool {
		return len(needles) > 0 &&
			needles[0].depth*float64(total) <= float64(b.Len()+len(needles[0].sentence))+
				float64(len(next))/2
	}
	for _, s := range filler {
		for due(s) {
			b.WriteString(needles[0].sentence)
			needles = needles[1:]
		}
		b.WriteString(s)
	}
	for _, n := range needles {
		b.WriteString(n.sentence)
	}
	return b.String()
}
