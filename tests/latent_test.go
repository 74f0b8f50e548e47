package tests

// Latent attention (MLA) as DeepSeek has it: the cache holds one head of latents for all query heads, whose first
// latentDim channels are the values as well, and which matrices per head take to queries and from values. There are more
// query heads than the engine's kernels take at once.
const (
	latentDim, latentRope = 64, 16
	latentHeads           = 24
	latentKey             = 32 // channels of a key without position, and of a value, once a head has made them of the latent
)

func (g *maker) setLatent() {
	g.head, g.kv, g.dim = latentHeads, 1, latentKey
	for key, value := range map[string]int{
		"attention.q_lora_rank": 0, "attention.kv_lora_rank": latentDim, "rope.dimension_count": latentRope,
		"attention.key_length": latentDim + latentRope, "attention.value_length": latentDim,
		"attention.key_length_mla": latentKey + latentRope, "attention.value_length_mla": latentKey,
		"leading_dense_block_count": smallLayers, "expert_feed_forward_length": g.ff, "expert_shared_count": 0,
	} {
		g.Set(key, value)
	}
}

func (g *maker) latentAttention(layer string, peak float64) {
	g.matrix(layer+"attn_q.weight", peak, g.embd, latentHeads*(latentKey+latentRope))
	g.matrix(layer+"attn_kv_a_mqa.weight", peak, g.embd, latentDim+latentRope)
	g.tensor(layer+"attn_kv_a_norm.weight", 1, 0.1, latentDim)
	g.tensor(layer+"attn_k_b.weight", 0, peak/sqrt(latentDim), latentKey, latentDim, latentHeads)
	g.matrix(layer+"attn_v_b.weight", 1, latentDim, latentKey, latentHeads)
}
