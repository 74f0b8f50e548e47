// Package options is what a user can choose, as text and as a struct. Hosts and tools use it
// without the engine; it knows of no other package but the one for errors.
package options
