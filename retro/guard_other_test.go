//go:build !linux

package retro

import "testing"

func unreadable(t *testing.T) []byte {
	t.Skip("needs Linux")
	return nil
}
