package bridge

import (
	"errors"
	"fmt"
)

// Errors to compare with errors.Is. The returned ones carry more text.
var (
	ErrArgument    = errors.New("bridge: invalid argument")
	ErrClosed      = errors.New("bridge: used after Close")
	ErrBusy        = errors.New("bridge: in use by another call")
	ErrInUse       = errors.New("bridge: model still has open contexts or samplers")
	ErrLayout      = errors.New("bridge: this libllama does not fit this package, which knows llama.cpp 0.5")
	ErrNoSlot      = errors.New("bridge: no room for the batch in the KV cache")
	ErrAborted     = errors.New("bridge: decode aborted")
	ErrPending     = errors.New("bridge: a copy or shift of the KV cache waits for the next Decode")
	ErrTooLong     = fmt.Errorf("%w: the prompt does not fit in the sequence", ErrArgument)
	ErrNoTemplate  = errors.New("bridge: the model has no chat template that llama.cpp knows")
	ErrRetroAbsent = errors.New("bridge: sparse attention is not available")
	ErrRetroOff    = errors.New("bridge: sparse attention is not enabled on this context")
)

// DecodeError is a return code of llama_decode other than success. It matches ErrNoSlot or
// ErrAborted for codes 1 and 2. After code 1 and -1 the memory is as before the call. After any
// other, finished parts of the batch stay in it: compare SeqPosMax with the batch.
type DecodeError struct {
	Code   int    // 1 no slot, 2 aborted, -1 invalid batch, below -1 a failed computation
	Detail string // what llama.cpp logged about it, may be empty
}

func (e *DecodeError) Error() string {
	text := fmt.Sprintf("bridge: llama_decode failed with code %d", e.Code)
	switch base := e.Unwrap(); {
	case base != nil:
		text = base.Error()
	case e.Code == -1:
		text = "bridge: invalid batch"
	}
	return withDetail(text, e.Detail)
}

// Unwrap returns the sentinel of the code, or nil.
func (e *DecodeError) Unwrap() error {
	switch e.Code {
	case 1:
		return ErrNoSlot
	case 2:
		return ErrAborted
	}
	return nil
}

func argError(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrArgument, fmt.Sprintf(format, args...))
}

func withDetail(text, detail string) string {
	if detail == "" {
		return text
	}
	return text + ": " + detail
}
