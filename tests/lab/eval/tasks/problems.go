package tasks

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// Problem is a prompt with a reference answer, for pass@1.
type Problem struct {
	ID      string
	Prompt  string // complete, with the choices
	Answer  string // a number in its shortest form, the letter of a choice, or a text
	Choices []string
}

// request follows a bare question. A "prompt" is taken as complete.
const request = "\n\nThink step by step, then give the final answer as \\boxed{...}."

// ReadProblems reads the problems of a file or of a folder's .json, .jsonl and .csv files with a
// heading. The keys, in any case, are
//   - "prompt", taken as it is, or "problem" or "question", which get the choices and the request for \boxed{};
//   - "answer", or "solution", whose \boxed{} or last stated answer counts;
//   - optional "choices", as in ReadItems, and "id";
//   - GPQA: "Question", "Correct Answer", "Incorrect Answer 1" and so on; the order of the choices depends on the id alone.
//
// Code is never executed: a problem that has tests and no answer is an error.
func ReadProblems(path string) ([]Problem, error) {
	records, err := readRecords(path)
	if err != nil {
		return nil, err
	}
	problems := make([]Problem, 0, len(records))
	for i, r := range records {
		p, err := r.problem()
		if err != nil {
			return nil, err
		}
		if p.ID == "" {
			p.ID = fmt.Sprint(i + 1)
		}
		problems = append(problems, p)
	}
	return problems, nil
}

func (r record) problem() (Problem, error) {
	if r.fields == nil {
		return Problem{}, r.fail("a CSV file of problems needs a heading with question and answer")
	}
	p := Problem{ID: r.text("id", "record id", "question_id", "task_id")}
	question := r.text("problem", "question", "question_content")
	p.Prompt = r.text("prompt")
	if p.Prompt == "" && question == "" {
		return p, r.fail("no prompt, problem or question")
	}
	if r.text("correct answer") != "" {
		return r.gpqa(p, question)
	}
	if err := r.answer(&p); err != nil {
		return p, err
	}
	p.complete(question)
	return p, nil
}

// complete makes the prompt of a bare question.
func (p *Problem) complete(question string) {
	if p.Prompt != "" {
		return
	}
	p.Prompt = question
	if p.Choices != nil {
		p.Prompt += "\n\n" + strings.TrimSuffix(choiceLines(p.Choices), "\n")
	}
	p.Prompt += request
}

// answer reads the choices and the answer.
func (r record) answer(p *Problem) error {
	answer := r.text("answer", "answerkey")
	for _, key := range []string{"tests", "test", "test_cases", "public_test_cases",
		"private_test_cases", "input_output"} {
		if r.fields[key] != nil && answer == "" {
			return r.fail("the problem has %s and no answer: code is never executed here, so it "+
				"cannot be scored", key)
		}
	}
	if choices := r.fields["choices"]; choices != nil {
		if answer == "" {
			return r.fail("no answer")
		}
		texts, labels, err := r.choices(choices)
		if err != nil {
			return err
		}
		item, err := r.choiceItem(Item{}, texts, labels, answer)
		p.Choices, p.Answer = item.Choices, item.Answer
		return err
	}
	if answer == "" {
		answer = resultOf(r.text("solution"))
	}
	if p.Answer = canonical(answer); p.Answer == "" {
		return r.fail("no answer, and no solution that states one")
	}
	return nil
}

// resultOf returns what a worked solution arrives at. A short one without any statement is the
// answer itself.
func resultOf(solution string) string {
	if content, ok := boxed(solution); ok {
		return content
	}
	if s := statement(solution); s != "" {
		return s
	}
	if !strings.Contains(solution, "\n") {
		return solution
	}
	return ""
}

// canonical writes a number in its shortest form, and another text trimmed.
func canonical(answer string) string {
	if content, ok := boxed(answer); ok {
		answer = content
	}
	answer = undecorate(answer)
	if number := wholeNumber(answer); number != "" && !strings.ContainsAny(answer, " =") {
		return number
	}
	return answer
}

// gpqa shuffles the choices by the id, or the question if there is none, so that a problem looks
// alike in every set and run.
func (r record) gpqa(p Problem, question string) (Problem, error) {
	correct := r.text("correct answer")
	if question == "" {
		question = p.Prompt
	}
	p.Prompt = ""
	p.Choices = []string{correct}
	for i := 1; i < maxChoices; i++ {
		if wrong := r.text(fmt.Sprintf("incorrect answer %d", i)); wrong != "" {
			p.Choices = append(p.Choices, wrong)
		}
	}
	if len(p.Choices) < 2 {
		return p, r.fail("a correct answer and no \"Incorrect Answer 1\"")
	}
	seed := p.ID
	if seed == "" {
		seed = question
	}
	at := 0 // of the correct answer; a wrong one may have the same text
	random := rand.New(rand.NewPCG(hash(seed), 0))
	random.Shuffle(len(p.Choices), func(i, j int) {
		p.Choices[i], p.Choices[j] = p.Choices[j], p.Choices[i]
		switch at {
		case i:
			at = j
		case j:
			at = i
		}
	})
	p.Answer = string(rune('A' + at))
	p.complete(question)
	return p, nil
}

// Right reports whether the output arrives at the answer: in its last \boxed{}, else after its last
// "answer is", else with its last number or letter. Numbers are compared as numbers (1,234 =
// 1234.0, 073 = 73), letters without case, other texts without case and outer spaces.
func (p Problem) Right(output string) bool {
	return p.Answer != "" && p.Found(output) == strings.ToLower(p.Answer)
}

// Found is what Right compares: the answer of the output in lower case, "" if there is none. Two
// runs agree if they found the same.
func (p Problem) Found(output string) string {
	choices := len(p.Choices)
	if choices == 0 && len(p.Answer) == 1 && p.Answer[0] >= 'A' && p.Answer[0] <= 'Z' {
		choices = max(5, int(p.Answer[0]-'A')+1) // a letter whose choices stand in the prompt
	}
	if choices > 0 || isNumber(p.Answer) {
		return strings.ToLower(final(output, choices))
	}
	if content, ok := boxed(output); ok {
		return strings.ToLower(canonical(content))
	}
	if s := statement(output); s != "" {
		return strings.ToLower(canonical(s))
	}
	lines := strings.Split(strings.TrimSpace(output), "\n")
	return strings.ToLower(canonical(lines[len(lines)-1]))
}

func isNumber(answer string) bool { return answer != "" && wholeNumber(answer) == answer }

// statement returns what follows the last "answer is" on its line, without the full stop.
func statement(text string) string { return strings.Trim(afterStated(text), " \t\r*.") }
