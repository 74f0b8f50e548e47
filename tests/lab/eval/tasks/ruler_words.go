package tasks

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// commonWords is how many words of a list are asked for.
const commonWords = 10

// words are single ones, of data/ruler.txt and of the chronicle, each once.
var words = sync.OnceValue(func() []string {
	list := slices.Concat(rulerWords()["noun"], rulerWords()["adjective"],
		regexp.MustCompile(`\b[a-z]{4,9}\b`).FindAllString(chronicleText, -1))
	slices.Sort(list)
	return slices.Compact(list)
})

// wordList is distinct words; when the single ones are used up, compounds.
func (w *writer) wordList(n int) []string {
	list := slices.Clone(words())
	w.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	seen := map[string]bool{}
	for len(list) < n {
		if word := w.compound(); !seen[word] {
			seen[word] = true
			list = append(list, word)
		}
	}
	return list[:n]
}

// writeCommonWords lists words of which ten come often; a short list with its answer comes first.
func writeCommonWords(w *writer) Trial {
	often, seldom := 30, 3
	exampleSize, exampleOften, exampleSeldom := 40, 10, 3
	if w.long < 4096 {
		often, seldom, exampleSize, exampleOften, exampleSeldom = 6, 1, 20, 3, 1
	}
	example, exampleReply, exampleWant := w.commonWords(exampleSize, exampleOften, exampleSeldom)
	prompt, reply, want := w.commonWords(w.size, often, seldom)
	return Trial{Prompt: example + "\n" + exampleReply + " " + numbered(exampleWant) + "\n" +
		prompt, Reply: reply, Want: want, truth: numbered(want)}
}

func (w *writer) commonWords(size, often, seldom int) (prompt, reply string, common []string) {
	all := w.wordList(size)
	common = all[:commonWords]
	list := slices.Concat(slices.Repeat(common, often), slices.Repeat(all[commonWords:], seldom))
	w.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	prompt = fmt.Sprintf("Below is a numbered list of words. Some of them appear more often than "+
		"others. Memorize those that appear most often.\n%s\n"+
		"Question: What are the %d most common words in the list above?", numbered(list),
		commonWords)
	return prompt, fmt.Sprintf("Answer: The top %d words that appear most often in the list are:",
		commonWords), common
}

// frequentWords is how many coded words are asked for.
const frequentWords = 3

// writeFrequentWords writes random words with the frequencies of a zeta distribution, whose most
// frequent one is dots.
func writeFrequentWords(w *writer) Trial {
	const norm = math.Pi * math.Pi / 6 // zeta(2)
	seen := map[string]bool{}
	var list, want []string
	for k := 1; ; k++ {
		times := int(float64(w.size) / (float64(k*k) * norm))
		if times == 0 && k > frequentWords+1 || k > max(20, w.long/50) {
			break
		}
		word := "..."
		for k > 1 && (word == "..." || seen[word]) {
			word = w.letters(6, "abcdefghijklmnopqrstuvwxyz")
		}
		seen[word] = true
		if k > 1 && len(want) < frequentWords {
			want = append(want, word)
		}
		list = append(list, slices.Repeat([]string{word}, times)...)
	}
	w.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return Trial{
		Prompt: "Read the following coded text and keep track of how often each coded word " +
			"appears. Find the three most frequent ones. " +
			strings.Join(list, " ") + "\nQuestion: Do not explain anything, and ignore the dots " +
			"'...'. What are the three most frequent words in the coded text above?",
		Reply: "Answer: According to the coded text above, the three most frequent words are:",
		Want:  want,
	}
}

// person is whom a document is about.
type person struct {
	name, town, job, instrument string
	born                        int
	teacher                     int // of the persons
}

// people makes n persons, of whom no two have a name, and no two a town as far as there are enough
// of them.
func (w *writer) people(n int) []person {
	names, towns := map[string]bool{}, map[string]bool{}
	list := make([]person, n)
	for i := range list {
		p := person{job: w.word("job"), instrument: w.word("instrument"), born: 1780 + w.IntN(140),
			teacher: w.IntN(n)}
		for p.name == "" || names[p.name] {
			p.name = w.word("first") + " " + w.word("last")
			if len(names) >= 2000 { // nearly all there are
				p.name += " the Younger of " + w.compound()
			}
		}
		for tries := 0; p.town == "" || towns[p.town] && tries < 100; tries++ {
			p.town = w.word("townhead") + w.word("towntail")
		}
		if p.teacher == i {
			p.teacher = (i + 1) % n
		}
		names[p.name], towns[p.town] = true, true
		list[i] = p
	}
	return list
}

func documents(list []person) string {
	docs := make([]string, len(list))
	for i, p := range list {
		docs[i] = fmt.Sprintf("Document %d:\n%s\n%s was born in %s in %d. After years as the "+
			"pupil of %s, the young %s opened a workshop of their own, "+
			"played the %s on holidays, and was known in the whole county.", i+1, p.name, p.name,
			p.town, p.born, list[p.teacher].name, p.job, p.instrument)
	}
	return strings.Join(docs, "\n\n")
}

// writeOneHop asks for what one document says.
func writeOneHop(w *writer) Trial {
	list := w.people(w.size)
	p := list[w.IntN(len(list))]
	switch w.IntN(3) {
	case 0:
		return questionTrial(list, fmt.Sprintf("In which town was %s born?", p.name), p.town)
	case 1:
		return questionTrial(list, fmt.Sprintf("Which instrument did %s play?", p.name),
			p.instrument)
	default:
		return questionTrial(list, fmt.Sprintf("What was the trade of %s?", p.name), p.job)
	}
}

// writeTwoHops asks for what two documents say together.
func writeTwoHops(w *writer) Trial {
	list := w.people(w.size)
	p := list[w.IntN(len(list))]
	teacher := list[p.teacher]
	if w.IntN(2) == 0 {
		return questionTrial(list, fmt.Sprintf("In which town was the teacher of %s born?", p.name),
			teacher.town)
	}
	return questionTrial(list, fmt.Sprintf("Which instrument did the teacher of %s play?", p.name),
		teacher.instrument)
}

func questionTrial(list []person, question, want string) Trial {
	const how = "Answer the question from the given documents. Give only the answer and no other " +
		"words."
	return Trial{
		Prompt: how + "\n\nThe given documents are:\n\n" + documents(list) + "\n\n" + how +
			"\n\nQuestion: " + question,
		Reply: "Answer:", Want: []string{want},
	}
}
