package tasks

import (
	_ "embed"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
)

//go:embed data/chronicle.txt
var chronicleText string

// grammar maps a rule to its alternatives.
type grammar map[string][]string

var chronicleGrammar = sync.OnceValue(func() grammar { return parseGrammar(chronicleText) })

// parseGrammar reads "[rule]" lines, each followed by one alternative a line; leading spaces of an
// alternative count.
func parseGrammar(text string) grammar {
	g := grammar{}
	rule := ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "["):
			rule = strings.Trim(line, "[]")
		case line == "-":
			g[rule] = append(g[rule], "")
		default:
			g[rule] = append(g[rule], line)
		}
	}
	return g
}

// expand picks an alternative of the rule and expands what it names.
func (g grammar) expand(random *rand.Rand, rule string) string {
	if low, high, ok := numberRange(rule); ok {
		return strconv.Itoa(low + random.IntN(high-low+1))
	}
	alternatives := g[rule]
	if len(alternatives) == 0 {
		panic(fmt.Sprintf("tasks: the chronicle has no rule %q", rule))
	}
	var b strings.Builder
	rest := alternatives[random.IntN(len(alternatives))]
	for {
		before, after, found := strings.Cut(rest, "{")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		name, tail, _ := strings.Cut(after, "}")
		b.WriteString(g.expand(random, name))
		rest = tail
	}
}

func numberRange(rule string) (low, high int, ok bool) {
	first, second, found := strings.Cut(rule, "-")
	if !found {
		return 0, 0, false
	}
	low, err1 := strconv.Atoi(first)
	high, err2 := strconv.Atoi(second)
	return low, high, err1 == nil && err2 == nil && low <= high
}

// chronicle yields the sentences of a town chronicle one by one, each with the space or line break
// before it.
type chronicle struct {
	random *rand.Rand
	seen   map[string]bool
	left   int // sentences left in this entry
}

func newChronicle(random *rand.Rand) *chronicle {
	return &chronicle{random: random, seen: map[string]bool{}}
}

// next returns a sentence that did not occur before, or after several tries whatever comes.
func (c *chronicle) next() string {
	g := chronicleGrammar()
	if c.left == 0 {
		c.left = 3 + c.random.IntN(5)
		return "\n\n" + g.expand(c.random, "day")
	}
	c.left--
	var s string
	for range 20 {
		s = g.expand(c.random, "sentence")
		if !c.seen[s] {
			break
		}
	}
	c.seen[s] = true
	return " " + strings.ToUpper(s[:1]) + s[1:]
}

// closing returns a very short sentence, which fills a text up to its length.
func (c *chronicle) closing() string {
	return " " + chronicleGrammar().expand(c.random, "closing")
}

// Text is a chronicle of at least size bytes, the same on every run, for those who need prose and
// have no file.
func Text(size int) string {
	c := newChronicle(rand.New(rand.NewPCG(1, uint64(len(title)))))
	var b strings.Builder
	b.WriteString(title)
	for b.Len() < size {
		b.WriteString(c.next())
	}
	return b.String()
}
