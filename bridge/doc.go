// Package bridge is a Go host for llama.cpp that needs no cgo: it opens the shared libraries at run time, loads models,
// decodes token batches, reads logits, edits and saves the KV cache, and switches the sparse attention of libretroattn
// on where libllama carries our patch. It runs against an unpatched libllama as well; only the Retro calls then fail.
//
//	lib, err := bridge.Load(bridge.Paths{Dir: "/opt/llama/bin"})
//	model, err := lib.LoadModel("model.gguf", bridge.ModelParams{})
//	defer model.Close()
//	ctx, err := model.NewContext(bridge.ContextParams{Ctx: 8192, Threads: 4})
//	defer ctx.Close()
//
// # What it binds to
//
// The structs that llama.h passes by value are mirrored for llama.cpp v0.5.0. [Load] compares the library's defaults
// with the mirrored ones and refuses another layout with [ErrLayout]. Linux on amd64 and arm64 is what is tested.
// A process holds one build of llama.cpp and never unloads it, since its worker threads and a second Go runtime cannot
// be unloaded safely: a second [Load] returns the same [Library] for the same folder and fails for another one.
//
// # Concurrency
//
// [Library] and [Model] may be used by any number of goroutines. A [Context] and a [Batch] belong to one goroutine at a
// time; different contexts run in parallel. A call on a context that is inside another call fails with [ErrBusy].
// A CPU build of llama.cpp with OpenMP keeps one pool of worker threads per calling OS thread, so a goroutine that
// decodes for long should call runtime.LockOSThread first ([Context.Generate] does).
//
// # Errors
//
// llama.cpp aborts the process on many wrong arguments. This package checks what would trip that and returns an error
// instead; [ErrArgument] marks those. A damaged model or state file may still abort.
//
// # Two Go runtimes
//
// libretroattn is itself written in Go. Loading it into a Go process takes over the SIGURG handler that the host's
// scheduler needs; [Context.EnableRetro] puts the host's handler back after loading.
package bridge
