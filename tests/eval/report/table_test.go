package report

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDump(t *testing.T) {
	require.NoError(t, Table(os.Stdout, synth()))
	require.NoError(t, PrintVerdicts(os.Stdout, Verdicts(synth())))
}
