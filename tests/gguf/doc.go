// Package gguf writes model files in llama.cpp's format.
//
// It owns the layout of the file, the quantised types, and random numbers in them. It must not know
// architectures: names, shapes and metadata are the caller's. It is no reader.
package gguf
