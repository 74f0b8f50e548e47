package bridge

import (
	"fmt"
	"math"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"unsafe"
)

// ModelParams configures LoadModel. The zero value loads a model for the CPU.
type ModelParams struct {
	GPULayers int  // layers to place on a GPU; negative = all
	NoMmap    bool // read the file instead of mapping it
}

// Model is a loaded model with its vocabulary. It may be shared by contexts and goroutines.
type Model struct {
	lib   *Library
	mu    sync.RWMutex // write: Close
	ptr   uintptr      // 0 = closed
	vocab uintptr
	size  int // tokens in the vocabulary

	users atomic.Int64 // open contexts and samplers
}

// values of llama_load_mode and llama_vocab_type
const (
	loadModeNone  = 0
	loadModeMmap  = 1
	vocabTypeNone = 0
)

// LoadModel reads a GGUF file; of a split model, the first part. Close the model after its contexts
// and samplers.
func (l *Library) LoadModel(path string, params ModelParams) (*Model, error) {
	if path == "" || strings.ContainsRune(path, 0) {
		return nil, argError("model path %q", path)
	}
	if params.GPULayers > math.MaxInt32 {
		return nil, argError("GPULayers %d", params.GPULayers)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("bridge: model: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, argError("model %s is not a regular file", path)
	}

	c := l.modelDefaults().cModelParams
	c.nGPULayers = int32(max(params.GPULayers, -1))
	c.loadMode = loadModeMmap
	if params.NoMmap {
		c.loadMode = loadModeNone
	}
	return l.loadModel(path, c)
}

func (l *Library) loadModel(path string, c cModelParams) (*Model, error) {
	var ptr uintptr
	detail := l.log.capture(func() { ptr = l.modelLoad(path, c) })
	if ptr == 0 {
		return nil, fmt.Errorf("bridge: %s", withDetail("cannot load model "+path, detail))
	}
	vocab := l.modelVocab(ptr)
	return &Model{lib: l, ptr: ptr, vocab: vocab, size: int(l.vocabSize(vocab))}, nil
}

// Close frees the model. ErrInUse while contexts or samplers of it are open. A second call does
// nothing.
func (m *Model) Close() error {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ptr == 0 {
		return nil
	}
	if m.users.Load() > 0 {
		return ErrInUse
	}
	m.lib.modelFree(m.ptr)
	m.ptr, m.vocab = 0, 0
	return nil
}

// use locks the model against Close until release.
func (m *Model) use() (release func(), err error) {
	if m == nil {
		return nil, argError("nil model")
	}
	m.mu.RLock()
	if m.ptr == 0 {
		m.mu.RUnlock()
		return nil, ErrClosed
	}
	return m.mu.RUnlock, nil
}

// useVocab is use for calls that abort on a model without a tokenizer.
func (m *Model) useVocab() (release func(), err error) {
	release, err = m.use()
	if err != nil {
		return nil, err
	}
	if m.lib.vocabType(m.vocab) == vocabTypeNone {
		release()
		return nil, argError("the model has no tokenizer")
	}
	return release, nil
}

// VocabSize returns the number of tokens, which is the length of a row of logits.
func (m *Model) VocabSize() int { return m.size }

// TrainedCtx returns the context length in tokens that the model was trained for, 0 on a closed
// model.
func (m *Model) TrainedCtx() int {
	release, err := m.use()
	if err != nil {
		return 0
	}
	defer release()
	return int(m.lib.modelNCtxTrain(m.ptr))
}

// Description returns a line such as "llama 135M Q4_1", "" on a closed model.
func (m *Model) Description() string {
	release, err := m.use()
	if err != nil {
		return ""
	}
	defer release()
	buf := make([]byte, 256)
	m.lib.modelDesc(m.ptr, &buf[0], uint64(len(buf)))
	return goString(&buf[0])
}

// Meta returns a value of the model file's metadata as text, and whether the key is there and not a
// list.
func (m *Model) Meta(key string) (string, bool) {
	release, err := m.use()
	if err != nil || strings.ContainsRune(key, 0) {
		if err == nil {
			release()
		}
		return "", false
	}
	defer release()
	buf := make([]byte, 256)
	n := m.lib.modelMeta(m.ptr, key, &buf[0], uint64(len(buf)))
	if int(n) >= len(buf) { // the length without NUL, cut to fit
		buf = make([]byte, int(n)+1)
		n = m.lib.modelMeta(m.ptr, key, &buf[0], uint64(len(buf)))
	}
	if n < 0 {
		return "", false
	}
	return string(buf[:n]), true
}

// IsEOG says whether a token ends a generation. False for tokens outside the vocabulary and on a
// closed model.
func (m *Model) IsEOG(token Token) bool {
	release, err := m.useVocab()
	if err != nil {
		return false
	}
	defer release()
	return m.valid(token) && m.lib.vocabIsEOG(m.vocab, token)
}

// BOS returns the token that begins a text, -1 if there is none.
func (m *Model) BOS() Token {
	release, err := m.useVocab()
	if err != nil {
		return -1
	}
	defer release()
	return m.lib.vocabBOS(m.vocab)
}

func (m *Model) valid(token Token) bool { return token >= 0 && int(token) < m.size }

// Tokenize splits a text into tokens. addSpecial adds the beginning and end tokens that the model
// wants; parseSpecial turns the text of control tokens (<|im_start|>) into these tokens instead of
// plain text.
func (m *Model) Tokenize(text string, addSpecial, parseSpecial bool) ([]Token, error) {
	release, err := m.useVocab()
	if err != nil {
		return nil, err
	}
	defer release()
	if len(text) > math.MaxInt32/2 {
		return nil, argError("text of %d bytes", len(text))
	}
	data := append([]byte(text), 0)
	tokens := make([]Token, len(text)/3+8)
	for {
		n := m.lib.tokenize(m.vocab, &data[0], int32(len(text)), &tokens[0], int32(len(tokens)),
			addSpecial, parseSpecial)
		switch {
		case n >= 0:
			return tokens[:n:n], nil
		case n == math.MinInt32 || int(-n) <= len(tokens):
			return nil, fmt.Errorf("bridge: cannot tokenize a text of %d bytes", len(text))
		}
		tokens = make([]Token, -n) // the number that it needs
	}
}

// Detokenize returns the text of tokens; control tokens are shown as such (<|im_start|>). The
// inverse of Tokenize(text, false, true) up to the blanks that some tokenizers add or drop.
func (m *Model) Detokenize(tokens ...Token) (string, error) {
	release, err := m.useVocab()
	if err != nil {
		return "", err
	}
	defer release()
	if len(tokens) == 0 {
		return "", nil
	}
	if len(tokens) > math.MaxInt32/2 {
		return "", argError("%d tokens", len(tokens))
	}
	for i, t := range tokens {
		if !m.valid(t) {
			return "", argError("token %d is %d, the vocabulary has %d", i, t, m.size)
		}
	}
	buf := make([]byte, len(tokens)*8+16)
	for {
		n := m.lib.detokenize(m.vocab, unsafe.SliceData(tokens), int32(len(tokens)), &buf[0],
			int32(len(buf)), false, true)
		switch {
		case n >= 0:
			return string(buf[:n]), nil
		case n == math.MinInt32 || int(-n) <= len(buf):
			return "", fmt.Errorf("bridge: cannot detokenize %d tokens", len(tokens))
		}
		buf = make([]byte, -n)
	}
}

// Piece returns the bytes of one token as generation emits them: unlike Detokenize with leading
// blanks kept, control tokens empty, and possibly only a part of a character.
func (m *Model) Piece(token Token) ([]byte, error) {
	release, err := m.useVocab()
	if err != nil {
		return nil, err
	}
	defer release()
	if !m.valid(token) {
		return nil, argError("token %d, the vocabulary has %d", token, m.size)
	}
	buf := make([]byte, 64)
	n := m.lib.tokenToPiece(m.vocab, token, &buf[0], int32(len(buf)), 0, false)
	if n < 0 {
		buf = make([]byte, -n)
		n = m.lib.tokenToPiece(m.vocab, token, &buf[0], int32(len(buf)), 0, false)
	}
	return buf[:max(n, 0)], nil
}
