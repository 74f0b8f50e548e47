// Package machine says what a measurement must know of the machine: its processor, its caches, the
// memory that is free, and when the process is idle. It must not know what is measured.
package machine
