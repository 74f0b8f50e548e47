package speed

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPromptsAreComputedByWhomTheyShould(t *testing.T) {
	for _, by := range []string{"cpu", "device", "plan"} {
		results := promptCells(&Command{By: by, Types: []string{"f16"}, Depths: []int{4096}})
		require.Len(t, results, 2)
		for _, r := range results {
			assert.Equal(t, by, r.By)
			assert.Equal(t, by == "cpu", r.check(0, 512) != nil, "%s by %s, none", r.Test, by)
			assert.NoError(t, r.check(0, 0))
			assert.Equal(t, by == "device" && r.Test == "prompt", r.check(512, 512) != nil,
				"%s by %s, all", r.Test, by)
		}
	}
}
