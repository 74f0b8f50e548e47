package tasks

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// write puts a file into a new folder and returns its path.
func write(t *testing.T, name, content string) string {
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
	return path
}

const csqa = `{"answerKey":"C","id":"x","question":{"question_concept":"ferret","choices":[{"label":"A","text":"bad"},{"label":"B","text":"good"},` +
	`{"label":"C","text":"fine"}],"stem":"How is it?"}}`

const csqaFlat = `{"id":"x","question":"How is it?","question_concept":"c","choices":{"label":["A","B","C"],"text":["bad","good","fine"]},"answerKey":"C"}`

func TestReadItems(t *testing.T) {
	gsm := Item{Question: "How many?", Answer: "1234", Steps: "She sold 48/2 = 24.\nSo it is 1234."}
	three := Item{Question: "How is it?", Choices: []string{"bad", "good", "fine"}, Answer: "C"}
	four := Item{Question: "Sum?", Choices: []string{"1", "2", "3", "4"}, Answer: "D"}
	tests := []struct {
		name, file, content string
		want                []Item
	}{
		{"GSM8K", "a.jsonl", `{"question":"How many?","answer":"She sold 48/2 = <<48/2=24>>24.\nSo it is 1234.\n#### 1,234"}` + "\n\n", []Item{gsm}},
		{"bare number", "a.jsonl", `{"question":"Q","answer":7}` + "\r\n" +
			`{"Question":"R","Answer":"-0.50"}`,
			[]Item{{Question: "Q", Answer: "7"}, {Question: "R", Answer: "-0.5"}}},
		{"number, choices null", "a.json", `[{"question":"Q","answer":"7","choices":null}]`,
			[]Item{{Question: "Q", Answer: "7"}}},
		{"CSQA", "a.jsonl", csqa, []Item{three}},
		{"CSQA flat", "a.jsonl", csqaFlat, []Item{three}},
		{"CSQA array", "a.json", " [" + csqa + ",\n" + csqaFlat + "]", []Item{three, three}},
		{"labels are numbers", "a.jsonl", strings.NewReplacer(`"A"`, `"1"`, `"B"`, `"2"`, `"C"`,
			`"3"`).Replace(csqaFlat), []Item{three}},
		{"MMLU index", "a.json", `[{"question":"Sum?","choices":["1","2","3","4"],"answer":3,"subject":"x"}]`, []Item{four}},
		{"MMLU numbers", "a.json", `[{"question":"Sum?","choices":[1,2,3,4],"answer":3}]`,
			[]Item{four}},
		{"MMLU letter", "a.jsonl", `{"question":"Sum?","choices":["1","2","3","4"],"answer":"d"}`,
			[]Item{four}},
		{"MMLU text", "a.jsonl", `{"question":"How is it?","choices":["bad","good","fine"],"answer":"fine"}`, []Item{three}},
		{"MMLU CSV", "a.csv", "Sum?,1,2,3,4,D\n\"Say \"\"x\"\",\nplease\",a,b,c,d,A\n",
			[]Item{four, {Question: "Say \"x\",\nplease", Choices: []string{"a", "b", "c", "d"},
				Answer: "A"}}},
		{"MMLU CSV with a heading", "a.csv",
			"question,choice0,choice1,choice2,choice3,answer\nSum?,1,2,3,4,3\n", []Item{four}},
		{"the same in letters", "a.csv", "Question,A,B,C,D,Answer\nSum?,1,2,3,4,D\n", []Item{four}},
		{"byte order mark", "a.csv", "\xef\xbb\xbfSum?,1,2,3,4,D\n", []Item{four}},
	}
	for _, test := range tests {
		items, err := ReadItems(write(t, test.file, test.content))
		require.NoError(t, err, test.name)
		assert.Equal(t, test.want, items, test.name)
	}
}

func TestReadItemsErrors(t *testing.T) {
	good := `{"question":"Q","answer":"7"}` + "\n"
	tests := []struct{ file, content, want string }{
		{"a.jsonl", "", "a.jsonl holds no items"},
		{"a.jsonl", good + "\n{bad", "a.jsonl:3: not a JSON object"},
		{"a.jsonl", good + "3", "a.jsonl:2: not a JSON object"},
		{"a.jsonl", good + `{"answer":"7"}`, "a.jsonl:2: no question"},
		{"a.jsonl", `{"question":{"stem":""},"answerKey":"A"}`, "a.jsonl:1: no question"},
		{"a.jsonl", `{"question":"Q"}`, "a.jsonl:1: no answer"},
		{"a.jsonl", `{"question":"Q","answer":"many"}`, "no number after ####"},
		{"a.jsonl", `{"question":"Q","answer":"####"}`, "no number after ####"},
		{"a.jsonl", `{"question":"Q","choices":["a"],"answer":0}`, "1 choices, want 2 to 26"},
		{"a.jsonl", `{"question":"Q","choices":"ab","answer":0}`, "choices are neither"},
		{"a.jsonl", `{"question":"Q","choices":["a",""],"answer":0}`, "choice 2 has no text"},
		{"a.jsonl", `{"question":"Q","choices":["a",{}],"answer":0}`, "choice 2 has no text"},
		{"a.jsonl", `{"question":"Q","choices":["a","b"],"answer":2}`,
			`answer "2" names none of the 2 choices`},
		{"a.jsonl", `{"question":"Q","choices":["a","b"],"answer":-1}`, `answer "-1" names none`},
		{"a.jsonl", `{"question":"Q","choices":["a","b"],"answer":"*"}`, `answer "*" names none`},
		{"a.jsonl", strings.ReplaceAll(csqaFlat, `"answerKey":"C"`, `"answerKey":"F"`),
			`answer "F" names none of the 3 choices`},
		{"a.jsonl", strings.ReplaceAll(csqaFlat, `"A",`, ""), "2 labels of 3 choices"},
		{"a.json", "[\n" + good + ",\n{\"question\":\"Q\"}]", "a.json:4: no answer"},
		{"a.json", "[" + good, "a.json"},
		{"a.json", "[3]", "a.json:1: not a JSON object"},
		{"a.json", "[\n\n{x}]", "a.json:3: not valid JSON"},
		{"a.csv", "Q,a,b,c,D\n", "a.csv:1: 5 cells"},
		{"a.csv", "Q,a,b,c,d,A\nQ,a,b,,d,A\n", "a.csv:2: cell 4 is empty"},
		{"a.csv", "Q,a,b,c,d,E\n", `answer "E" is no letter`},
	}
	for _, test := range tests {
		_, err := ReadItems(write(t, test.file, test.content))
		assert.ErrorContains(t, err, test.want, test.content)
	}
	_, err := ReadItems(filepath.Join(t.TempDir(), "missing"))
	assert.ErrorIs(t, err, os.ErrNotExist)
}

func TestReadItemsFolder(t *testing.T) {
	folder := t.TempDir()
	_, err := ReadItems(folder)
	assert.ErrorContains(t, err, "holds no .json, .jsonl or .csv file")
	for name, content := range map[string]string{"b.jsonl": `{"question":"Q","answer":"7"}`,
		"a.CSV": "Sum?,1,2,3,4,D", "notes.txt": "x"} {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), []byte(content), 0o644))
	}
	items, err := ReadItems(folder)
	require.NoError(t, err)
	require.Len(t, items, 2)
	assert.Equal(t, "Sum?", items[0].Question)
}

func TestReadItemsBounds(t *testing.T) {
	_, err := ReadItems(write(t, "a.jsonl", "\n"+strings.Repeat("x", maxRecord+1)))
	assert.ErrorContains(t, err, "a.jsonl:2: a line longer than 4 MiB")
	_, err = ReadItems(write(t, "a.jsonl", strings.Repeat("{}\n", maxRecords+1)))
	assert.ErrorContains(t, err, "more than 200000 items")

	path := write(t, "a.jsonl", "")
	require.NoError(t, os.Truncate(path, maxFile+1)) // a sparse file
	_, err = ReadItems(path)
	assert.ErrorContains(t, err, "larger than 256 MiB")
}

func FuzzReadItems(f *testing.F) {
	for _, content := range []string{csqa, csqaFlat, "[" + csqa + "]",
		`{"question":"Q","answer":"a <<1=1>> #### -1,000.50"}`, "Q,a,b,c,d,A\n",
		"Question,Correct Answer,Incorrect Answer 1\nQ,a,b\n",
		`{"problem":"P","solution":"so \\boxed{\\frac{1}{2}}"}`} {
		f.Add("a.jsonl", content)
		f.Add("a.csv", content)
	}
	f.Fuzz(func(t *testing.T, name, content string) {
		records, err := parseFile(name, []byte(content))
		if err != nil {
			return
		}
		items, _ := itemsOf(records)
		for _, item := range items {
			if item.Question == "" || item.Answer == "" || item.Choices != nil &&
				int(item.Answer[0]-'A') >= len(item.Choices) {
				t.Fatalf("%#v", item)
			}
		}
		NewExam("x", items, items)
		for _, r := range records {
			if p, err := r.problem(); err == nil && (p.Prompt == "" || p.Answer == "") {
				t.Fatalf("%#v", p)
			}
		}
	})
}
