package tasks

import (
	_ "embed"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
)

// RulerTask is one of the 13 tasks of RULER (Hsieh et al., arXiv 2404.06654), written anew. Two
// things differ: the prose around the keys is a generated chronicle or the user's text, and the
// documents of qa_1 and qa_2 are generated biographies, not SQuAD and HotpotQA.
type RulerTask struct {
	Name  string
	max   int // tokens of the answer
	least int // size of the shortest text
	write func(*writer) Trial
}

// RulerTasks returns all, in the paper's order.
func RulerTasks() []RulerTask { return rulerTasks }

var rulerTasks = []RulerTask{
	{"niah_single_1", 128, 2, needles{hay: repeatedHay}.write},
	{"niah_single_2", 128, 8, needles{hay: proseHay}.write},
	{"niah_single_3", 128, 8, needles{hay: proseHay, value: codeKind}.write},
	{"niah_multikey_1", 128, 8, needles{hay: proseHay, keys: 4}.write},
	{"niah_multikey_2", 128, 8, needles{hay: needleHay}.write},
	{"niah_multikey_3", 128, 8, needles{hay: needleHay, key: codeKind, value: codeKind}.write},
	{"niah_multivalue", 128, 8, needles{hay: proseHay, values: 4}.write},
	{"niah_multiquery", 128, 8, needles{hay: proseHay, keys: 4, asked: 4}.write},
	{"vt", 30, 6, writeChain},
	{"cwe", 120, 40, writeCommonWords},
	{"fwe", 50, 100, writeFrequentWords},
	{"qa_1", 32, 4, writeOneHop},
	{"qa_2", 32, 4, writeTwoHops},
}

// Trial is a prompt of a task and what the answer must name.
type Trial struct {
	Prompt    string // what the user says
	Reply     string // how the answer begins
	Want      []string
	MaxTokens int

	truth string // the right answer, if it is not to be Want with commas
}

// Right counts what the answer names, in any case and wherever it stands, which is RULER's string
// match.
func (t Trial) Right(answer string) (right int) {
	answer = strings.ToLower(answer)
	for _, want := range t.Want {
		if strings.Contains(answer, strings.ToLower(want)) {
			right++
		}
	}
	return right
}

// Truth is how a right answer goes on after Reply.
func (t Trial) Truth() string {
	if t.truth != "" {
		return " " + t.truth
	}
	return " " + strings.Join(t.Want, ", ")
}

// Done reports whether nothing that follows can change the score.
func (t Trial) Done(answer string) bool { return t.Right(answer) == len(t.Want) }

// Prose is sentences in which keys are hidden.
type Prose []string

// NewProse cuts a text into sentences. It is an error if there are too few to hide anything in.
func NewProse(text string) (Prose, error) {
	var p Prose
	for s := range strings.SplitAfterSeq(strings.Join(strings.Fields(text), " "), ". ") {
		if s = strings.TrimSpace(s); s != "" {
			p = append(p, s)
		}
	}
	if len(p) < 100 {
		return nil, fmt.Errorf("the text has %d sentences: 100 are needed to hide keys in", len(p))
	}
	return p, nil
}

// chronicleBytes are enough for 128k tokens without a repetition.
const chronicleBytes = 600_000

// ChronicleProse is for those who name no text.
var ChronicleProse = sync.OnceValue(func() Prose {
	p, err := NewProse(Text(chronicleBytes))
	if err != nil {
		panic(err)
	}
	return p
})

// from returns n sentences from the i-th on, again from the start after the last.
func (p Prose) from(i, n int) []string {
	out := make([]string, n)
	for k := range out {
		out[k] = p[(i+k)%len(p)]
	}
	return out
}

// writer writes a trial: one of the same seed and size is the same.
type writer struct {
	*rand.Rand
	prose Prose
	size  int // of what makes the text long: sentences, lines, words or documents
	long  int // tokens that are asked for
}

// Trials returns n trials from number first on, of at most tokens tokens with their answers, and of
// nearly as many. count is of what the model gets for a trial.
func (t RulerTask) Trials(seed int64, first, n, tokens int, p Prose, count func(Trial) int,
) ([]Trial, error) {
	at := func(number, size int) Trial {
		r := rand.New(rand.NewPCG(uint64(seed), hash(fmt.Sprint(t.Name, number, tokens))))
		trial := t.write(&writer{Rand: r, prose: p, size: size, long: tokens})
		trial.MaxTokens = t.max
		return trial
	}
	fits := func(trial Trial) bool { return count(trial)+t.max <= tokens }
	size := t.longest(func(size int) bool { return fits(at(0, size)) })
	trials := make([]Trial, n)
	for i := range trials {
		for s := size; ; s -= s/100 + 1 { // another text may be a little longer
			if s < t.least {
				return nil, fmt.Errorf("%s does not fit into %d tokens: give more", t.Name, tokens)
			}
			if trials[i] = at(first+i, s); fits(trials[i]) {
				break
			}
		}
	}
	return trials, nil
}

// longest finds the largest size that fits, to about a percent.
func (t RulerTask) longest(fits func(size int) bool) int {
	low, high := t.least, 2*t.least
	for fits(high) {
		low, high = high, 2*high
	}
	for high-low > low/100+1 {
		if middle := (low + high) / 2; fits(middle) {
			low = middle
		} else {
			high = middle
		}
	}
	return low
}

//go:embed data/ruler.txt
var rulerText string

var rulerWords = sync.OnceValue(func() grammar { return parseGrammar(rulerText) })

// word is one of a list in data/ruler.txt.
func (w *writer) word(list string) string { return pick(w.Rand, rulerWords()[list]) }

// compound is a key such as amber-falcon.
func (w *writer) compound() string { return w.word("adjective") + "-" + w.word("noun") }

// letters are n random ones from an alphabet.
func (w *writer) letters(n int, alphabet string) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[w.IntN(len(alphabet))]
	}
	return string(b)
}

// insert puts lines between those of a text, in order, at random places.
func (w *writer) insert(text, lines []string) []string {
	places := map[int]bool{}
	for len(places) < min(len(lines), len(text)+1) {
		places[w.IntN(len(text)+1)] = true
	}
	var out []string
	for i := range len(text) + 1 {
		if places[i] {
			out, lines = append(out, lines[0]), lines[1:]
		}
		if i < len(text) {
			out = append(out, text[i])
		}
	}
	return append(out, lines...) // more lines than places
}

// numbered writes "1. word 2. word".
func numbered(words []string) string {
	var b strings.Builder
	for i, word := range words {
		if i > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprintf(&b, "%d. %s", i+1, word)
	}
	return b.String()
}
