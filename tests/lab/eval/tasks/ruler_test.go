package tasks

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func pieceCount(t Trial) int { return pieces(t.Prompt + " " + t.Reply) }

// Each trial is as long as was asked for, holds what it asks for, and is the same again whatever
// was made before it.
func TestRuler(t *testing.T) {
	require.Len(t, RulerTasks(), 13)
	for _, task := range RulerTasks() {
		for _, tokens := range []int{2048, 4096, 32768} {
			trials, err := task.Trials(1, 0, 3, tokens, ChronicleProse(), pieceCount)
			require.NoError(t, err)
			for _, trial := range trials {
				n := pieceCount(trial) + trial.MaxTokens
				require.LessOrEqual(t, n, tokens, task.Name)
				require.Greater(t, n, tokens*94/100, task.Name)
				require.NotEmpty(t, trial.Want)
				for _, want := range trial.Want {
					require.Contains(t, trial.Prompt, want, task.Name)
					require.NotContains(t, trial.Reply, want, task.Name)
				}
				require.Equal(t, len(trial.Want), trial.Right(trial.Truth()), task.Name)
				require.Zero(t, trial.Right("nothing"))
				require.Equal(t, len(trial.Want),
					trial.Right(strings.ToUpper(strings.Join(trial.Want, ", "))))
				require.False(t, trial.Done(strings.Join(trial.Want[1:], " ")), task.Name)
			}
			require.NotEqual(t, trials[0].Prompt, trials[1].Prompt, task.Name)
			later, err := task.Trials(1, 2, 1, tokens, ChronicleProse(), pieceCount)
			require.NoError(t, err)
			require.Equal(t, trials[2], later[0], task.Name)
		}
	}
}

// What is asked for is what the text says, found by reading it another way than it was written.
func TestRulerAnswers(t *testing.T) {
	for _, task := range RulerTasks() {
		trials, err := task.Trials(7, 0, 4, 4096, ChronicleProse(), pieceCount)
		require.NoError(t, err)
		for _, trial := range trials {
			var want []string
			switch {
			case strings.HasPrefix(task.Name, "niah"):
				want = readNeedles(trial)
			case task.Name == "vt":
				want = readChain(trial)
			case task.Name == "cwe":
				want = mostFrequent(afterLast(trial.Prompt, "Below is"), 10)
			case task.Name == "fwe":
				want = mostFrequent(trial.Prompt, 3)
			default:
				want = readDocuments(trial)
			}
			slices.Sort(want)
			got := slices.Sorted(slices.Values(trial.Want))
			require.Equal(t, want, got, "%s\n%s", task.Name, trial.Reply)
		}
	}
}

func readNeedles(trial Trial) (found []string) {
	for part := range strings.SplitSeq(trial.Prompt, "One of the special magic ") {
		key, value, ok := strings.Cut(part, " is: ")
		if _, key, _ = strings.Cut(key, " for "); ok && strings.Contains(trial.Reply, key) {
			value, _, _ = strings.Cut(value, ".")
			found = append(found, value)
		}
	}
	return found
}

func afterLast(text, mark string) string { return text[strings.LastIndex(text, mark):] }

func readChain(trial Trial) (names []string) {
	value := afterLast(trial.Reply, "value ")[6:11]
	for line := range strings.SplitSeq(afterLast(trial.Prompt, "Memorize"), "\n") {
		var name, of string
		if n, _ := fmt.Sscanf(strings.Replace(line, "= VAR", "=", 1), "VAR %s = %s", &name,
			&of); n == 2 && (of == value || slices.Contains(names, of)) {
			names = append(names, name)
		}
	}
	return names
}

// mostFrequent are the words that are neither numbers nor of the instructions, by their number.
func mostFrequent(text string, n int) []string {
	count := map[string]int{}
	body, _, _ := strings.Cut(text, "\nQuestion")
	for _, word := range strings.Fields(body) {
		if strings.Trim(word, "abcdefghijklmnopqrstuvwxyz-") == "" {
			count[word]++
		}
	}
	delete(count, "often")
	list := make([]string, 0, len(count))
	for word := range count {
		list = append(list, word)
	}
	slices.SortFunc(list, func(a, b string) int { return count[b] - count[a] })
	return list[:n]
}

func readDocuments(trial Trial) []string {
	question := afterLast(trial.Prompt, "Question: ")
	about := func(name string) string {
		_, doc, _ := strings.Cut(trial.Prompt, ":\n"+name+"\n")
		doc, _, _ = strings.Cut(doc, "\n\n")
		return doc
	}
	between := func(text, from, to string) string {
		_, text, _ = strings.Cut(text, from)
		text, _, _ = strings.Cut(text, to)
		return text
	}
	name := between(question+"|", " of ", " ")
	for _, cut := range [][2]string{{"teacher of ", " born"}, {"teacher of ", " play"},
		{"trade of ", "?"}, {"was ", " born"}, {"did ", " play"}} {
		if strings.Contains(question, cut[0]) && strings.Contains(question, cut[1]) {
			name = between(question, cut[0], cut[1])
			break
		}
	}
	doc := about(name)
	if strings.Contains(question, "teacher") {
		doc = about(between(doc, "pupil of ", ", the young"))
	}
	switch {
	case strings.Contains(question, "town"):
		return []string{between(doc, "born in ", " in ")}
	case strings.Contains(question, "instrument"):
		return []string{between(doc, "played the ", " on ")}
	}
	return []string{between(doc, "the young ", " opened")}
}

func TestProse(t *testing.T) {
	_, err := NewProse("One. Two. Three.")
	require.ErrorContains(t, err, "3 sentences")
	p := ChronicleProse()
	require.Equal(t, []string{p[len(p)-1], p[0]}, p.from(len(p)-1, 2))
	_, err = RulerTasks()[0].Trials(1, 0, 1, 128, p, pieceCount)
	require.ErrorContains(t, err, "does not fit into 128 tokens")
}
