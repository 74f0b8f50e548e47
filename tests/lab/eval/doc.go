// Package eval is a laboratory for the quality of sparse attention: it tries policies on a model
// and on texts, and compares what they predict, find and answer with what full attention does. "go
// run ./build eval" runs it.
//
// It owns the plan of a run: which policies on which texts and tasks, in which order, and going on
// after an interruption. What prompts say is package tasks', how predictions are compared is
// divergence's, and what the results mean is report's. It must not know how a policy works: a
// policy is a name and a text of options.
package eval
