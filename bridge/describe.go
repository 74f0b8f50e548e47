package bridge

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/retroattn/retroattn/kernels"
)

// Description is what libretroattn could serve of a model.
type Description struct {
	Text     string // such as "llama 135M Q4_1"
	Ctx      int    // tokens of the context that was asked for
	Refused  string `json:"refused"` // why nothing is served, "" if something is
	Layers   int    `json:"n_layer"`
	PassSize uint64 `json:"pass_size"` // bytes of weights that a token reads

	// layers that are not served: with a sliding window of so many tokens, and recurrent ones
	Window          int `json:"n_swa"`
	WindowLayers    int `json:"n_layer_swa"`
	RecurrentLayers int `json:"n_layer_recr"`

	Served []DescribedLayer `json:"layers"`
}

// DescribedLayer is a layer that is served.
type DescribedLayer struct {
	Layer   int          `json:"layer"`
	Shared  bool         `json:"shared"` // its keys and values are those of an earlier layer
	Latent  bool         `json:"latent"` // values are a part of the keys
	TypeK   kernels.Type `json:"type_k"`
	TypeV   kernels.Type `json:"type_v"`
	Heads   int          `json:"n_head"`
	KVHeads int          `json:"n_head_kv"`
	DK      int          `json:"d_k"` // head sizes
	DV      int          `json:"d_v"`
	KRow    uint64       `json:"k_row"` // bytes per token
	VRow    uint64       `json:"v_row"`
	Rot     int          `json:"rot_k"`
	SoftCap float32      `json:"soft_cap"`
	Sinks   int          `json:"n_sinks"`
}

// Describe reads what the model file says of itself, but no weights, and tells what libretroattn
// could serve of it in such a context. ErrRetroAbsent where libllama lacks the patch.
func (l *Library) Describe(path string, params ContextParams) (d Description, err error) {
	if err := l.needPatch(); err != nil {
		return d, err
	}
	params.Threads = 1 // nothing is computed
	context, err := params.resolve(l.contextDefaults().cContextParams)
	if err != nil {
		return d, err
	}
	if _, err := os.Stat(path); err != nil {
		return d, fmt.Errorf("bridge: model: %w", err)
	}
	c := l.modelDefaults().cModelParams
	c.nGPULayers, c.loadMode, c.noAlloc = 0, loadModeNone, true
	m, err := l.loadModel(path, c)
	if err != nil {
		return d, err
	}
	defer m.Close()
	d.Text, d.Ctx = m.Description(), params.Ctx
	if d.Ctx == 0 {
		d.Ctx = m.TrainedCtx()
	}
	if l.modelHasEncoder(m.ptr) {
		d.Refused = "models with an encoder are not supported"
		return d, nil
	}
	// Some architectures need more batch than they have context.
	context.nCtx = uint32(min(max(d.Ctx, 256), maxCtx))
	var ptr uintptr
	detail := l.log.capture(func() { ptr = l.contextInit(m.ptr, context) })
	if ptr == 0 {
		return d, fmt.Errorf("bridge: %s", withDetail("cannot make a context of "+path, detail))
	}
	defer l.contextFree(ptr)
	if err := json.Unmarshal([]byte(l.retroAttnDescribe(ptr)), &d); err != nil {
		return d, fmt.Errorf("bridge: llama_retro_attn_describe: %w", err)
	}
	return d, nil
}
