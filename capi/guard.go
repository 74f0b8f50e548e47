package main

// #define RETRO_NO_PROTOTYPES
// #include "retroattn.h"
import "C"

import (
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/retroattn/retroattn/retro"
	"github.com/retroattn/retroattn/retro/failure"
)

const (
	maxOptions = 1 << 16 // bytes
	maxEngines = 1024
	maxState   = 1 << 40 // bytes
)

var (
	errHandle   = errors.New("no engine has this handle: it was never opened or is closed")
	errInternal = errors.New("defect in libretroattn")
	errForked   = fmt.Errorf("%w: libretroattn was loaded before this process was forked, and its threads were left behind: load it in the child only, or call exec", failure.State)
)

func argument(text string) error { return fmt.Errorf("%w: %s", failure.Argument, text) }

// status is the code of an error.
func status(err error) C.int32_t {
	switch {
	case err == nil:
		return C.RETRO_OK
	case errors.Is(err, failure.Argument):
		return C.RETRO_ERR_ARGUMENT
	case errors.Is(err, failure.State), err == errHandle:
		return C.RETRO_ERR_STATE
	case errors.Is(err, failure.Unsupported):
		return C.RETRO_ERR_UNSUPPORTED
	}
	return C.RETRO_ERR_INTERNAL
}

// slot holds an engine. Lookups take no lock, since every thread of a host does
// one per layer; a handle carries the slot's generation so that a stale one
// cannot reach a newer engine.
type slot struct {
	engine     *retro.Engine
	gate       gate
	generation uint32
	failed     atomic.Pointer[string]
}

var (
	slots       [maxEngines]atomic.Pointer[slot]
	registry    sync.Mutex
	generations [maxEngines]uint32
	lastError   atomic.Pointer[string] // of calls without an engine
)

func register(e *retro.Engine) (uint64, error) {
	registry.Lock()
	defer registry.Unlock()
	for i := range slots {
		if slots[i].Load() == nil {
			generations[i]++
			s := &slot{engine: e, generation: generations[i]}
			s.gate.seats = make([]seat, e.Threads())
			slots[i].Store(s)
			steps.Store(0)
			return uint64(generations[i])<<16 | uint64(i+1), nil
		}
	}
	return 0, fmt.Errorf("%w: %d engines are open already, close one", failure.State, maxEngines)
}

// unregister makes the handle stale at once and returns when nobody is in the engine any more.
func unregister(handle uint64) error {
	registry.Lock()
	s := lookup(handle)
	if s == nil {
		registry.Unlock()
		return errHandle
	}
	slots[handle&0xffff-1].Store(nil)
	registry.Unlock()
	s.gate.close()
	return nil
}

func lookup(handle uint64) *slot {
	i := handle&0xffff - 1
	if i >= maxEngines {
		return nil
	}
	s := slots[i].Load()
	if s == nil || uint64(s.generation) != handle>>16 {
		return nil
	}
	return s
}

// steps since an engine was opened. On the first and on some later ones the host's signal handlers
// are looked after.
var steps atomic.Uint32

const handlerSteps = 64

func lookAfterHandlers() {
	if steps.Add(1)%handlerSteps == 1 {
		handlersOnStack()
	}
}

// keep remembers an error for retro_error.
func keep(s *slot, err error) {
	text := err.Error()
	if s != nil {
		s.failed.Store(&text)
	} else {
		lastError.Store(&text)
	}
}

func fail(s *slot, err error) C.int32_t {
	keep(s, err)
	return status(err)
}

func errorText(handle uint64) string {
	if forked() {
		return errForked.Error()
	}
	p := &lastError
	if s := lookup(handle); s != nil {
		p = &s.failed
	}
	if text := p.Load(); text != nil {
		return *text
	}
	return ""
}

// rescue turns a panic into RETRO_ERR_INTERNAL. Use it as
//
//	defer rescue(&code, faults(), report)
//
// so that reading or writing what a wrong pointer or size of the host's leads to is a panic, too.
func rescue(code *C.int32_t, before bool, report func(error)) {
	r := recover()
	if r != nil {
		*code = C.RETRO_ERR_INTERNAL
		tell(report, r)
	}
	debug.SetPanicOnFault(before)
}

// faults makes a memory fault of this call a panic.
func faults() (before bool) { return debug.SetPanicOnFault(true) }

// tell reports what was recovered; a report may fault, too, on the host's message buffer.
func tell(report func(error), r any) {
	defer func() { _ = recover() }()
	err := fmt.Errorf("%w: %v", errInternal, r)
	if fault, ok := r.(interface{ Addr() uintptr }); ok {
		err = fmt.Errorf("memory at %#x cannot be accessed: a pointer or a size from the caller is wrong, or there is a %w", fault.Addr(), errInternal)
	}
	report(err)
}

// call runs f on the engine, guarded.
func call(engine C.uint64_t, f func(*retro.Engine) error) C.int32_t {
	return value(engine, func(e *retro.Engine) (int, error) { return 0, f(e) })
}

// value is call for functions that return a number >= 0.
func value(engine C.uint64_t, f func(*retro.Engine) (int, error)) (code C.int32_t) {
	if forked() {
		return status(errForked)
	}
	s := lookup(uint64(engine))
	defer rescue(&code, faults(), func(err error) { keep(s, err) })
	if s == nil {
		return fail(nil, errHandle)
	}
	if err := s.gate.enterAlone(); err != nil {
		return fail(s, err)
	}
	defer s.gate.leaveAlone()
	n, err := f(s.engine)
	if err != nil {
		return fail(s, err)
	}
	return C.int32_t(min(n, math.MaxInt32))
}

// optionText reads a C string of bounded length; NULL is "".
func optionText(p C.uintptr_t) (string, error) {
	if p == 0 {
		return "", nil
	}
	bytes := at[[maxOptions]byte](p) // not all of which need be there
	for n := range bytes {
		if bytes[n] == 0 {
			return string(bytes[:n]), nil
		}
	}
	return "", argument("the options string is longer than 65535 bytes")
}

// wild is a pointer to the first page, where nothing is.
type wild uintptr

func (w wild) Addr() uintptr { return uintptr(w) }

// at is a pointer of the host's, which is a number until then: Go's runtime ends the process when
// it finds a pointer to the first page on a stack that it moves. Such a pointer panics as the fault
// that it would be.
func at[T any](p C.uintptr_t) *T {
	if p != 0 && p < 4096 {
		panic(wild(p))
	}
	return *(**T)(unsafe.Pointer(&p))
}

// field is the pointer in a struct of the host's.
func field(p unsafe.Pointer) unsafe.Pointer { return unsafe.Pointer(at[byte](*(*C.uintptr_t)(p))) }

// raw is the host's memory of a size that was checked.
func raw(p C.uintptr_t, size C.uint64_t) []byte { return unsafe.Slice(at[byte](p), size) }

// write copies text to buf, NUL-terminated and cut at size; it returns the whole length.
func write(buf C.uintptr_t, size C.uint32_t, text string) int {
	if buf != 0 && size > 0 {
		dst := unsafe.Slice(at[byte](buf), size)
		dst[copy(dst[:size-1], text)] = 0
	}
	return len(text)
}
