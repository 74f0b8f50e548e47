package bridge

import (
	"fmt"
	"unsafe"

	"github.com/ebitengine/purego"
)

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
	modelIsHybrid    func(model uintptr) bool
	modelIsRecurrent func(model uintptr) bool
	modelDesc        func(model uintptr, buf *byte, size uint64) int32
	modelMeta        func(model uintptr, key string, buf *byte, size uint64) int32
	vocabType        func(vocab uintptr) int32
	vocabSize        func(vocab uintptr) int32
	vocabIsEOG       func(vocab uintptr, token int32) bool
	vocabBOS         func(vocab uintptr) int32
	tokenize         func(vocab uintptr, text *byte, n int32, tokens *int32, max int32, special,
		parse bool) int32
	detokenize func(vocab uintptr, tokens *int32, n int32, text *byte, max int32, remove,
		unparse bool) int32
	tokenToPiece func(vocab uintptr, token int32, buf *byte, size, lstrip int32,
		special bool) int32
	contextInit    func(model uintptr, params cContextParams) uintptr
	contextFree    func(ctx uintptr)
	contextMemory  func(ctx uintptr) uintptr
	contextNCtx    func(ctx uintptr) uint32
	contextNCtxSeq func(ctx uintptr) uint32
	contextNBatch  func(ctx uintptr) uint32
	contextNSeqMax func(ctx uintptr) uint32
	decode         func(ctx uintptr, batch cBatch) int32
	setThreads     func(ctx uintptr, decode, batch int32)
	setAbort       func(ctx, callback, data uintptr)
	logitsIth      func(ctx uintptr, i int32) *float32
	chatTemplate   func(model, name uintptr) *byte
	chatApply      func(template *byte, chat *cChatMessage, n uint64, assistant bool, buf *byte,
		size int32) int32
	chainInit         func(params cChainParams) uintptr
	chainAdd          func(chain, sampler uintptr)
	chainGet          func(chain uintptr, i int32) uintptr
	samplerClone      func(sampler uintptr) uintptr
	samplerFree       func(sampler uintptr)
	samplerReset      func(sampler uintptr)
	samplerAccept     func(sampler uintptr, token int32)
	samplerApply      func(sampler uintptr, candidates *cTokenDataArray)
	samplerGreedy     func() uintptr
	samplerDist       func(seed uint32) uintptr
	samplerTopK       func(k int32) uintptr
	samplerTopP       func(p float32, keep uint64) uintptr
	samplerMinP       func(p float32, keep uint64) uintptr
	samplerTypical    func(p float32, keep uint64) uintptr
	samplerTemp       func(t float32) uintptr
	samplerPenalties  func(vocab, last int32, repeat, frequency, presence float32) uintptr
	samplerGrammar    func(vocab uintptr, grammar, root string) uintptr
	memClear          func(mem uintptr, data bool)
	memSeqRm          func(mem uintptr, seq, p0, p1 int32) bool
	memSeqCp          func(mem uintptr, src, dst, p0, p1 int32)
	memSeqKeep        func(mem uintptr, seq int32)
	memSeqAdd         func(mem uintptr, seq, p0, p1, delta int32)
	memSeqPosMin      func(mem uintptr, seq int32) int32
	memSeqPosMax      func(mem uintptr, seq int32) int32
	memCanShift       func(mem uintptr) bool
	stateSaveFile     func(ctx uintptr, path string, tokens *int32, n uint64) bool
	stateLoadFile     func(ctx uintptr, path string, tokens *int32, max uint64, n *uint64) bool
	stateSeqSize      func(ctx uintptr, seq int32) uint64
	stateSeqGet       func(ctx uintptr, dst *byte, size uint64, seq int32) uint64
	stateSeqSet       func(ctx uintptr, src *byte, size uint64, seq int32) uint64
	retroAttnInit     func(ctx uintptr, lib, options string) int32
	retroAttnFree     func(ctx uintptr)
	retroAttnMode     func(ctx uintptr, mode int32) int32
	retroAttnExactMax func(ctx uintptr) uint32
	retroAttnEngine   func(ctx uintptr) uint64
	retroAttnError    func(ctx uintptr) string
	retroAttnPlan     func(ctx uintptr) string
	retroAttnDescribe func(ctx uintptr) string
	retroAttnSummary  func(ctx, since uintptr) string
	retroAttnStats    func(ctx uintptr, stats *cRetroStats) bool
	retroAttnABI      func() string
	retroABIVersion   func() uint32
	retroVersion      func() string
}

type symbol struct {
	name string
	fn   any // pointer to the func field
}

// llamaSymbols are the functions of libllama and of libggml, which dlsym finds through libllama's
// dependencies.
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
		{"llama_model_is_hybrid", &a.modelIsHybrid},
		{"llama_model_is_recurrent", &a.modelIsRecurrent},
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
		{"llama_set_n_threads", &a.setThreads},
		{"llama_set_abort_callback", &a.setAbort},
		{"llama_get_logits_ith", &a.logitsIth},
		{"llama_model_chat_template", &a.chatTemplate},
		{"llama_chat_apply_template", &a.chatApply},
		{"llama_sampler_chain_init", &a.chainInit},
		{"llama_sampler_chain_add", &a.chainAdd},
		{"llama_sampler_chain_get", &a.chainGet},
		{"llama_sampler_clone", &a.samplerClone},
		{"llama_sampler_free", &a.samplerFree},
		{"llama_sampler_reset", &a.samplerReset},
		{"llama_sampler_accept", &a.samplerAccept},
		{"llama_sampler_apply", &a.samplerApply},
		{"llama_sampler_init_greedy", &a.samplerGreedy},
		{"llama_sampler_init_dist", &a.samplerDist},
		{"llama_sampler_init_top_k", &a.samplerTopK},
		{"llama_sampler_init_top_p", &a.samplerTopP},
		{"llama_sampler_init_min_p", &a.samplerMinP},
		{"llama_sampler_init_typical", &a.samplerTypical},
		{"llama_sampler_init_temp", &a.samplerTemp},
		{"llama_sampler_init_penalties", &a.samplerPenalties},
		{"llama_sampler_init_grammar", &a.samplerGrammar},
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
		{"llama_retro_attn_set_mode", &a.retroAttnMode},
		{"llama_retro_attn_n_exact_max", &a.retroAttnExactMax},
		{"llama_retro_attn_engine", &a.retroAttnEngine},
		{"llama_retro_attn_error", &a.retroAttnError},
		{"llama_retro_attn_plan", &a.retroAttnPlan},
		{"llama_retro_attn_describe", &a.retroAttnDescribe},
		{"llama_retro_attn_summary", &a.retroAttnSummary},
		{"llama_retro_attn_get_stats", &a.retroAttnStats},
		{"llama_retro_attn_abi", &a.retroAttnABI},
	}
}

func (a *api) retroSymbols() []symbol {
	return []symbol{
		{"retro_version", &a.retroVersion},
		{"retro_abi_version", &a.retroABIVersion},
	}
}

// bind resolves all symbols in some libraries, or none.
func bind(handles []uintptr, symbols []symbol) error {
	addresses := make([]uintptr, len(symbols))
	for i, s := range symbols {
		for _, handle := range handles {
			if address, err := dlsym(handle, s.name); err == nil {
				addresses[i] = address
			}
		}
		if addresses[i] == 0 {
			return fmt.Errorf("function %s is missing", s.name)
		}
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
