package harness

import "syscall"

// withParent has the kernel kill a child when the test binary dies, by a time-out or ^C, which runs
// no cleanup. It watches the thread that started the child; Go ends a thread only when a goroutine
// ends that is locked to it, and none here does.
func withParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
