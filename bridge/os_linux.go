package bridge

import (
	"debug/elf"
	"syscall"
	"unsafe"
)

// haveThreadID says whether log lines can be told apart by thread.
const haveThreadID = true

func threadID() int { return syscall.Gettid() }

const retroName = "libretroattn.so.1"

var llamaNames = []string{"libllama.so"}

// neededLibraries lists the libraries that a library links to.
func neededLibraries(path string) ([]string, error) {
	file, err := elf.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return file.ImportedLibraries()
}

// sigaction holds a struct sigaction of the kernel, whose fields differ between architectures; it
// is only stored and put back. The largest is 32 bytes.
type sigaction [8]uint64

// sigsetSize is what rt_sigaction demands as the size of the mask (all architectures but mips).
const sigsetSize = 8

// keepSIGURG runs load and puts the process's SIGURG action back. A Go runtime that is loaded takes
// the action over, and without it the scheduler of this one can no longer stop its busy loops:
// runtime.GC would hang.
func keepSIGURG(load func() error) error {
	var saved sigaction
	_, _, errno := syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(syscall.SIGURG), 0,
		uintptr(unsafe.Pointer(&saved)), sigsetSize, 0, 0)
	if errno != 0 {
		return errno
	}
	err := load()
	_, _, errno = syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(syscall.SIGURG),
		uintptr(unsafe.Pointer(&saved)), 0, sigsetSize, 0, 0)
	if err == nil && errno != 0 {
		err = errno
	}
	return err
}
