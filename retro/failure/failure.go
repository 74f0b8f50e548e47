// Package failure has the errors of the library: a sentence for people, with a kind for programs.
package failure

import (
	"errors"
	"fmt"
)

// The kinds of error; test with errors.Is.
var (
	Argument    = errors.New("bad argument")
	State       = errors.New("call out of order")
	Unsupported = errors.New("not supported")
)

type failure struct {
	kind error
	text string
}

func (f *failure) Error() string { return f.text }
func (f *failure) Unwrap() error { return f.kind }

// Argumentf says what is wrong with an argument.
func Argumentf(format string, args ...any) error {
	return &failure{Argument, fmt.Sprintf(format, args...)}
}

// Statef says what comes too early or too late.
func Statef(format string, args ...any) error {
	return &failure{State, fmt.Sprintf(format, args...)}
}

// Unsupportedf says what cannot be done here.
func Unsupportedf(format string, args ...any) error {
	return &failure{Unsupported, fmt.Sprintf(format, args...)}
}
