package main

// #cgo linux LDFLAGS: -Wl,--wrap=pthread_create
// #define RETRO_NO_PROTOTYPES
// #include "retroattn.h"
import "C"

import (
	"fmt"
	"runtime"
	"unsafe"

	"github.com/retroattn/retroattn/kernels"
	"github.com/retroattn/retroattn/retro"
	"github.com/retroattn/retroattn/retro/options"
	"github.com/retroattn/retroattn/retro/plan"
)

const version = "0.1.0"

func main() {}

// versionText outlives every caller.
var versionText = C.CString(version + " (" + kernels.ISA() + ")")

//export retro_version
func retro_version() *C.char { return versionText }

//export retro_abi_version
func retro_abi_version() C.uint32_t { return C.RETRO_ABI_VERSION }

//export retro_check_options
func retro_check_options(opts, msg C.uintptr_t, cap C.uint32_t) (code C.int32_t) {
	defer rescue(&code, faults(), func(err error) { write(msg, cap, err.Error()) })
	text, err := optionText(opts)
	if forked() {
		err = errForked
	} else if err == nil {
		_, err = options.Parse(text)
	}
	if err != nil {
		write(msg, cap, err.Error())
	}
	return status(err)
}

//export retro_open
func retro_open(config, opts, engine, msg C.uintptr_t, cap C.uint32_t) (code C.int32_t) {
	defer rescue(&code, faults(), func(err error) { write(msg, cap, err.Error()) })
	handle, err := open(at[C.struct_retro_config](config), opts, engine != 0)
	if err != nil {
		write(msg, cap, err.Error())
		return status(err)
	}
	*at[C.uint64_t](engine) = C.uint64_t(handle)
	return C.RETRO_OK
}

func open(config *C.struct_retro_config, opts C.uintptr_t, out bool) (uint64, error) {
	if forked() {
		return 0, errForked
	}
	if config == nil || !out {
		return 0, argument("retro_open: config and engine must not be NULL")
	}
	if config.struct_size >= C.uint32_t(unsafe.Offsetof(config.n_layer)) &&
		config.abi_version != C.RETRO_ABI_VERSION {
		return 0, argument(fmt.Sprintf("retro_open: the caller was built for version %d of the interface, this library has %d: rebuild it with the retroattn.h of this library", config.abi_version, C.RETRO_ABI_VERSION))
	}
	if config.struct_size < C.uint32_t(unsafe.Sizeof(*config)) {
		return 0, argument("retro_open: the struct_size of config is too small")
	}
	if config.whole > 1 {
		return 0, argument(fmt.Sprintf("retro_open: whole is %d, must be 0 or 1", config.whole))
	}
	text, err := optionText(opts)
	if err != nil {
		return 0, err
	}
	opt, err := options.Parse(text)
	if err != nil {
		return 0, err
	}
	e, err := retro.Open(retro.Config{
		Layers: int(config.n_layer), Seqs: int(config.n_seq), Cells: int(config.n_cell),
		Rows: int(config.n_row), Threads: int(config.n_thread), Whole: config.whole == 1,
		Room: room,
	}, opt)
	if err != nil {
		return 0, err
	}
	if err := room(uint64(config.n_thread) * stackBytes); err != nil {
		return 0, err
	}
	// Fewer processors than callers would make them queue for one another.
	if want := int(config.n_thread) + 2; runtime.GOMAXPROCS(0) < want {
		runtime.GOMAXPROCS(want)
	}
	return register(e)
}

//export retro_close
func retro_close(engine C.uint64_t) (code C.int32_t) {
	defer rescue(&code, faults(), func(error) {})
	if forked() {
		return status(errForked)
	}
	return status(unregister(uint64(engine)))
}

//export retro_add_layer
func retro_add_layer(engine C.uint64_t, l C.uintptr_t) (code C.int32_t) {
	return call(engine, func(e *retro.Engine) error {
		layer := at[C.struct_retro_layer](l)
		if layer == nil || layer.struct_size < C.uint32_t(unsafe.Sizeof(*layer)) {
			return argument("retro_add_layer: layer is NULL or its struct_size is too small")
		}
		var sinks []float32
		if *(*C.uintptr_t)(unsafe.Pointer(&layer.sinks)) != 0 {
			if layer.n_head > retro.MaxHeads {
				return argument("retro_add_layer: more than 1024 heads")
			}
			sinks = unsafe.Slice((*float32)(field(unsafe.Pointer(&layer.sinks))), layer.n_head)
		}
		return e.AddLayer(int(layer.layer), retro.Layer{
			TypeK: kernels.Type(layer.type_k), TypeV: kernels.Type(layer.type_v),
			SoftCap: float32(layer.soft_cap), Sinks: sinks, Rotation: int(layer.rot_k),
			Heads: int(layer.n_head), KVHeads: int(layer.n_head_kv),
			DK: int(layer.d_k), DV: int(layer.d_v),
			K: field(unsafe.Pointer(&layer.k)), V: field(unsafe.Pointer(&layer.v)),
			KSize: uint64(layer.k_size), VSize: uint64(layer.v_size),
			KRow: uint64(layer.k_row), VRow: uint64(layer.v_row),
			KHead: uint64(layer.k_head), VHead: uint64(layer.v_head),
		})
	})
}

//export retro_plan
func retro_plan(engine C.uint64_t, measured, line C.uintptr_t, cap C.uint32_t) C.int32_t {
	return value(engine, func(e *retro.Engine) (int, error) {
		passes := at[C.struct_retro_passes](measured)
		p := plan.Passes{Threads: e.Threads()}
		if passes != nil {
			if passes.struct_size < C.uint32_t(unsafe.Sizeof(*passes)) || passes.n > 8 ||
				passes.n_step > 8 || passes.n_batch > 8 || passes.n_thread > retro.MaxThreads {
				return 0, argument("retro_plan: the struct_size of passes is too small, or more than 8 passes, 8 steps, 8 batches or 1024 threads")
			}
			p.Threads = int(passes.n_thread)
			for i := range passes.n {
				p.Rows, p.NS = append(p.Rows, int(passes.rows[i])),
					append(p.NS, uint64(passes.ns[i]))
			}
			p.Device = deviceOf(passes)
		}
		done, text, err := e.Plan(p)
		if err != nil {
			return 0, err
		}
		write(line, cap, text)
		if !done {
			return 0, nil
		}
		return 1, nil
	})
}

// deviceOf is what was measured of a device, nil if there is none.
func deviceOf(p *C.struct_retro_passes) *plan.Device {
	if p.device == 0 {
		return nil
	}
	d := &plan.Device{Depth: int(p.batch_depth)}
	for i := range p.n_batch {
		d.Batches = append(d.Batches, plan.Batch{Rows: int(p.batch_row[i]),
			DeviceNS: uint64(p.batch_device_ns[i]), CPUNS: uint64(p.batch_ns[i])})
	}
	for i := range p.n_step {
		d.Threads = append(d.Threads, int(p.step_thread[i]))
		d.StepNS = append(d.StepNS, uint64(p.step_ns[i]))
	}
	return d
}

//export retro_plan_rows
func retro_plan_rows(engine C.uint64_t) C.int32_t {
	return value(engine, func(e *retro.Engine) (int, error) { return e.Host().Rows, nil })
}

//export retro_plan_threads
func retro_plan_threads(engine C.uint64_t) C.int32_t {
	return value(engine, func(e *retro.Engine) (int, error) { return e.Host().Threads, nil })
}

//export retro_max_window
func retro_max_window(engine C.uint64_t) C.int32_t {
	return value(engine, func(e *retro.Engine) (int, error) { return e.MaxWindow(), nil })
}

//export retro_seq_next
func retro_seq_next(engine C.uint64_t, seq C.int32_t) C.int32_t {
	return value(engine, func(e *retro.Engine) (int, error) {
		next, err := e.SeqNext(int(seq))
		return int(next), err
	})
}

//export retro_seq_extend
func retro_seq_extend(engine C.uint64_t, seq C.int32_t, n C.uint32_t, pos,
	cells C.uintptr_t) C.int32_t {
	return call(engine, func(e *retro.Engine) error {
		if n == 0 {
			return nil
		}
		if pos == 0 || cells == 0 || n > retro.MaxCells {
			return argument("retro_seq_extend: pos and cells must not be NULL, and at most 2^27 entries")
		}
		return e.SeqExtend(int(seq), unsafe.Slice(at[int32](pos), n),
			unsafe.Slice(at[int32](cells), n))
	})
}

//export retro_seq_truncate
func retro_seq_truncate(engine C.uint64_t, seq, pos C.int32_t) C.int32_t {
	return call(engine, func(e *retro.Engine) error { return e.SeqTruncate(int(seq), int32(pos)) })
}

//export retro_seq_copy
func retro_seq_copy(engine C.uint64_t, src, dst, end, offset C.int32_t) C.int32_t {
	return call(engine, func(e *retro.Engine) error {
		return e.SeqCopy(int(src), int(dst), int32(end), int32(offset))
	})
}

//export retro_seq_save
func retro_seq_save(engine C.uint64_t, seq C.int32_t, note C.uintptr_t, noteSize C.uint64_t,
	dst C.uintptr_t, cap C.uint64_t, size C.uintptr_t) C.int32_t {
	return call(engine, func(e *retro.Engine) error {
		if size == 0 || note == 0 && noteSize > 0 || noteSize > retro.MaxNote || cap > maxState {
			return argument("retro_seq_save: size, or the note that note_size is of, is NULL, or note_size or cap is too large")
		}
		n, err := e.SeqSize(int(seq), int(noteSize))
		if err != nil {
			return err
		}
		*at[C.uint64_t](size) = u64(uint64(n))
		if dst == 0 || n == 0 {
			return nil
		}
		if uint64(n) > uint64(cap) {
			return argument(fmt.Sprintf("retro_seq_save: %d bytes do not fit in cap (%d)", n, cap))
		}
		_, err = e.SeqSave(int(seq), raw(note, noteSize), raw(dst, u64(uint64(n)))[:0])
		return err
	})
}

//export retro_seq_load
func retro_seq_load(engine C.uint64_t, seq C.int32_t, src C.uintptr_t, size C.uint64_t,
	note C.uintptr_t, noteCap C.uint64_t, noteSize C.uintptr_t) C.int32_t {
	return call(engine, func(e *retro.Engine) error {
		if src == 0 || size > maxState || note == 0 && noteCap > 0 || noteCap > maxState ||
			noteSize == 0 {
			return argument("retro_seq_load: src, note_size, or the note that note_cap is of, is NULL, or size or note_cap is too large")
		}
		text, err := e.SeqLoad(int(seq), raw(src, size))
		if err != nil {
			return err
		}
		copy(raw(note, noteCap), text)
		*at[C.uint64_t](noteSize) = u64(uint64(len(text)))
		return nil
	})
}

//export retro_seq_window
func retro_seq_window(engine C.uint64_t, seq, pos C.int32_t) C.int32_t {
	return value(engine, func(e *retro.Engine) (int, error) {
		return e.SeqWindow(int(seq), int32(pos))
	})
}

//export retro_step_begin
func retro_step_begin(engine C.uint64_t, rows C.uintptr_t, n, threads C.uint32_t) C.int32_t {
	return call(engine, func(e *retro.Engine) error {
		if rows == 0 && n > 0 || n > retro.MaxRows || threads > retro.MaxThreads {
			return argument("retro_step_begin: rows must not be NULL unless there are none, at most 4096 rows and 1024 threads")
		}
		lookAfterHandlers()
		if n == 0 {
			return e.StepBegin(nil, int(threads))
		}
		return e.StepBegin(unsafe.Slice(at[retro.Row](rows), n), int(threads))
	})
}

//export retro_select
func retro_select(engine C.uint64_t, attn C.uintptr_t, ith, nth C.uint32_t) C.int32_t {
	return phase(engine, attn, ith, nth, false)
}

//export retro_attend
func retro_attend(engine C.uint64_t, attn C.uintptr_t, ith, nth C.uint32_t) C.int32_t {
	return phase(engine, attn, ith, nth, true)
}

// phase is written out, unlike the others: it is called for every layer, and it
// reads memory that only the host vouches for, so a fault becomes a panic.
func phase(engine C.uint64_t, p C.uintptr_t, ith, nth C.uint32_t, selected bool) (code C.int32_t) {
	if forked() {
		return status(errForked)
	}
	s := lookup(uint64(engine))
	defer rescue(&code, faults(), func(err error) { keep(s, err) })
	if s == nil {
		return status(errHandle)
	}
	attn := at[C.struct_retro_attn](p)
	if attn == nil || attn.struct_size < C.uint32_t(unsafe.Sizeof(*attn)) ||
		nth > retro.MaxThreads {
		return fail(s, argument("attn is NULL, or its struct_size is too small, or too many threads"))
	}
	if err := s.gate.enter(uint32(ith)); err != nil {
		return fail(s, err)
	}
	defer s.gate.leave(uint32(ith))
	a := retro.Attn{
		Layer: int(attn.layer), Rows: int(attn.n_row), Scale: float32(attn.scale),
		Q: field(unsafe.Pointer(&attn.q)), Out: field(unsafe.Pointer(&attn.out)),
		QRow: uint64(attn.q_row), QHead: uint64(attn.q_head), OutRow: uint64(attn.out_row),
	}
	var err error
	if selected {
		err = s.engine.Attend(&a, int(ith), int(nth))
	} else {
		err = s.engine.Select(&a, int(ith), int(nth))
	}
	if err != nil {
		return fail(s, err)
	}
	return C.RETRO_OK
}

//export retro_step_end
func retro_step_end(engine C.uint64_t, ok C.int32_t) C.int32_t {
	return call(engine, func(e *retro.Engine) error { return e.StepEnd(ok != 0) })
}

//export retro_error
func retro_error(engine C.uint64_t, buf C.uintptr_t, cap C.uint32_t) (code C.int32_t) {
	defer rescue(&code, faults(), func(error) {})
	return C.int32_t(write(buf, cap, errorText(uint64(engine))))
}
