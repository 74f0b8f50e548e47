//go:build amd64 && !noasm

package kernels

import "syscall"

// tilesAllowed asks Linux for the tiles of AMX, for the whole process. It refuses where a thread has a
// signal stack that is too small for them, and from then on such stacks, of less than about 11 kB.
func tilesAllowed() bool {
	const request, tileData = 0x1023, 18 // ARCH_REQ_XCOMP_PERM
	_, _, errno := syscall.RawSyscall(syscall.SYS_ARCH_PRCTL, request, tileData, 0)
	return errno == 0
}
