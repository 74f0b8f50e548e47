// Package synth writes a model of a known shape with random weights, for measurements of speed:
// what it says is nonsense, but takes as long as with the real one. "lab synth --shape 1b --out
// FILE"
//
// It owns the shapes and names of a llama model's tensors. How a file is laid out is package
// gguf's. It must not know who reads the model.
package synth
