package plan

import (
	"bufio"
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/retro/options"
)

// record is a line of docs/results, as the laboratory leaves it.
type record struct {
	Machine, Model, KV, Text, Options, Plan string
	Ctx                                     int
	KL, Exposure                            float64
	PerSecond                               float64 `json:"tok_s"`

	options options.Options
}

// usual tells whether nothing but what a plan chooses was set.
func (l *record) usual() bool {
	o := options.Default()
	return l.options == o.With(l.options.Choice()) && !l.options.Planned()
}

// results are the lines of sparse decoding.
func results(t testing.TB) (all []record) {
	file, err := os.Open("../../docs/results/decode.jsonl")
	require.NoError(t, err)
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if len(lines.Bytes()) == 0 {
			continue
		}
		var l record
		require.NoError(t, json.Unmarshal(lines.Bytes(), &l))
		if l.Options != "" { // not full attention
			l.options = parsed(t, l.Options)
			all = append(all, l)
		}
	}
	require.NoError(t, lines.Err())
	require.Greater(t, len(all), 150)
	return all
}
