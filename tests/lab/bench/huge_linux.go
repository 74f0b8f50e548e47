package bench

import "golang.org/x/sys/unix"

// adviseHuge asks for huge pages for memory that was not touched yet. There may be none.
func adviseHuge(m []byte) { _ = unix.Madvise(m, unix.MADV_HUGEPAGE) }
