//go:build linux || darwin

package bridge

import (
	"fmt"
	"unsafe"

	"github.com/ebitengine/purego"
)

// Mirrors of the structs of llama.h v0.5.0. Pointers that stay as the library set them are uintptr.

type cModelParams struct {
	devices              uintptr
	tensorBuftOverrides  uintptr
	nGPULayers           int32
	splitMode            int32
	loadMode             int32
	lazyMode             int32
	mainGPU              int32
	_                    int32
	tensorSplit          uintptr
	progressCallback     uintptr
	progressCallbackData uintptr
	kvOverrides          uintptr
	vocabOnly            bool
	checkTensors         bool
	useExtraBufts        bool
	noHost               bool
	noAlloc              bool
	loadMTP              bool
	_                    [2]bool
}

type cContextParams struct {
	nCtx              uint32
	nBatch            uint32
	nUbatch           uint32
	nSeqMax           uint32
	nRsSeq            uint32
	nOutputsMax       uint32
	nOutputsMaxPerSeq uint32
	nThreads          int32
	nThreadsBatch     int32
	ctxType           int32
	ropeScalingType   int32
	poolingType       int32
	attentionType     int32
	flashAttnType     int32
	ropeFreqBase      float32
	ropeFreqScale     float32
	yarnExtFactor     float32
	yarnAttnFactor    float32
	yarnBetaFast      float32
	yarnBetaSlow      float32
	yarnOrigCtx       uint32
	defragThold       float32
	cbEval            uintptr
	cbEvalUserData    uintptr
	typeK             int32
	typeV             int32
	abortCallback     uintptr
	abortCallbackData uintptr
	embeddings        bool
	offloadKQV        bool
	noPerf            bool
	opOffload         bool
	swaFull           bool
	kvUnified         bool
	_                 [2]bool
	samplers          uintptr
	nSamplers         uint64
	ctxOther          uintptr
}

type cBatch struct {
	nTokens int32
	_       int32
	token   unsafe.Pointer // int32_t *
	embd    unsafe.Pointer // float *
	pos     unsafe.Pointer // int32_t *
	nSeqID  unsafe.Pointer // int32_t *
	seqID   unsafe.Pointer // int32_t **
	logits  unsafe.Pointer // int8_t *
}

// The defaults are fetched into structs with room behind, so that a libllama whose structs have grown cannot write
// past ours; what it writes there betrays it.
type cModelDefaults struct {
	cModelParams
	tail [16]uint64
}

type cContextDefaults struct {
	cContextParams
	tail [16]uint64
}

// knownModelDefaults and knownContextDefaults are what v0.5.0 returns. Sizes cannot be asked of the library, but a
// field added, dropped or moved shifts these values.
var knownModelDefaults = cModelDefaults{cModelParams: cModelParams{
	nGPULayers: -1, splitMode: 1, loadMode: -1, lazyMode: 1, useExtraBufts: true,
}}

var knownContextDefaults = cContextDefaults{cContextParams: cContextParams{
	nCtx: 512, nBatch: 2048, nUbatch: 512, nSeqMax: 1, nOutputsMaxPerSeq: 1, nThreads: 4, nThreadsBatch: 4,
	ropeScalingType: -1, poolingType: -1, attentionType: -1, flashAttnType: -1,
	yarnExtFactor: -1, yarnAttnFactor: -1, yarnBetaFast: -1, yarnBetaSlow: -1, defragThold: -1,
	typeK: ggmlTypeF16, typeV: ggmlTypeF16, offloadKQV: true, noPerf: true, opOffload: true, swaFull: true,
}}

func checkLayout(model cModelDefaults, context cContextDefaults) error {
	if model != knownModelDefaults {
		return fmt.Errorf("%w (llama_model_params)", ErrLayout)
	}
	if context != knownContextDefaults {
		return fmt.Errorf("%w (llama_context_params)", ErrLayout)
	}
	return nil
}

// api holds the C functions. Handles of C objects are uintptr.
type api struct {
	ggmlRegCount     func() uint64
	ggmlLoadAll      func(dir string)
	logSet           func(callback, data uintptr)
	backendInit      func()
	version          func() string
	modelDefaults    func() cModelDefaults
	contextDefaults  func() cContextDefaults
	modelLoad        func(path string, params cModelParams) uintptr
	modelFree        func(model uintptr)
	modelVocab       func(model uintptr) uintptr
	modelNCtxTrain   func(model uintptr) int32
	modelHasEncoder  func(model uintptr) bool
	modelDesc        func(model uintptr, buf *byte, size uint64) int32
	modelMeta        func(model uintptr, key string, buf *byte, size uint64) int32
	vocabType        func(vocab uintptr) int32
	vocabSize        func(vocab uintptr) int32
	vocabIsEOG       func(vocab uintptr, token int32) bool
	vocabBOS         func(vocab uintptr) int32
	tokenize         func(vocab uintptr, text *byte, n int32, tokens *int32, max int32, special, parse bool) int32
	detokenize       func(vocab uintptr, tokens *int32, n int32, text *byte, max int32, remove, unparse bool) int32
	tokenToPiece     func(vocab uintptr, token int32, buf *byte, size, lstrip int32, special bool) int32
	contextInit      func(model uintptr, params cContextParams) uintptr
	contextFree      func(ctx uintptr)
	contextMemory    func(ctx uintptr) uintptr
	contextNCtx      func(ctx uintptr) uint32
	contextNCtxSeq   func(ctx uintptr) uint32
	contextNBatch    func(ctx uintptr) uint32
	contextNSeqMax   func(ctx uintptr) uint32
	decode           func(ctx uintptr, batch cBatch) int32
	setAbort         func(ctx, callback, data uintptr)
	logitsIth        func(ctx uintptr, i int32) *float32
	memClear         func(mem uintptr, data bool)
	memSeqRm         func(mem uintptr, seq, p0, p1 int32) bool
	memSeqCp         func(mem uintptr, src, dst, p0, p1 int32)
	memSeqKeep       func(mem uintptr, seq int32)
	memSeqAdd        func(mem uintptr, seq, p0, p1, delta int32)
	memSeqPosMin     func(mem uintptr, seq int32) int32
	memSeqPosMax     func(mem uintptr, seq int32) int32
	memCanShift      func(mem uintptr) bool
	stateSaveFile    func(ctx uintptr, path string, tokens *int32, n uint64) bool
	stateLoadFile    func(ctx uintptr, path string, tokens *int32, max uint64, n *uint64) bool
	stateSeqSize     func(ctx uintptr, seq int32) uint64
	stateSeqGet      func(ctx uintptr, dst *byte, size uint64, seq int32) uint64
	stateSeqSet      func(ctx uintptr, src *byte, size uint64, seq int32) uint64
	retroAttnInit    func(ctx uintptr, lib, options string) int32
	retroAttnFree    func(ctx uintptr)
	retroAttnEngine  func(ctx uintptr) uint64
	retroAttnError   func(ctx uintptr) string
	retroVersion     func() string
	retroGetStats    func(engine uint64, stats *Stats) int32
	retroSummary     func(engine uint64, buf *byte, size uint32) int32
	retroErrorString func(engine uint64, buf *byte, size uint32) int32
}

type symbol struct {
	name string
	fn   any // pointer to the func field
}

// llamaSymbols are the functions of libllama and of libggml, which dlsym finds through libllama's dependencies.
func (a *api) llamaSymbols() []symbol {
	return []symbol{
		{"ggml_backend_reg_count", &a.ggmlRegCount},
		{"ggml_backend_load_all_from_path", &a.ggmlLoadAll},
		{"llama_log_set", &a.logSet},
		{"llama_backend_init", &a.backendInit},
		{"llama_version", &a.version},
		{"llama_model_default_params", &a.modelDefaults},
		{"llama_context_default_params", &a.contextDefaults},
		{"llama_model_load_from_file", &a.modelLoad},
		{"llama_model_free", &a.modelFree},
		{"llama_model_get_vocab", &a.modelVocab},
		{"llama_model_n_ctx_train", &a.modelNCtxTrain},
		{"llama_model_has_encoder", &a.modelHasEncoder},
		{"llama_model_desc", &a.modelDesc},
		{"llama_model_meta_val_str", &a.modelMeta},
		{"llama_vocab_type", &a.vocabType},
		{"llama_vocab_n_tokens", &a.vocabSize},
		{"llama_vocab_is_eog", &a.vocabIsEOG},
		{"llama_vocab_bos", &a.vocabBOS},
		{"llama_tokenize", &a.tokenize},
		{"llama_detokenize", &a.detokenize},
		{"llama_token_to_piece", &a.tokenToPiece},
		{"llama_init_from_model", &a.contextInit},
		{"llama_free", &a.contextFree},
		{"llama_get_memory", &a.contextMemory},
		{"llama_n_ctx", &a.contextNCtx},
		{"llama_n_ctx_seq", &a.contextNCtxSeq},
		{"llama_n_batch", &a.contextNBatch},
		{"llama_n_seq_max", &a.contextNSeqMax},
		{"llama_decode", &a.decode},
		{"llama_set_abort_callback", &a.setAbort},
		{"llama_get_logits_ith", &a.logitsIth},
		{"llama_memory_clear", &a.memClear},
		{"llama_memory_seq_rm", &a.memSeqRm},
		{"llama_memory_seq_cp", &a.memSeqCp},
		{"llama_memory_seq_keep", &a.memSeqKeep},
		{"llama_memory_seq_add", &a.memSeqAdd},
		{"llama_memory_seq_pos_min", &a.memSeqPosMin},
		{"llama_memory_seq_pos_max", &a.memSeqPosMax},
		{"llama_memory_can_shift", &a.memCanShift},
		{"llama_state_save_file", &a.stateSaveFile},
		{"llama_state_load_file", &a.stateLoadFile},
		{"llama_state_seq_get_size", &a.stateSeqSize},
		{"llama_state_seq_get_data", &a.stateSeqGet},
		{"llama_state_seq_set_data", &a.stateSeqSet},
	}
}

// patchSymbols are the functions that our patch adds to libllama.
func (a *api) patchSymbols() []symbol {
	return []symbol{
		{"llama_retro_attn_init", &a.retroAttnInit},
		{"llama_retro_attn_free", &a.retroAttnFree},
		{"llama_retro_attn_engine", &a.retroAttnEngine},
		{"llama_retro_attn_error", &a.retroAttnError},
	}
}

func (a *api) retroSymbols() []symbol {
	return []symbol{
		{"retro_version", &a.retroVersion},
		{"retro_get_stats", &a.retroGetStats},
		{"retro_summary", &a.retroSummary},
		{"retro_error", &a.retroErrorString},
	}
}

// bind resolves all symbols in a library and its dependencies, or none.
func bind(handle uintptr, symbols []symbol) error {
	addresses := make([]uintptr, len(symbols))
	for i, s := range symbols {
		address, err := purego.Dlsym(handle, s.name)
		if err != nil {
			return fmt.Errorf("bridge: function %s is missing: %w", s.name, err)
		}
		addresses[i] = address
	}
	for i, s := range symbols {
		purego.RegisterFunc(s.fn, addresses[i])
	}
	return nil
}

// goString copies the NUL-terminated text at p.
func goString(p *byte) string {
	if p == nil {
		return ""
	}
	n := 0
	for *(*byte)(unsafe.Add(unsafe.Pointer(p), n)) != 0 {
		n++
	}
	return string(unsafe.Slice(p, n))
}
