package retro

import (
	"errors"
	"fmt"
)

// The kinds of error; test with errors.Is.
var (
	ErrArgument    = errors.New("bad argument")
	ErrState       = errors.New("call out of order")
	ErrUnsupported = errors.New("not supported")
)

// failure is a sentence for people with a kind for programs.
type failure struct {
	kind error
	text string
}

func (f *failure) Error() string { return f.text }
func (f *failure) Unwrap() error { return f.kind }

func argumentf(format string, args ...any) error {
	return &failure{ErrArgument, fmt.Sprintf(format, args...)}
}

func statef(format string, args ...any) error {
	return &failure{ErrState, fmt.Sprintf(format, args...)}
}

func unsupportedf(format string, args ...any) error {
	return &failure{ErrUnsupported, fmt.Sprintf(format, args...)}
}
