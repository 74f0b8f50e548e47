package tasks

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestReadProblems(t *testing.T) {
	choices := []string{"red", "blue"}
	tests := []struct {
		name, line string
		want       Problem
	}{
		{"prompt", `{"id":"p1","prompt":"Say 7.","answer":7}`,
			Problem{ID: "p1", Prompt: "Say 7.", Answer: "7"}},
		{"AIME", `{"ID":"2024-I-1","Problem":"Find n.","Solution":"long \\boxed{9}","Answer":"073"}`,
			Problem{ID: "2024-I-1", Prompt: "Find n." + request, Answer: "73"}},
		{"boxed solution", `{"problem":"Find n.","solution":"First 3.\nThen \\boxed{204}."}`,
			Problem{ID: "1", Prompt: "Find n." + request, Answer: "204"}},
		{"stated solution", `{"problem":"Find n.","solution":"First 3.\nThe answer is 204."}`,
			Problem{ID: "1", Prompt: "Find n." + request, Answer: "204"}},
		{"short solution", `{"problem":"Find n.","solution":"x+1"}`,
			Problem{ID: "1", Prompt: "Find n." + request, Answer: "x+1"}},
		{"choices", `{"question":"Which?","choices":["red","blue"],"answer":1}`,
			Problem{ID: "1", Prompt: "Which?\n\n(A) red\n(B) blue" + request, Answer: "B",
				Choices: choices}},
		{"prompt with choices",
			`{"prompt":"Which, (A) red or (B) blue?","choices":["red","blue"],"answer":"b"}`,
			Problem{ID: "1", Prompt: "Which, (A) red or (B) blue?", Answer: "B", Choices: choices}},
		{"tests and an answer", `{"prompt":"What does it print?","tests":["x"],"answer":"[1, 2]"}`,
			Problem{ID: "1", Prompt: "What does it print?", Answer: "[1, 2]"}},
	}
	for _, test := range tests {
		problems, err := ReadProblems(write(t, "a.jsonl", test.line))
		require.NoError(t, err, test.name)
		assert.Equal(t, []Problem{test.want}, problems, test.name)
	}
}

func TestReadProblemsGPQA(t *testing.T) {
	line := `{"Record ID":"rec1","Question":"Which?","Correct Answer":"right","Incorrect Answer 1":"w1","Incorrect Answer 2":"w2","Incorrect Answer 3":"w3"}`
	problems, err := ReadProblems(write(t, "a.jsonl", line))
	require.NoError(t, err)
	p := problems[0]
	assert.Equal(t, "right", p.Choices[p.Answer[0]-'A'])
	assert.Contains(t, p.Prompt, "("+p.Answer+") right\n")
	sorted := slices.Sorted(slices.Values(p.Choices))
	assert.Equal(t, []string{"right", "w1", "w2", "w3"}, sorted)

	heading := "Record ID,Question,Correct Answer,Incorrect Answer 1,Incorrect Answer " +
		"2,Incorrect Answer 3\n"
	again, err := ReadProblems(write(t, "a.csv",
		heading+"rec0,Other?,right,w1,w2,w3\nrec1,Which?,right,w1,w2,w3\n"))
	require.NoError(t, err)
	assert.Equal(t, p, again[1], "the order depends on the id alone")

	// Over many problems the right answer lies everywhere.
	var b strings.Builder
	for i := range 400 {
		b.WriteString(strings.ReplaceAll(line, "rec1", "rec"+strings.Repeat("x", i)) + "\n")
	}
	problems, err = ReadProblems(write(t, "a.jsonl", b.String()))
	require.NoError(t, err)
	count := map[string]int{}
	for _, p := range problems {
		assert.Equal(t, "right", p.Choices[p.Answer[0]-'A'])
		count[p.Answer]++
	}
	for _, letter := range []string{"A", "B", "C", "D"} {
		assert.Greater(t, count[letter], 60)
	}
}

func TestReadProblemsErrors(t *testing.T) {
	tests := []struct{ file, content, want string }{
		{"a.jsonl", `{"answer":"7"}`, "a.jsonl:1: no prompt, problem or question"},
		{"a.jsonl", `{"prompt":"P"}`, "no answer, and no solution"},
		{"a.jsonl", `{"prompt":"P","solution":"line\nline"}`, "no answer, and no solution"},
		{"a.jsonl", `{"prompt":"P","tests":["assert x"],"solution":"def f(): pass"}`,
			"has tests and no answer: code is never executed here"},
		{"a.jsonl", `{"question_content":"P","public_test_cases":"[]"}`,
			"public_test_cases and no answer"},
		{"a.jsonl", `{"prompt":"P","choices":["a","b"]}`, "no answer"},
		{"a.jsonl", `{"prompt":"P","choices":["a","b"],"answer":"C"}`, `answer "C" names none`},
		{"a.jsonl", `{"Question":"P","Correct Answer":"a"}`, `no "Incorrect Answer 1"`},
		{"a.csv", "Q,a,b,c,d,A\n", "needs a heading"},
	}
	for _, test := range tests {
		_, err := ReadProblems(write(t, test.file, test.content))
		assert.ErrorContains(t, err, test.want, test.content)
	}
}

func TestProblemRight(t *testing.T) {
	choices := []string{"x", "y", "z"}
	tests := []struct {
		problem Problem
		output  string
		right   bool
	}{
		{Problem{Answer: "1234"}, `so \boxed{1,234.0}`, true},
		{Problem{Answer: "73"}, "The answer is 073.", true},
		{Problem{Answer: "73"}, "it is 73", true},
		{Problem{Answer: "73"}, "it is 730", false},
		{Problem{Answer: "73"}, `73 or \boxed{74}`, false},
		{Problem{Answer: "73"}, "", false},
		{Problem{Answer: "-3"}, "x = -3", true},
		{Problem{Answer: "3"}, "x = -3", false},
		{Problem{Answer: "B", Choices: choices}, "the answer is (b).", true},
		{Problem{Answer: "B", Choices: choices}, "I choose C", false},
		{Problem{Answer: "C"}, "I choose C", true},
		{Problem{Answer: "x+1"}, `\boxed{X+1}`, true},
		{Problem{Answer: "x+1"}, "The answer is x+1.", true},
		{Problem{Answer: "x+1"}, "so:\nx+1", true},
		{Problem{Answer: "x+1"}, "so x+1", false},
		{Problem{Answer: `\frac{1}{2}`}, `\boxed{\frac{1}{2}}`, true},
		{Problem{}, "", false},
	}
	for _, test := range tests {
		assert.Equal(t, test.right, test.problem.Right(test.output), "%v %q", test.problem,
			test.output)
	}
}
