// Package harness is what the end-to-end tests share. They are in packages by subject:
//
//	library   the C interface of libretroattn, from C, and its file
//	llama     llama.cpp with our patches in a Go host: scripts of decoding compare one build, option or state with another
//	server    llama-server and the other programs, as users run them
//	install   the archive, and what is built from it
//
// `go run ./build test` prepares what they need and names it in the environment; what is not there
// is skipped, and counted as such. Programs in C and C++ that tests compile are in ../testdata.
//
// It owns what the environment names, small models with random weights, a running llama-server and
// requests to it. It must not look into the engine: packages kernels and retro have their own tests
// for that.
//
//	RETRO_PATCHED_DIR, RETRO_STOCK_DIR   folders of programs and libraries
//	RETRO_LIB, RETRO_SOURCE              libretroattn; the pristine source
//	RETRO_MODEL, _F16, _SWA              the default model, the same in F16, one with a sliding window
//	RETRO_SHORT, _F16                    some layers of it, where nothing hangs on what a model says
//	RETRO_TARGET, _DIR, _STOCK_DIR       another system and processor, and what was built for it
//	RETRO_PAGE                           llama-server's web page, and what drives a browser
//	RETRO_WINE, RETRO_QEMU               Wine's folder, and the emulator
//	RETRO_LONG                           set: also what takes very long to build
//	RETRO_SOAK                           how long llama-server is loaded, such as 30m
//	RETRO_FUZZ_TIME                      how long random calls are made through the C interface, such as 12m
package harness
