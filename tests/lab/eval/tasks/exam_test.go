package tasks

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestFinalNumber(t *testing.T) {
	tests := map[string]string{
		"":                                       "",
		"no idea":                                "",
		"The answer is 42.":                      "42",
		"the answer is 1,234":                    "1234",
		"The answer is 1234.0":                   "1234",
		"The answer is 0073":                     "73",
		"The answer is $3.50 each.":              "3.5",
		"The answer is -5.":                      "-5",
		"The answer is −5.":                      "-5",
		"The answer is -$5.":                     "-5",
		"The answer is **12** apples.":           "12",
		"The answer is 6 + 4 = 10.":              "10",
		"Final answer: 7":                        "7",
		"**Answer:** 8":                          "8",
		"The answer is\n 9":                      "9",
		"The answer is 3. No, the answer is 4.":  "4",
		"The answer is unknown. 3 + 4 = 7":       "7",
		"23-15 leaves 23-15":                     "15",
		"3 + 4 = 7 apples.\n":                    "7",
		".5":                                     "0.5",
		"-0":                                     "0",
		"1,2":                                    "2",
		"12,":                                    "12",
		`5 but \boxed{42} is it, not 7`:          "42",
		`\boxed{1}, then \boxed{2}`:              "2",
		`\boxed{1{,}234}`:                        "1234",
		`\boxed{\text{about } 5}`:                "",
		`\boxed{x = 5}`:                          "5",
		`\boxed{5\text{ cm}}`:                    "5",
		`\boxed{45^\circ}`:                       "45",
		`\boxed{\frac{3}{4}}`:                    "",
		`\boxed{3x}`:                             "",
		`\boxed{42`:                              "42",
		"The answer isn't 3, Answer_9 comes: 11": "11",
	}
	for output, want := range tests {
		assert.Equal(t, want, final(output, 0), "%q", output)
	}
}

func TestFinalLetter(t *testing.T) {
	tests := map[string]string{
		"":                               "",
		"none of them":                   "",
		"B":                              "B",
		" b ":                            "B",
		"(b) Paris":                      "B",
		"B) A dog":                       "B",
		"B. A dog":                       "B",
		"**C**":                          "C",
		"A dog barks, so (C)":            "C",
		"The answer is (D) blue.":        "D",
		"The answer is a.":               "A",
		"The correct answer is option B": "B",
		"Answer: C\n":                    "C",
		"answer is E":                    "", // only four choices
		"e.g. this one, so D":            "D",
		`It is A. \boxed{\text{B}}`:      "B",
		`\boxed{b}`:                      "B",
	}
	for output, want := range tests {
		assert.Equal(t, want, final(output, 4), "%q", output)
	}
}

func TestExamPrompt(t *testing.T) {
	shots := Arithmetic(1, 2)
	items := append(Arithmetic(2, 2), Item{Question: "Which is blue?",
		Choices: []string{"Grass", "The sky."}, Answer: "B"})
	e := NewExam("mixed", items, shots)
	order := []string{"Examples:", "Question_1:\n" + shots[0].Question, "Question_2:\n",
		"Answer_1:\n" + shots[0].Steps, "Answer_2:\n",
		"The answer is " + shots[1].Answer + ".", "Following questions:",
		"Question_3:\n" + items[0].Question, "Question_4:\n",
		"Question_5:\nWhich is blue?\n(A) Grass\n(B) The sky.\n"}
	at := 0
	for _, part := range order {
		next := strings.Index(e.Prompt[at:], part)
		require.GreaterOrEqual(t, next, 0, part)
		at += next
	}
	assert.Equal(t, "Answer_3:\n", e.Reply)
	assert.Equal(t, 2*solutionTokens+choiceTokens, e.MaxTokens)
	assert.Equal(t, "The answer is (B) The sky.", items[2].solution())

	bare := NewExam("bare", items, nil)
	assert.NotContains(t, bare.Prompt, "Examples")
	assert.Equal(t, "Answer_1:\n", bare.Reply)
}

// What the examples show, the parser must read.
func TestExamReadsItsOwnForm(t *testing.T) {
	for name, items := range map[string][]Item{"arithmetic": Arithmetic(1, 34),
		"facts": Facts()[:34]} {
		e := NewExam(name, items[4:], items[:4])
		var b strings.Builder
		for i, item := range e.Items {
			if i > 0 {
				fmt.Fprintf(&b, "Answer_%d:\n", 5+i)
			}
			assert.False(t, e.Done(b.String()), "before answer %d", i+1)
			b.WriteString(item.solution())
			assert.False(t, e.Done(b.String()), "before the end of answer %d", i+1)
			b.WriteString("\n\n")
		}
		assert.True(t, e.Done(b.String()))
		assert.Equal(t, 30, e.Right(e.Answers(b.String())), name)
	}
}

func TestAnswers(t *testing.T) {
	numbers := []Item{{Question: "a", Answer: "1"}, {Question: "b", Answer: "2"},
		{Question: "c", Answer: "3"}}
	e := NewExam("x", numbers, []Item{{Question: "s", Answer: "0"}}) // questions 2, 3 and 4
	tests := []struct {
		name, output string
		want         []string
		done         bool
	}{
		{"nothing", "", []string{"", "", ""}, false},
		{"in form", "1\n\nAnswer_3:\n2\n\nAnswer_4:\nThe answer is 3.\n", []string{"1", "2", "3"},
			true},
		{"the last line is not complete", "1\n\nAnswer_3:\n2\n\nAnswer_4:\nThe answer is 3",
			[]string{"1", "2", "3"}, false},
		{"first heading repeated", "Answer_2:\n1\nAnswer_3: 2\nAnswer_4: 3",
			[]string{"1", "2", "3"}, false},
		{"greeting", "Here are 3 answers.\n\n**Answer_2:**\n1\n### Answer 3:\n2",
			[]string{"1", "2", ""}, false},
		{"one left out", "1\nAnswer_4:\n3\nAnswer_5:", []string{"1", "", "3"}, true},
		{"own questions", "1\nQuestion_3:\n99\nAnswer_3:\n2\nQuestion_5:\nmore",
			[]string{"1", "2", ""}, true},
		{"an example again", "1\nAnswer_1:\n7\nAnswer_3:\n2", []string{"1", "2", ""}, false},
		{"twice", "1\nAnswer_3:\n2\nAnswer_3:\n9", []string{"1", "2", ""}, false},
		{"it starts over", "1\nAnswer_3:\n2\nAnswer_2:\n9", []string{"1", "2", ""}, false},
		{"empty, then given", "1\nAnswer_3:\n\nAnswer_3:\n9", []string{"1", "9", ""}, false},
		{"wrong numbers", "1\nAnswer_999999:\n5\nAnswer_0:\n6", []string{"1", "", ""}, true},
		{"in the middle of a line", "1, as in Answer_3: 2", []string{"2", "", ""}, false},
	}
	for _, test := range tests {
		assert.Equal(t, test.want, e.Answers(test.output), test.name)
		assert.Equal(t, test.done, e.Done(test.output), test.name)
	}
	assert.Empty(t, NewExam("empty", nil, nil).Answers("Answer_1: 3"))
}

func TestRightAndSame(t *testing.T) {
	e := NewExam("x", []Item{{Answer: "1"}, {Answer: "2"}, {Answer: ""}}, nil)
	assert.Equal(t, 1, e.Right([]string{"1", "1", ""}))
	assert.Equal(t, 0, e.Right(nil))
	assert.Equal(t, 2, e.Right([]string{"1", "2", "", "4"}))

	assert.Equal(t, 0, Same(nil, nil))
	assert.Equal(t, 0, Same([]string{""}, []string{""}))
	assert.Equal(t, 1, Same([]string{"1", "2", ""}, []string{"1", "3", ""}))
	assert.Equal(t, 1, Same([]string{"1"}, []string{"1", "2"}))
}

func TestArithmetic(t *testing.T) {
	items := Arithmetic(1, 200)
	require.Len(t, items, 200)
	seen := map[string]bool{}
	for _, item := range items {
		assert.False(t, seen[item.Question], item.Question)
		seen[item.Question] = true
		assert.Equal(t, item.Answer, lastNumber(item.Steps), item.Question)
		assert.Equal(t, item.Answer, shortest(item.Answer, false))
		assert.Nil(t, item.Choices)
	}
	assert.Equal(t, items[:30], Arithmetic(1, 30), "a shorter set is the start of a longer one")
	assert.NotEqual(t, items[:30], Arithmetic(2, 30))
	assert.Empty(t, Arithmetic(1, 0))
	assert.Len(t, Arithmetic(1, 12000), 12000)
}

func TestFacts(t *testing.T) {
	items := Facts()
	require.GreaterOrEqual(t, len(items), 60)
	seen := map[string]bool{}
	letters := map[string]int{}
	for _, item := range items {
		assert.False(t, seen[item.Question], item.Question)
		seen[item.Question] = true
		letters[item.Answer]++
		texts := map[string]bool{}
		for _, choice := range item.Choices {
			texts[choice] = true
		}
		assert.Len(t, texts, 4, item.Question)
	}
	for _, letter := range []string{"A", "B", "C", "D"} {
		assert.InDelta(t, len(items)/4, letters[letter], 2, letter)
	}
}

func FuzzAnswers(f *testing.F) {
	f.Add("1\n\nAnswer_3:\n2\n\nAnswer_4:\nThe answer is (B).\n")
	f.Add(`**Answer 2:** \boxed{\text{A}} Question_99999: -$1,234.50 = {}}`)
	items := []Item{{Question: "a", Answer: "1"}, {Question: "b", Answer: "B",
		Choices: []string{"x", "y"}}}
	e := NewExam("x", items, items[:1])
	problems := []Problem{{Answer: "12"}, {Answer: "B", Choices: []string{"x", "y"}},
		{Answer: "x+1"}, {Answer: "C"}}
	f.Fuzz(func(t *testing.T, output string) {
		answers := e.Answers(output)
		if len(answers) != 2 || Same(answers, answers) > 2 || e.Right(answers) > 2 {
			t.Fatal(answers)
		}
		if a := answers[0]; a != "" && shortest(strings.TrimPrefix(a, "-"),
			strings.HasPrefix(a, "-")) != a {
			t.Fatalf("%q is not in its shortest form", a)
		}
		if a := answers[1]; a != "" && a != "A" && a != "B" {
			t.Fatalf("%q is no choice", a)
		}
		e.Done(output)
		for _, p := range problems {
			p.Right(output)
			Question{Want: p.Answer}.Right(output)
		}
	})
}
