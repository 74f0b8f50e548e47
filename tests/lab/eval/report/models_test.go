package report

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Models are lines of one plot, of the policies that differ in nothing but the budget; every plot
// is a file that stands by itself.
func TestPlotsOfModels(t *testing.T) {
	var records []Record
	for _, model := range []string{"one", "two"} {
		for _, r := range synthDecode("decode", "f16", "prose") {
			r.Model = model
			records = append(records, r)
		}
	}
	require.Nil(t, models(setups(records[:len(records)/2])), "one model is no comparison")
	require.Len(t, models(setups(records)), 1)
	require.Contains(t, page(t, records), "on several models")

	dir := t.TempDir()
	require.NoError(t, WritePlots(dir, records))
	files, err := filepath.Glob(filepath.Join(dir, "*.svg"))
	require.NoError(t, err)
	require.Contains(t, files, filepath.Join(dir, "models.svg"))
	require.Len(t, files, 7) // and three of each model
	for _, path := range files {
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Contains(t, string(data), `xmlns="http://www.w3.org/2000/svg"`)
		for d := xml.NewDecoder(strings.NewReader(string(data))); ; {
			if _, err = d.Token(); err != nil {
				break
			}
		}
		require.True(t, errors.Is(err, io.EOF), "%s: %v", path, err)
	}
	data, err := os.ReadFile(filepath.Join(dir, "models.svg"))
	require.NoError(t, err)
	require.Contains(t, string(data), "two, 4096 tokens")
	require.NotContains(t, string(data), "quest")
}
