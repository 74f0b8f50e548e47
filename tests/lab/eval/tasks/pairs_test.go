package tasks

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReadPairs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pairs.jsonl")
	line := `{"ordered_kv_records": [["a-1", "x-1"], ["b-2", "y-2"], ["c-3", "z-3"]], "key": "b-2", "value": "y-2"}` + "\n"
	require.NoError(t, os.WriteFile(path, []byte(strings.Repeat(line, 3)), 0o600))
	cases, err := ReadPairs(path, 2)
	require.NoError(t, err)
	require.Len(t, cases, 2)
	for i, place := range []string{`{"b-2": "y-2",`, ` "c-3": "z-3"}`} {
		c := cases[i]
		require.Equal(t, 1, strings.Count(c.Text, `"b-2": "y-2"`))
		require.Contains(t, c.Text, place)
		q := c.Questions[0]
		require.Equal(t, "Key: \"b-2\"\nCorresponding value: \"", q.Text)
		require.True(t, q.Right(`y-2"`))
		require.True(t, q.Done(`y-2"`))
		require.False(t, q.Done(`y-2`))
		for _, wrong := range []string{"", "y-2", ` y-2"`, `y-22"`, `y-3"`} {
			require.False(t, q.Right(wrong), wrong)
		}
	}
}

func TestReadPairsRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"no pairs": `{"key": "a", "value": "b"}`,
		"no key":   `{"ordered_kv_records": [["a", "b"]], "value": "b"}`,
		"no list":  `{"ordered_kv_records": 3, "key": "a", "value": "b"}`,
	} {
		path := filepath.Join(t.TempDir(), "pairs.jsonl")
		require.NoError(t, os.WriteFile(path, []byte(text+"\n"), 0o600))
		_, err := ReadPairs(path, 5)
		require.ErrorContains(t, err, "pairs.jsonl:1", name)
	}
}
