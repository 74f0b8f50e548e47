package report

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func table(t *testing.T, records []Record) string {
	var b bytes.Buffer
	require.NoError(t, Table(&b, records))
	return b.String()
}

func requireFits(t *testing.T, text string) {
	for line := range strings.Lines(text) {
		require.LessOrEqual(t, utf8.RuneCountInString(strings.TrimSuffix(line, "\n")), lineWidth,
			line)
	}
}

func TestTable(t *testing.T) {
	text := table(t, synth())
	requireFits(t, text)
	require.NotContains(t, text, "NaN")
	for _, r := range synth() {
		require.Contains(t, text, r.Policy)
	}
	for _, part := range []string{"KL at equal bytes read", "KL at equal time per token",
		"and by text", "could not run", "91 of 100", "at 16384", "must be 1..16"} {
		require.Contains(t, text, part)
	}
	require.Empty(t, table(t, nil))
}

// Full attention comes first, then families with their budgets in order.
func TestTableOrder(t *testing.T) {
	text := table(t, synthetic)
	last := -1
	for _, policy := range []string{"\nfull ", "\nours w1 128 ", "\nours w1 1024 ",
		"\nours w2 128 ", "\nquest 128 ", "\nstreaming "} {
		at := strings.Index(text, policy)
		require.Greater(t, at, last, policy)
		last = at
	}
}

func TestTableWarnsOfWhatWasNotActive(t *testing.T) {
	records := synthDecode("decode", "f16", "prose")
	for i := range records {
		switch records[i].Policy {
		case "ours w1 128":
			records[i].SparseTokens = 0
		case "ours w2 128":
			records[i].CorrectedTokens = 0
		}
	}
	text := table(t, records)
	require.Contains(t, text, "Beware: ours w1 128 decoded no token sparsely.")
	require.Contains(t, text, "Beware: ours w2 128 corrected no token.")
	require.Equal(t, 2, strings.Count(text, "Beware"))
}

// Each column has one best, which is not the oracle's though that is lower.
func TestEqualMarksTheBest(t *testing.T) {
	for _, g := range setups(synthetic)[0].equal() {
		for column := 1; column < len(g.Head); column++ {
			best := ""
			for _, row := range g.Rows {
				if row[column].Best {
					best += row[0].Text
				}
			}
			require.Equal(t, "ours w1 p8", best, g.Head[column])
		}
	}
}

func TestWideTablesGoOnBelow(t *testing.T) {
	g := &grid{Caption: "wide", Head: []string{"policy"}}
	for range 30 {
		g.Head = append(g.Head, "column")
	}
	g.row(append([]string{"a"}, g.Head[1:]...)...)
	var b bytes.Buffer
	g.write(&b)
	requireFits(t, b.String())
	require.Equal(t, 60, strings.Count(b.String(), "column"))
	require.Equal(t, 3, strings.Count(b.String(), "policy"))
}
