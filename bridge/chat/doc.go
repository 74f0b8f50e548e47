// Command chat talks with a model: a line in, a reply out, and what the sparse attention did.
// Ctrl-C ends a reply, and at the prompt the program.
//
// It owns the terminal and its flags, and is an example of a whole program on package bridge. It
// must not know anything else of this project: what it needs, bridge must offer to all.
package main
