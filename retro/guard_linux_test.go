package retro

import (
	"testing"
	"unsafe"

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

// hugePages asks for large pages for memory that was not touched yet, as a host does for its cache.
func hugePages(m []byte) {
	const size = 4096
	at := -uintptr(unsafe.Pointer(&m[0])) % size
	_ = unix.Madvise(m[at:at+(uintptr(len(m))-at)&^(size-1)], unix.MADV_HUGEPAGE)
}
