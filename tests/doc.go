// Package tests holds what is tested end to end: the C interface, llama.cpp built with our patches on a real small model,
// and what a user installs. `go run ./build test` prepares what they need and names it in the environment; what is not
// there is skipped, and counted as such.
//
// It owns the scripts of decoding (harness_test.go), which compare one build, option or state with another, first of all
// with stock llama.cpp. It must not look into the engine: packages kernels and retro have their own tests for that.
//
//	RETRO_PATCHED_DIR, RETRO_STOCK_DIR   folders of programs and libraries
//	RETRO_LIB, RETRO_SOURCE              libretroattn; the pristine source
//	RETRO_MODEL, _F16, _SWA              the default model, the same in F16, one with a sliding window
//	RETRO_LONG                           set: also what takes very long to build
//	RETRO_SOAK                           how long llama-server is loaded, such as 30m
//	RETRO_FUZZ_TIME                      how long random calls are made through the C interface, such as 12m
package tests
