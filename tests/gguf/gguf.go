package gguf

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
)

// Type is how the elements of a tensor are stored, as ggml numbers them.
type Type uint32

// Types.
const (
	F32  Type = 0
	F16  Type = 1
	Q4_0 Type = 2
	Q8_0 Type = 8
)

// block is how many elements are stored together, in how many bytes.
func (t Type) block() (elements, bytes int) {
	switch t {
	case F16:
		return 1, 2
	case Q4_0:
		return 32, 18
	case Q8_0:
		return 32, 34
	}
	return 1, 4
}

// Size is the bytes of so many elements, which must be whole blocks.
func (t Type) Size(elements int) int {
	n, bytes := t.block()
	return elements / n * bytes
}

const (
	version   = 3
	alignment = 32
)

// File is a model file in the making: keys, then tensors, whose data comes when it is written.
type File struct {
	arch            string
	keys, infos     bytes.Buffer
	nKeys, nTensors uint64
	tensors         []tensor
	offset          uint64 // of the next tensor in the data
}

type tensor struct {
	name string
	size int
	fill func(io.Writer) error
}

// New begins a file for an architecture, such as llama.
func New(arch string) *File {
	f := &File{arch: arch}
	f.Set("general.architecture", arch)
	return f
}

// The kinds of values.
const (
	kindInt32   = 5
	kindUint32  = 4
	kindFloat32 = 6
	kindBool    = 7
	kindString  = 8
	kindArray   = 9
)

// Set writes a key: an int, float64, bool or string, or a list of strings, float32 or int32. It is
// of the architecture unless it has a prefix of its own.
func (f *File) Set(key string, value any) {
	if !strings.HasPrefix(key, "general.") && !strings.HasPrefix(key, "tokenizer.") &&
		!strings.HasPrefix(key, "adapter.") {
		key = f.arch + "." + key
	}
	put(&f.keys, key)
	f.nKeys++
	switch v := value.(type) {
	case int:
		put(&f.keys, uint32(kindUint32), uint32(v))
	case float64:
		put(&f.keys, uint32(kindFloat32), float32(v))
	case bool:
		put(&f.keys, uint32(kindBool), v)
	case string:
		put(&f.keys, uint32(kindString), v)
	case []string:
		put(&f.keys, uint32(kindArray), uint32(kindString), uint64(len(v)))
		for _, s := range v {
			put(&f.keys, s)
		}
	case []float32:
		put(&f.keys, uint32(kindArray), uint32(kindFloat32), uint64(len(v)), v)
	case []int32:
		put(&f.keys, uint32(kindArray), uint32(kindInt32), uint64(len(v)), v)
	default:
		panic(fmt.Sprintf("gguf: key %s of type %T", key, value))
	}
}

// Tensor adds a tensor; dims are as ggml has them, the length of a row first. fill writes its
// elements.
func (f *File) Tensor(name string, t Type, dims []int, fill func(io.Writer) error) {
	put(&f.infos, name, uint32(len(dims)))
	elements := 1
	for _, d := range dims {
		put(&f.infos, uint64(d))
		elements *= d
	}
	if n, _ := t.block(); dims[0]%n != 0 {
		panic(fmt.Sprintf("gguf: rows of tensor %s have %d elements, not a multiple of %d", name,
			dims[0], n))
	}
	put(&f.infos, uint32(t), f.offset)
	size := t.Size(elements)
	f.tensors = append(f.tensors, tensor{name, size, fill})
	f.offset += uint64(size + padding(size))
	f.nTensors++
}

// DataSize is the bytes of all tensors, nearly those of the file.
func (f *File) DataSize() uint64 { return f.offset }

// Write writes the file. done, if there is one, is told of each tensor how many bytes of the data
// are written.
func (f *File) Write(w io.Writer, done func(bytes uint64)) error {
	var head bytes.Buffer
	head.WriteString("GGUF")
	put(&head, uint32(version), f.nTensors, f.nKeys)
	head.Write(f.keys.Bytes())
	head.Write(f.infos.Bytes())
	head.Write(make([]byte, padding(head.Len())))
	if _, err := w.Write(head.Bytes()); err != nil {
		return err
	}
	at := uint64(0)
	for _, t := range f.tensors {
		c := &counter{w: w}
		if err := t.fill(c); err != nil {
			return fmt.Errorf("tensor %s: %w", t.name, err)
		}
		if c.n != t.size {
			return fmt.Errorf("tensor %s: %d bytes were written, it has %d", t.name, c.n, t.size)
		}
		if _, err := w.Write(make([]byte, padding(t.size))); err != nil {
			return err
		}
		if at += uint64(t.size + padding(t.size)); done != nil {
			done(at)
		}
	}
	return nil
}

// padding leads from a size to the next place where a tensor may begin.
func padding(size int) int { return -size & (alignment - 1) }

// counter counts what is written.
type counter struct {
	w io.Writer
	n int
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += n
	return n, err
}

// put writes values as the format has them; strings have their length before them.
func put(b *bytes.Buffer, values ...any) {
	for _, v := range values {
		if s, ok := v.(string); ok {
			binary.Write(b, binary.LittleEndian, uint64(len(s)))
			b.WriteString(s)
			continue
		}
		binary.Write(b, binary.LittleEndian, v)
	}
}
