//go:build !linux

package harness

import "syscall"

// withParent changes nothing: only Linux tells a child of its parent's death.
func withParent() *syscall.SysProcAttr { return nil }
