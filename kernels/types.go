package kernels

import (
	"fmt"
	"unsafe"
)

// Type is how the rows of a K or V cache are stored. The values are ggml's.
type Type uint32

const (
	F32 Type = 0
	F16 Type = 1
	// blocks of an F16 scale and 32 nibbles: 0..15 low, 16..31 high; value (nibble-8)*scale
	Q4_0 Type = 2
	Q8_0 Type = 8 // blocks of an F16 scale and 32 int8
	BF16 Type = 30
)

// Types lists what the kernels can read.
var Types = []Type{F32, F16, BF16, Q8_0, Q4_0}

// blockLen is the number of elements in a block of a quantised type.
const blockLen = 32

const (
	q8Bytes = 2 + blockLen   // of a Q8_0 block
	q4Bytes = 2 + blockLen/2 // of a Q4_0 block
)

// others are the types that llama.cpp can keep a cache in and that are not read here.
var others = map[Type]string{3: "q4_1", 6: "q5_0", 7: "q5_1", 20: "iq4_nl"}

func (t Type) String() string {
	switch t {
	case F32:
		return "f32"
	case F16:
		return "f16"
	case BF16:
		return "bf16"
	case Q8_0:
		return "q8_0"
	case Q4_0:
		return "q4_0"
	}
	if name, ok := others[t]; ok {
		return name
	}
	return fmt.Sprintf("type %d", uint32(t))
}

// Quantised holds for types that store blocks of 32 elements.
func (t Type) Quantised() bool { return t == Q8_0 || t == Q4_0 }

// RowBytes is the size of d elements, or 0 where the type is unknown or d is not
// a positive multiple of 8, and of 32 for quantised types.
func (t Type) RowBytes(d int) int {
	if uint64(d) >= maxDim || d&7 != 0 || t.Quantised() && d%blockLen != 0 {
		return 0
	}
	switch t {
	case F32:
		return 4 * d
	case F16, BF16:
		return 2 * d
	case Q8_0:
		return d / blockLen * q8Bytes
	case Q4_0:
		return d / blockLen * q4Bytes
	}
	return 0
}

// Cache is the keys or values of one head. The row of cell c, Dim elements, begins
// Stride*c bytes after Base and needs only the alignment of its scalars (2 bytes,
// 4 for F32). Cells that are passed with it must be readable; nothing
// beyond their last byte is touched.
type Cache struct {
	Type   Type
	Dim    int
	Base   unsafe.Pointer
	Stride uintptr
}

func (c *Cache) row(cell int32) unsafe.Pointer {
	return unsafe.Add(c.Base, uintptr(cell)*c.Stride)
}
