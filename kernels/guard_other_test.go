//go:build !linux

package kernels

import "testing"

// newZone has no guard pages here: only Linux finds stray accesses.
func newZone(_ testing.TB, size int) []byte { return make([]byte, size) }
