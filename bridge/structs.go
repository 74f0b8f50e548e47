package bridge

import (
	"fmt"
	"strings"
	"unsafe"

	"github.com/retroattn/retroattn/retro/stats"
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

// cChatMessage is llama_chat_message: two NUL-terminated texts.
type cChatMessage struct {
	role    *byte
	content *byte
}

type cChainParams struct {
	noPerf bool
}

// cTokenData is llama_token_data, a candidate of a sampler.
type cTokenData struct {
	id    Token
	logit float32
	p     float32
}

// cTokenDataArray is llama_token_data_array; llama.cpp sorts and shortens it in place.
type cTokenDataArray struct {
	data     uintptr
	size     uint64
	selected int64
	sorted   bool
}

// cRetroStats is llama_retro_attn_stats, with struct retro_stats at its end.
type cRetroStats struct {
	steps    uint64
	ubatches uint64
	_        uint64 // struct_size, n_cell
	counters stats.Stats
	_        [31*8 - unsafe.Sizeof(stats.Stats{})]byte
}

// The defaults are fetched into structs with room behind, so that a libllama whose structs have
// grown cannot write past ours; what it writes there betrays it.
type cModelDefaults struct {
	cModelParams
	tail [16]uint64
}

type cContextDefaults struct {
	cContextParams
	tail [16]uint64
}

// knownModelDefaults and knownContextDefaults are what v0.5.0 returns. Sizes cannot be asked of the
// library, but a field added, dropped or moved shifts these values.
var knownModelDefaults = cModelDefaults{cModelParams: cModelParams{
	nGPULayers: -1, splitMode: 1, loadMode: -1, lazyMode: 1, useExtraBufts: true,
}}

var knownContextDefaults = cContextDefaults{cContextParams: cContextParams{
	nCtx: 512, nBatch: 2048, nUbatch: 512, nSeqMax: 1, nOutputsMaxPerSeq: 1, nThreads: 4,
	nThreadsBatch:   4,
	ropeScalingType: -1, poolingType: -1, attentionType: -1, flashAttnType: -1,
	yarnExtFactor: -1, yarnAttnFactor: -1, yarnBetaFast: -1, yarnBetaSlow: -1, defragThold: -1,
	typeK: ggmlTypeF16, typeV: ggmlTypeF16, offloadKQV: true, noPerf: true, opOffload: true,
	swaFull: true,
}}

// knownVersion is what llama_version begins with.
const knownVersion = "0.5."

// checkLayout compares what can be asked of any libllama.
func checkLayout(version string, model cModelDefaults, context cContextDefaults) error {
	switch {
	case !strings.HasPrefix(version, knownVersion):
		return fmt.Errorf("%w: its version is %q", ErrLayout, version)
	case model != knownModelDefaults:
		return fmt.Errorf("%w: llama_model_params of its version %s is another struct", ErrLayout,
			version)
	case context != knownContextDefaults:
		return fmt.Errorf("%w: llama_context_params of its version %s is another struct", ErrLayout,
			version)
	}
	return nil
}

// retroABI is RETRO_ABI_VERSION of retroattn.h.
const retroABI = 8

// checkABI compares with what llama_retro_attn_abi of a patched libllama says about the same.
func checkABI(version, library string) error {
	here := fmt.Sprintf("llama=%s model_params=%d context_params=%d batch=%d chat_message=%d chain_params=%d token_data=%d token_data_array=%d retro_stats=%d retro_abi=%d",
		version, unsafe.Sizeof(cModelParams{}), unsafe.Sizeof(cContextParams{}),
		unsafe.Sizeof(cBatch{}), unsafe.Sizeof(cChatMessage{}),
		unsafe.Sizeof(cChainParams{}), unsafe.Sizeof(cTokenData{}),
		unsafe.Sizeof(cTokenDataArray{}),
		unsafe.Sizeof(cRetroStats{}), retroABI)
	if library != here {
		return fmt.Errorf("%w: it was built with %q, this package with %q", ErrLayout, library,
			here)
	}
	return nil
}
