package main

// #define RETRO_NO_PROTOTYPES
// #include "retroattn.h"
import "C"

import (
	"fmt"
	"unsafe"

	"github.com/retroattn/retroattn/retro"
	"github.com/retroattn/retroattn/retro/stats"
)

const (
	headSize  = unsafe.Offsetof(C.struct_retro_stats{}.tokens) // struct_size and n_cell
	statsSize = unsafe.Sizeof(C.struct_retro_stats{})
)

// The counters of C are those of Go, whose names and order a test of the header compares.
var _ = [0]struct{}([statsSize - headSize - unsafe.Sizeof(stats.Stats{})]struct{}{})

//export retro_get_stats
func retro_get_stats(engine C.uint64_t, to C.uintptr_t) C.int32_t {
	return call(engine, func(e *retro.Engine) error {
		head := at[C.struct_retro_stats](to)
		if head == nil || head.struct_size < C.uint32_t(headSize) {
			return argument("retro_get_stats: stats is NULL or its struct_size is too small")
		}
		known := C.struct_retro_stats{struct_size: head.struct_size, n_cell: C.uint32_t(e.Cells())}
		*(*stats.Stats)(unsafe.Pointer(&known.tokens)) = e.Stats()
		n := min(uint64(head.struct_size), uint64(statsSize))
		copy(raw(to, u64(n)), unsafe.Slice((*byte)(unsafe.Pointer(&known)), n))
		return nil
	})
}

// reading is what a caller got from retro_get_stats; counters that it does not have are 0.
func reading(from C.uintptr_t) (s stats.Stats, err error) {
	head := at[C.struct_retro_stats](from)
	if head.struct_size < C.uint32_t(headSize) {
		return s, argument(fmt.Sprintf("retro_report: a struct_size of %d is too small",
			head.struct_size))
	}
	n := min(uint64(head.struct_size), uint64(statsSize))
	copy(unsafe.Slice((*byte)(unsafe.Pointer(&s)), unsafe.Sizeof(s)), raw(from, u64(n))[headSize:])
	return s, nil
}

//export retro_report
func retro_report(form C.int32_t, now, since, buf C.uintptr_t, cap C.uint32_t) (code C.int32_t) {
	defer rescue(&code, faults(), func(err error) { keep(nil, err) })
	if forked() {
		return status(errForked)
	}
	if now == 0 {
		return fail(nil, argument("retro_report: stats is NULL"))
	}
	s, err := reading(now)
	if err == nil && since != 0 {
		var before stats.Stats
		before, err = reading(since)
		s = s.Since(before)
	}
	if err != nil {
		return fail(nil, err)
	}
	switch form {
	case C.RETRO_REPORT_LINE:
		return C.int32_t(write(buf, cap, s.Figures().String()))
	case C.RETRO_REPORT_JSON:
		return C.int32_t(write(buf, cap, s.Figures().JSON()))
	case C.RETRO_REPORT_METRICS:
		return C.int32_t(write(buf, cap, s.Metrics("llamacpp:")))
	}
	return fail(nil, argument(fmt.Sprintf("retro_report: form %d is none of 0..2", form)))
}

func u64(n uint64) C.uint64_t { return C.uint64_t(n) }
