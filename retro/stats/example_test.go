package stats_test

import (
	"fmt"

	"github.com/retroattn/retroattn/retro/stats"
)

func ExampleStats_Since() {
	before := stats.Stats{Tokens: 100, KVReadBytes: 4e9, KVFullBytes: 9e9, AttentionNS: 1e9}
	after := stats.Stats{Tokens: 150, SparseTokens: 50, KVReadBytes: 5e9, KVFullBytes: 19e9,
		AttentionNS: 1.1e9}
	fmt.Println(after.Since(before).Figures())
	// Output: 50 of 50 tokens sparse, 10.0 % of KV read, 0 corrections, exposure 1.00, 0.0 MiB beside the KV cache
}
