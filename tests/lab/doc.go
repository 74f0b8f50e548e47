// Command lab measures sparse attention: quality (eval), decoding end to end (decode), the kernels
// (kernels); and writes models to measure with (synth). "go run ./build eval" and "go run ./build
// bench" run it with what it needs.
//
// It is a module of its own, so that who builds the library needs nothing that only draws plots.
// Each command is a package, which says what it owns. What the tests of the checkout use, too, is
// not here: tests/divergence, tests/gguf.
package main
