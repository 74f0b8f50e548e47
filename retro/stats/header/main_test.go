package main

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/retro/stats"
)

// The header that people read has the counters that there are.
func TestHeaderIsCurrent(t *testing.T) {
	header, err := os.ReadFile("../../../capi/retroattn.h")
	require.NoError(t, err)
	updated, err := update(string(header))
	require.NoError(t, err)
	require.Equal(t, updated, string(header), "go generate ./retro/stats writes it")
	for _, f := range stats.Fields() {
		require.Equal(t, 1, strings.Count(updated, "uint64_t "+f.Name+";"))
	}
	_, err = update("struct retro_stats {};")
	require.Error(t, err)
}
