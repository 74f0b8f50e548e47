// Package tasks holds the generation tasks of the quality laboratory: their texts, prompts, formats
// and scores.
//
// It owns what is asked and what counts as right, the same for the same seed. It runs no model and
// must not know one: lengths come from a function that counts tokens. Answers are compared, never
// executed.
package tasks
