// Command capi is libretroattn: the C interface (retroattn.h) of package retro, built with
// -buildmode=c-shared (by `go run ./build lib`, which keeps Go's runtime from taking a lock in each
// call). It translates and guards and decides nothing.
//
// It owns the header, the version, the handles of engines and the messages of errors. Sizes are
// checked before anything is read, handles are never pointers, and no panic leaves an export
// (guard.go). Calls that must not come together are kept apart (gate.go), and the host's signal
// handlers off the stacks of goroutines (signals_linux.go). Forked children are refused
// (fork_linux.go). It must not know what attention is, nor who calls: llama.cpp is one host of
// many, example/decode.c is another.
//
// Whoever changes a struct or the meaning of a call raises RETRO_ABI_VERSION in the header. A new
// export needs its prototype there, which a test compares with this code, and a line in
// tests/testdata/abi.c, right and wrong; tests/testdata/events.c calls everything in any order.
package main
