// Package bridge is a Go host for llama.cpp that needs no cgo: it opens the shared libraries at run
// time, loads models, tokenises, decodes batches, samples, applies chat templates, edits and saves
// the KV cache, and switches the sparse attention of libretroattn on where libllama carries our
// patch. It runs against an unpatched libllama as well; only the Retro calls then fail, with
// [ErrRetroAbsent].
//
//	lib, err := bridge.Load(bridge.Paths{Dir: "/opt/llama/bin"})
//	model, err := lib.LoadModel("model.gguf", bridge.ModelParams{})
//	defer model.Close()
//	c, err := model.NewContext(bridge.ContextParams{Ctx: 8192, Threads: 4})
//	defer c.Close()
//	got, err := c.Generate(ctx, "Once upon a time", bridge.GenerateOptions{MaxTokens: 100},
//		func(piece string) bool { fmt.Print(piece); return true })
//
// [Context.Generate] streams a text, [Chat] keeps a conversation, and [Batch], [Context.Decode] and
// [Context.Logits] are what they are made of. The program in bridge/chat is a whole one.
//
// # Loading
//
// The folder given to [Load] holds libllama, the libggml libraries, and libretroattn.so.1 where
// sparse attention is wanted; "go run ./build all" in this repository builds it and prints where it
// is. Linux on amd64 is what is tested, on arm64 by QEMU, Windows by Wine. A process holds one
// build of llama.cpp and never unloads it, since its worker threads and a second Go runtime cannot
// be unloaded safely: a second [Load] returns the same [Library] for the same folder and fails for
// another one.
//
// The structs of llama.h are mirrored for llama.cpp 0.5. Load refuses, with [ErrLayout] and one
// sentence, a libllama of another version, one that lacks a function, one whose default parameters
// are not the known ones, and a patched one that was built from structs of other sizes. A
// libretroattn with another version of its interface is refused when it is first asked for.
//
// # Sparse attention
//
// [Context.EnableRetro] takes the options as text, [Context.EnableRetroOptions] as the struct of
// package options. The counters belong to a context and begin when it is enabled:
// [Context.RetroStats] has them, a [Generation] what people want to know of one request. They can
// be read at any time between two Decodes, also by the function that Generate streams to. Where
// several sequences are decoded together, they are of all of them.
//
// # Concurrency
//
// [Library] and [Model] may be used by any number of goroutines. A [Context], [Batch], [Sampler]
// and [Chat] belong to one goroutine at a time; different ones run in parallel. A call on a context
// or sampler that is inside another call fails with [ErrBusy]. A CPU build of llama.cpp with OpenMP
// keeps one pool of worker threads per calling OS thread, so a goroutine that decodes for long
// should call runtime.LockOSThread first ([Context.Generate] does), and many goroutines that decode
// at once do best with few Threads each.
//
// # Memory
//
// Models, contexts and samplers are memory of C that no garbage collector sees: Close them, a model
// last ([ErrInUse] says that something of it is open). Closing twice is harmless, and use after
// Close is [ErrClosed]. A row of [Context.Logits] lies in C memory and is gone with the next
// Decode; all other results are copies.
//
// # Errors
//
// llama.cpp aborts the process on many wrong arguments. This package checks what would trip that
// and returns an error instead; [ErrArgument] marks those. A damaged model or state file may still
// abort.
//
// # Two Go runtimes
//
// libretroattn is itself written in Go. Loading it into a Go process takes over the SIGURG handler
// that the host's scheduler needs; this package puts the host's handler back after loading.
package bridge
