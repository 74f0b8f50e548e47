package report

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDump(t *testing.T) {
	require.NoError(t, Table(os.Stdout, synth()))
	f, err := os.Create("/root/w/t2/sample.html")
	require.NoError(t, err)
	require.NoError(t, Write(f, synth(), Meta{Title: "Quality of RetroAttention", When: "2025-11-03", Machine: "2 cores of an AMD EPYC", Command: "go run ./build eval", Notes: []string{"A note <x>."}}))
	require.NoError(t, PrintVerdicts(os.Stdout, Verdicts(synth())))
}
