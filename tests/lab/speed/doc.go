// Package speed measures how fast llama.cpp decodes with this project and without it: the same
// model, caches, threads and tokens, in turns. "go run ./build bench decode" runs it; by hand it
// needs no Go, only the folders of the libraries and a model.
//
// It owns the matrix of what is measured, the workers (a process for each build, since a process
// holds one llama.cpp), and the goals that a result is held against. It must not know where builds
// come from, and measures through bridge only, the stock build as well as ours.
package speed
