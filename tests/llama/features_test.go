package llama

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/tests/harness"
)

// features are what testdata/features.cpp has read.
type features struct {
	Rows                      [][]float32
	Tokens, Sparse, Corrected int
	log                       string
}

// Draft models of MTP, EAGLE-3 and DFlash read the features of each token of a batch by its index.
// Tokens without drafts are sparse there, drafts are exact, and each row is where it is without the
// feature, and what it is in a batch of its own. Nothing is embedded again, which is said.
func TestFeaturesOfTokens(t *testing.T) {
	harness.Slow(t)
	archs, program := harness.Compiled(t, "archs"), harness.Compiled(t, "features")
	for _, c := range []struct {
		arch, kind, what string
		with             []string
	}{
		{"llama", "dense", "layer", nil},
		{"gpt-oss", "moe", "layer", nil},
		{"hy_v3", "moe", "nextn", []string{"mtp"}},
		{"mimo2", "moe", "nextn", []string{"mtp"}},
		{"qwen35", "dense", "nextn", []string{"mtp"}},
	} {
		path := harness.Fixture{Arch: c.arch, Kind: c.kind}.Make(t, archs, c.with...)
		for _, unified := range []string{"0", "1"} {
			t.Run(fmt.Sprintf("%s/unified %s", c.arch, unified), func(t *testing.T) {
				read := func(options string, apart ...string) (f features) {
					if options != "" {
						options = settled("min_ctx=0,local=16," + options)
					}
					cmd := exec.Command(program,
						append([]string{path, harness.Setting(t, "RETRO_LIB"), c.what, unified,
							options}, apart...)...)
					var log strings.Builder
					cmd.Stderr = &log
					out, err := cmd.Output()
					f.log = log.String()
					require.NoError(t, err, f.log)
					require.NoError(t, json.Unmarshal(out, &f))
					return f
				}
				// llama.cpp does not keep the order of sequences with streams
				off := read("", "apart")
				exact := read("budget=100000,window=1")
				e, rounding := nmse(t, off.Rows, exact.Rows)
				t.Logf("exact: NMSE %.2g, worst row %.2g, %d tokens", e, rounding, exact.Tokens)
				require.Less(t, rounding, 1e-4)
				require.NotContains(t, exact.log, "embedded again")

				sparse, apart := read("budget=16,window=1"), read("budget=16,window=1", "apart")
				require.Equal(t, sparse.Tokens, sparse.Sparse)
				require.NotZero(t, sparse.Sparse)
				e, worst := nmse(t, off.Rows, sparse.Rows)
				t.Logf("sparse: NMSE %.2g, worst row %.2g, %d tokens of %d", e, worst,
					sparse.Sparse, len(sparse.Rows))
				require.Greater(t, worst, 10*rounding)
				_, worst = nmse(t, apart.Rows, sparse.Rows)
				t.Logf("apart: worst row %.2g, %d tokens", worst, apart.Sparse)
				require.Equal(t, apart.Sparse, sparse.Sparse)
				require.Less(t, worst, 1e-6)

				window := read("budget=16,window=4,period=4")
				require.Zero(t, window.Corrected)
				require.True(t, same(sparse.Rows, window.Rows))
				require.Equal(t, 1, strings.Count(window.log, "nothing is embedded again"),
					window.log)
			})
		}
	}
}
