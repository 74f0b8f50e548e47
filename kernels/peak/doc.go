// Package peak is what a core can do at most: read memory, and multiply and add. "go run ./build
// bench kernels" tells what share of it the kernels reach.
//
// It owns these two loops, in assembly where there is some. It must not know the kernels that are
// measured against it, nor share code with them: a mistake in both would hide itself.
package peak
