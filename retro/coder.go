package retro

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
)

// coder takes values to bytes, little endian, or back. The same code drives it
// either way, so that what is saved and what is loaded cannot drift apart.
type coder struct {
	mode coding
	size int    // bytes counted
	data []byte // saving: what was written; loading: what is left
	err  error  // the first one; values are left alone after it
}

type coding int

const (
	counting coding = iota
	saving
	loading
)

var (
	errCut   = errors.New("it ends too early")
	errRange = errors.New("a number in it is out of range")
)

// next is room for n bytes, or the next n bytes; nil where none are to be touched.
func (c *coder) next(n int) []byte {
	switch {
	case c.err != nil:
		return nil
	case c.mode == counting:
		c.size += n
		return nil
	case c.mode == saving:
		at := len(c.data)
		c.data = slices.Grow(c.data, n)[:at+n]
		return c.data[at:]
	case n > len(c.data):
		c.err = errCut
		return nil
	}
	b := c.data[:n]
	c.data = c.data[n:]
	return b
}

func (c *coder) fail(err error) {
	if c.err == nil {
		c.err = err
	}
}

// number is an int of 0..most, in 32 bits.
func (c *coder) number(x *int, most int) {
	b := c.next(4)
	if b == nil {
		return
	}
	if c.mode == saving {
		binary.LittleEndian.PutUint32(b, uint32(*x))
		return
	}
	if n := binary.LittleEndian.Uint32(b); uint64(n) <= uint64(max(most, 0)) {
		*x = int(n)
	} else {
		c.fail(errRange)
	}
}

func (c *coder) flag(x *bool) {
	n := 0
	if *x {
		n = 1
	}
	c.number(&n, 1)
	*x = n == 1
}

func (c *coder) u64s(x []uint64) {
	b := c.next(8 * len(x))
	if b == nil {
		return
	}
	for i := range x {
		if c.mode == saving {
			binary.LittleEndian.PutUint64(b[8*i:], x[i])
		} else {
			x[i] = binary.LittleEndian.Uint64(b[8*i:])
		}
	}
}

func (c *coder) counter(x *counter) {
	n := [1]uint64{x.load()}
	c.u64s(n[:])
	x.store(n[0])
}

func (c *coder) f32s(x []float32) {
	b := c.next(4 * len(x))
	if b == nil {
		return
	}
	for i := range x {
		if c.mode == saving {
			binary.LittleEndian.PutUint32(b[4*i:], math.Float32bits(x[i]))
		} else {
			x[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
		}
	}
}

// bytes are raw.
func (c *coder) bytes(x []byte) {
	b := c.next(len(x))
	if c.mode == saving {
		copy(b, x)
	} else if b != nil {
		copy(x, b)
	}
}

// text is bytes of any length; loaded, they are a part of the data.
func (c *coder) text(x *[]byte) {
	n := len(*x)
	c.number(&n, len(c.data))
	if c.mode != loading {
		c.bytes(*x)
	} else if b := c.next(n); b != nil {
		*x = b
	}
}
