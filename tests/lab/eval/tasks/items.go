package tasks

import (
	_ "embed"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Item is one question of a set with its reference answer.
type Item struct {
	Question string
	Choices  []string // nil if a number is asked for
	Answer   string   // a number in its shortest form, or the letter of a choice, A for the first
	Steps    string   // a worked solution, shown where the item is an example; may be empty
}

// maxChoices is the most that letters can name.
const maxChoices = 26

// ReadItems reads the items of a file or of a folder's .json, .jsonl and .csv files. Known are
//   - GSM8K: {"question", "answer": "... #### 42"}, or a bare number as the answer;
//   - CommonsenseQA: {"question": {"stem", "choices": [{"label", "text"}]}, "answerKey"}, and the flat form of Hugging Face
//     {"question", "choices": {"label": [], "text": []}, "answerKey"};
//   - MMLU: {"question", "choices": [...], "answer": 0 or "A"}, and CSV lines question,A,B,C,D,answer without a heading,
//     or with one that names the choices choice0, choice1, ...
//
// JSON is one object a line or one array. An error names the file, the line and what is missing.
func ReadItems(path string) ([]Item, error) {
	records, err := readRecords(path)
	if err != nil {
		return nil, err
	}
	return itemsOf(records)
}

func itemsOf(records []record) ([]Item, error) {
	items := make([]Item, 0, len(records))
	for _, r := range records {
		item, err := r.item()
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, nil
}

func (r record) item() (Item, error) {
	if r.fields == nil {
		return r.cellsItem()
	}
	question, choices := r.fields["question"], r.fields["choices"]
	var nested struct {
		Stem    string          `json:"stem"`
		Choices json.RawMessage `json:"choices"`
	}
	item := Item{Question: scalar(question)}
	if item.Question == "" && json.Unmarshal(question, &nested) == nil {
		item.Question, choices = strings.TrimSpace(nested.Stem), nested.Choices
	}
	if item.Question == "" {
		return Item{}, r.fail("no question")
	}
	answer := r.text("answerkey", "answer")
	if answer == "" {
		return Item{}, r.fail("no answer")
	}
	if choices == nil {
		return r.numberItem(item, answer)
	}
	texts, labels, err := r.choices(choices)
	if err != nil {
		return Item{}, err
	}
	return r.choiceItem(item, texts, labels, answer)
}

// cellsItem reads a CSV line of MMLU.
func (r record) cellsItem() (Item, error) {
	if len(r.cells) != 6 {
		return Item{}, r.fail("%d cells, want question,A,B,C,D,answer", len(r.cells))
	}
	cells := make([]string, 6)
	for i := range cells {
		if cells[i] = strings.TrimSpace(r.cells[i]); cells[i] == "" {
			return Item{}, r.fail("cell %d is empty", i+1)
		}
	}
	if len(cells[5]) != 1 || cells[5] < "A" || cells[5] > "D" {
		return Item{}, r.fail("answer %q is no letter from A to D", cells[5])
	}
	return Item{Question: cells[0], Choices: cells[1:5], Answer: cells[5]}, nil
}

// calculation is a note of GSM8K for a calculator, such as <<48/2=24>>.
var calculation = regexp.MustCompile(`<<[^<>\n]*>>`)

func (r record) numberItem(item Item, answer string) (Item, error) {
	steps, result, found := strings.Cut(answer, "####")
	if !found {
		steps, result = "", answer
	}
	if item.Answer = wholeNumber(undecorate(result)); item.Answer == "" {
		return Item{}, r.fail("the answer has no choices and ends in no number after ####")
	}
	item.Steps = strings.TrimSpace(calculation.ReplaceAllString(steps, ""))
	return item, nil
}

// choices reads the three forms of choices: texts, {"label": [], "text": []}, and [{"label",
// "text"}]. Labels are nil where there are none.
func (r record) choices(value json.RawMessage) (texts, labels []string, err error) {
	var flat struct{ Label, Text []string }
	var pairs []struct{ Label, Text string }
	var cells []json.RawMessage
	switch {
	case json.Unmarshal(value, &flat) == nil && flat.Text != nil:
		texts, labels = flat.Text, flat.Label
	case json.Unmarshal(value, &pairs) == nil:
		for _, pair := range pairs {
			texts, labels = append(texts, pair.Text), append(labels, pair.Label)
		}
	case json.Unmarshal(value, &cells) == nil:
		for _, cell := range cells {
			texts = append(texts, scalar(cell))
		}
	default:
		return nil, nil, r.fail("choices are neither a list nor {label, text}")
	}
	if len(texts) < 2 || len(texts) > maxChoices {
		return nil, nil, r.fail("%d choices, want 2 to %d", len(texts), maxChoices)
	}
	if labels != nil && len(labels) != len(texts) {
		return nil, nil, r.fail("%d labels of %d choices", len(labels), len(texts))
	}
	for i := range texts {
		if texts[i] = strings.TrimSpace(texts[i]); texts[i] == "" {
			return nil, nil, r.fail("choice %d has no text", i+1)
		}
	}
	return texts, labels, nil
}

// choiceItem finds the answer among the labels, else as a letter, else as a number from 0, else as
// the text of a choice.
func (r record) choiceItem(item Item, texts, labels []string, answer string) (Item, error) {
	item.Choices = texts
	at := slices.Index(labels, answer)
	if at < 0 && labels == nil {
		at = choiceIndex(answer, texts)
	}
	if at < 0 {
		return Item{}, r.fail("answer %q names none of the %d choices", answer, len(texts))
	}
	item.Answer = string(rune('A' + at))
	return item, nil
}

func choiceIndex(answer string, texts []string) int {
	if at := slices.Index(texts, answer); at >= 0 && len(answer) > 1 {
		return at
	}
	if len(answer) != 1 {
		return -1
	}
	at := int(answer[0]) - '0'
	if answer[0] > '9' {
		at = int(strings.ToUpper(answer)[0]) - 'A'
	}
	if at < 0 || at >= len(texts) {
		return -1
	}
	return at
}

//go:embed data/facts.csv
var factsText []byte

// Facts returns the set of general knowledge that ships, always in the same order.
func Facts() []Item { return slices.Clone(facts()) }

var facts = sync.OnceValue(func() []Item {
	records, err := parseFile("facts.csv", factsText)
	if err != nil {
		panic(err)
	}
	items, err := itemsOf(records)
	if err != nil {
		panic(err)
	}
	return items
})
