package retro

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// unreadable is memory that faults on any access.
func unreadable(t *testing.T) []byte {
	m, err := unix.Mmap(-1, 0, 1<<26, unix.PROT_NONE, unix.MAP_ANON|unix.MAP_PRIVATE)
	require.NoError(t, err)
	t.Cleanup(func() { _ = unix.Munmap(m) })
	return m
}
