package bridge

import (
	"math"
	"runtime"
	"unsafe"
)

// Token is an index into a model's vocabulary.
type Token = int32

// Batch collects the tokens of one Decode. It grows as needed and is meant to be reused through
// Clear.
type Batch struct {
	tokens []Token
	pos    []int32
	seqs   []int32
	ones   []int32  // number of sequences of each token
	seqPtr []*int32 // token i's list of sequences: &seqs[i]
	logits []int8
	err    error // first bad Add
	pinner runtime.Pinner
}

// NewBatch returns an empty batch with room for n tokens.
func NewBatch(n int) *Batch {
	n = max(n, 0)
	return &Batch{
		tokens: make([]Token, 0, n), pos: make([]int32, 0, n), seqs: make([]int32, 0, n),
		ones: make([]int32, 0, n), seqPtr: make([]*int32, 0, n), logits: make([]int8, 0, n),
	}
}

// Add appends a token of sequence seq at position pos; logits asks for its row of logits. A
// negative or oversized value is reported by Decode.
func (b *Batch) Add(token Token, pos, seq int, logits bool) {
	// The last position is left out: llama.cpp adds 1 to it.
	if b.err == nil && (token < 0 || pos < 0 || pos >= math.MaxInt32 || seq < 0 || seq >= maxSeqs) {
		b.err = argError("batch entry %d: token %d, position %d, sequence %d", len(b.tokens), token,
			pos, seq)
	}
	var want int8
	if logits {
		want = 1
	}
	b.tokens = append(b.tokens, token)
	b.pos = append(b.pos, int32(pos))
	b.seqs = append(b.seqs, int32(seq))
	b.ones = append(b.ones, 1)
	b.logits = append(b.logits, want)
}

// Len returns the number of tokens.
func (b *Batch) Len() int { return len(b.tokens) }

// Clear empties the batch and forgets a bad Add. Its memory stays.
func (b *Batch) Clear() {
	b.tokens, b.pos, b.seqs = b.tokens[:0], b.pos[:0], b.seqs[:0]
	b.ones, b.seqPtr, b.logits = b.ones[:0], b.seqPtr[:0], b.logits[:0]
	b.err = nil
}

// pin returns the C view of a batch that is not empty. It holds until unpin.
func (b *Batch) pin() cBatch {
	b.seqPtr = b.seqPtr[:0]
	for i := range b.seqs {
		b.seqPtr = append(b.seqPtr, &b.seqs[i])
	}
	b.pinner.Pin(&b.tokens[0])
	b.pinner.Pin(&b.pos[0])
	b.pinner.Pin(&b.seqs[0])
	b.pinner.Pin(&b.ones[0])
	b.pinner.Pin(&b.seqPtr[0])
	b.pinner.Pin(&b.logits[0])
	return cBatch{
		nTokens: int32(len(b.tokens)),
		token:   unsafe.Pointer(&b.tokens[0]),
		pos:     unsafe.Pointer(&b.pos[0]),
		nSeqID:  unsafe.Pointer(&b.ones[0]),
		seqID:   unsafe.Pointer(&b.seqPtr[0]),
		logits:  unsafe.Pointer(&b.logits[0]),
	}
}

func (b *Batch) unpin() { b.pinner.Unpin() }
