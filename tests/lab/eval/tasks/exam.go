package tasks

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Exam is n items in one prompt, answered one after another, in the form of LongGenBench: examples,
// then the questions with running numbers, then the answers "Answer_9:", "Answer_10:", ... A model
// of 135M parameters keeps the form but hardly follows the questions, so with small models the
// agreement with full attention (Same) says more than Right.
type Exam struct {
	Name      string
	Items     []Item
	Prompt    string
	Reply     string // the heading of the first answer, which the model continues
	MaxTokens int

	first int // the number of the first question: the examples come before it
}

// What an answer may take. A solution of GSM8K has about 100 tokens; beyond the limit a model has
// usually lost the thread.
const (
	solutionTokens = 160
	choiceTokens   = 48
)

// NewExam writes the prompt: all questions of the examples, all their answers, then the questions
// of the items.
func NewExam(name string, items, shots []Item) Exam {
	e := Exam{Name: name, Items: items, first: len(shots) + 1}
	var b strings.Builder
	fmt.Fprintf(&b, "Solve the following questions in their order. Begin each answer with its "+
		"number, as in \"Answer_%d:\", work step by step "+
		"where needed, and end with \"The answer is\" and the result. Answer every question and "+
		"repeat none of them.\n\n", e.first)
	if len(shots) > 0 {
		b.WriteString("Examples:\n\n")
		for i, shot := range shots {
			writeQuestion(&b, i+1, shot)
		}
		for i, shot := range shots {
			fmt.Fprintf(&b, "Answer_%d:\n%s\n\n", i+1, shot.solution())
		}
		b.WriteString("Following questions:\n\n")
	}
	for i, item := range items {
		writeQuestion(&b, e.first+i, item)
		if item.Choices == nil {
			e.MaxTokens += solutionTokens
		} else {
			e.MaxTokens += choiceTokens
		}
	}
	e.Prompt, e.Reply = strings.TrimSuffix(b.String(), "\n"), fmt.Sprintf("Answer_%d:\n", e.first)
	return e
}

func writeQuestion(b *strings.Builder, number int, item Item) {
	fmt.Fprintf(b, "Question_%d:\n%s\n", number, item.Question)
	b.WriteString(choiceLines(item.Choices))
	b.WriteString("\n")
}

// choiceLines writes "(A) ..." and so on, one a line.
func choiceLines(choices []string) string {
	var b strings.Builder
	for i, choice := range choices {
		fmt.Fprintf(&b, "(%c) %s\n", 'A'+i, choice)
	}
	return b.String()
}

// solution is the answer of an example.
func (i Item) solution() string {
	answer := "The answer is " + i.Answer + "."
	if i.Choices != nil {
		answer = fmt.Sprintf("The answer is (%s) %s.", i.Answer,
			strings.TrimSuffix(i.Choices[i.Answer[0]-'A'], "."))
	}
	if i.Steps != "" {
		return i.Steps + "\n" + answer
	}
	return answer
}

// heading is a line such as "Answer_9:", also with Markdown around it. One of a question ends the
// answer before it.
var heading = regexp.MustCompile(`(?mi)^[ \t*#]*(answer|question)[_ ](\d{1,6})\**:`)

// part is the text under a heading.
type part struct {
	question bool
	number   int
	text     string
	closed   bool // another heading follows
}

// parts cuts the output at its headings. What stands before the first one belongs to the first
// answer, whose heading ends the prompt.
func (e Exam) parts(output string) []part {
	list := []part{{number: e.first}}
	start := 0
	for _, at := range heading.FindAllStringSubmatchIndex(output, -1) {
		list[len(list)-1].text = output[start:at[0]]
		list[len(list)-1].closed = true
		number, _ := strconv.Atoi(output[at[4]:at[5]])
		question := strings.EqualFold(output[at[2]:at[3]], "question")
		list = append(list, part{question: question, number: number})
		start = at[1]
	}
	list[len(list)-1].text = output[start:]
	return list
}

// Answers finds the answers to the questions in a generated text, by the numbers that the prompt
// asked for; "" where there is none. Numbers are in their shortest form, letters are capitals. If a
// number occurs twice, the first answer counts.
func (e Exam) Answers(output string) []string {
	answers := make([]string, len(e.Items))
	parts := e.parts(output)
	// If the model writes the first heading itself, what stands before it is a greeting.
	if next := slices.IndexFunc(parts[1:], func(p part) bool { return !p.question }); next >= 0 &&
		parts[1+next].number == e.first {
		parts = parts[1:]
	}
	for _, p := range parts {
		if i := p.number - e.first; !p.question && i >= 0 && i < len(answers) && answers[i] == "" {
			answers[i] = final(p.text, len(e.Items[i].Choices))
		}
	}
	return answers
}

// Right counts the right answers.
func (e Exam) Right(answers []string) int {
	right := 0
	for i, answer := range answers {
		if i < len(e.Items) && answer != "" && answer == e.Items[i].Answer {
			right++
		}
	}
	return right
}

// Done reports whether the last question is answered, or the model has gone beyond it, so that
// generation may stop. The last answer is complete when a line that states it has ended, or another
// heading follows.
func (e Exam) Done(output string) bool {
	last := e.first + len(e.Items) - 1
	for _, p := range e.parts(output) {
		if p.number > last {
			return true
		}
		if p.question || p.number != last {
			continue
		}
		at := stated.FindStringIndex(p.text)
		if p.closed && strings.TrimSpace(p.text) != "" || at != nil &&
			strings.Contains(p.text[at[1]:], "\n") {
			return true
		}
	}
	return false
}

// Same counts the answers that both runs gave alike. Questions that neither answered do not count.
func Same(a, b []string) int {
	same := 0
	for i := range min(len(a), len(b)) {
		if a[i] != "" && a[i] == b[i] {
			same++
		}
	}
	return same
}
