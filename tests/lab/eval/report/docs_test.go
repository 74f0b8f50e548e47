package report

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

const docsFolder = "../../../../docs"

// copyDocs copies what the command reads.
func copyDocs(t *testing.T) string {
	dir := t.TempDir()
	require.NoError(
		t,
		os.CopyFS(filepath.Join(dir, "results"), os.DirFS(filepath.Join(docsFolder, "results"))),
	)
	page, err := os.ReadFile(filepath.Join(docsFolder, docsPage))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, docsPage), page, 0o644))
	return dir
}

// What the documentation shows is what its lines say.
func TestDocsAreOfTheirResults(t *testing.T) {
	dir := copyDocs(t)
	require.NoError(t, DocsCommand{Dir: dir}.Run())
	for _, name := range []string{docsPage, modelsPlot, questionsPlot} {
		made, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		kept, err := os.ReadFile(filepath.Join(docsFolder, name))
		require.NoError(t, err)
		require.True(
			t,
			string(made) == string(kept),
			"docs/%s is not of docs/results: go run ./build docs",
			name,
		)
	}
}

// Another figure in the lines is another figure on the page, and a table without lines is an error.
func TestDocsTables(t *testing.T) {
	r := Record{
		Test:    "questions",
		Policy:  "full",
		Model:   "m",
		Text:    "a",
		KV:      "f16",
		N:       2,
		Total:   2,
		Right:   1,
		KVShare: 1,
	}
	page := "before\n<!-- results of questions, m, KV f16, 2 questions per prompt -->\nold\n<!-- " +
		"end -->\nafter\n"
	first, err := fillTables(page, setups([]Record{r}))
	require.NoError(t, err)
	require.Contains(t, first, "| full | 1 of 2 |")
	require.NotContains(t, first, "old")
	r.Right = 2
	second, err := fillTables(first, setups([]Record{r}))
	require.NoError(t, err)
	require.Contains(t, second, "before\n<!--")
	require.Contains(t, second, "| full | 2 of 2 |")
	require.Contains(t, second, "<!-- end -->\nafter\n")

	r.N = 3
	_, err = fillTables(first, setups([]Record{r}))
	require.ErrorContains(t, err, "no results of questions, m, KV f16, 2 questions per prompt")
}

// Lines that are added take the place of those of the same measurement; what is kept is rounded,
// and holds no answers. Written again, the kept files are the same.
func TestDocsKeepLines(t *testing.T) {
	dir := filepath.Join(copyDocs(t), "results")
	before := map[string][]byte{}
	for test, name := range keptFiles {
		data, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err, test)
		before[name] = data
	}
	old, err := readLines(filepath.Join(dir, "ruler.jsonl.gz"))
	require.NoError(t, err)
	changed, added, failed := old[3], old[3], old[4]
	changed.Right, changed.KVShare, changed.Answer = 77, 0.12345678, "somebody's"
	added.Sample, failed.Error = 1000, "no memory"
	path := filepath.Join(t.TempDir(), "results.jsonl")
	for _, r := range []Record{changed, added, failed} {
		require.NoError(t, Append(path, r))
	}
	require.NoError(t, keep(dir, path))
	now, err := readLines(filepath.Join(dir, "ruler.jsonl.gz"))
	require.NoError(t, err)
	require.Len(t, now, len(old)+1)
	require.Equal(t, 77, now[3].Right)
	require.Equal(t, 0.123457, now[3].KVShare)
	require.Empty(t, now[3].Answer)
	require.Equal(t, old[4].Key(), now[4].Key())
	require.Empty(t, now[4].Error)
	require.Equal(t, 1000, now[len(old)].Sample)

	for name, data := range before {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, data, 0o644))
		records, err := readLines(path)
		require.NoError(t, err)
		require.NoError(t, writeLines(path, records))
		again, err := os.ReadFile(path)
		require.NoError(t, err)
		require.True(t, string(data) == string(again),
			"docs/results/%s is not what writeLines writes", name)
	}
}

// What a policy keeps of RULER's scores stands beside its worst task, and is marked where the goal is
// met.
func TestRulerGoalsTable(t *testing.T) {
	var records []Record
	for ctx, right := range map[int]int{4096: 97, 8192: 96} {
		for _, task := range []string{"a", "b"} {
			r := Record{Test: "ruler", Model: "m", Text: task, KV: "f16", Ctx: ctx, Sample: 1,
				Total: 100, Right: 100, Policy: "full"}
			records = append(records, r)
			r.Policy, r.Options, r.Right = "p", "budget=1", right
			records = append(records, r)
		}
	}
	text := namedTable("ruler of full, m", setups(records)).markdown()
	require.Equal(t, "| policy | 4k | 8k |\n| --- | --- | --- |\n| p | **97.0, a 97** | 96.0, a 96 |\n", text)
	require.Nil(t, namedTable("ruler of full, other", setups(records)))
}
