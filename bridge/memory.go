package bridge

import (
	"fmt"
	"math"
)

// AllSeqs stands for every sequence in SeqRemove.
const AllSeqs = -1

// In the calls below p0 and p1 are positions, the range is [p0, p1), and a negative value leaves
// that end open.

// clampPos keeps a position in 32 bits; all of the values beyond mean the same to llama.cpp.
func clampPos(p int) int32 { return int32(min(max(p, -1), math.MaxInt32)) }

func (c *Context) checkSeq(seq int) error {
	if seq < 0 || seq >= c.seqs {
		return argError("sequence %d, this context has %d", seq, c.seqs)
	}
	return nil
}

// enterSeq is enter with a check of a sequence id.
func (c *Context) enterSeq(seq int) error {
	if err := c.enter(); err != nil {
		return err
	}
	if err := c.checkSeq(seq); err != nil {
		c.leave()
		return err
	}
	return nil
}

// MemoryClear empties the memory of all sequences.
func (c *Context) MemoryClear() error {
	if err := c.enter(); err != nil {
		return err
	}
	defer c.leave()
	c.lib.memClear(c.mem, true)
	return nil
}

// SeqRemove removes a range of a sequence, or of AllSeqs. It fails where the model's memory cannot
// drop a part of a sequence (recurrent models); a whole sequence can always go.
func (c *Context) SeqRemove(seq, p0, p1 int) error {
	if err := c.enter(); err != nil {
		return err
	}
	defer c.leave()
	if seq != AllSeqs {
		if err := c.checkSeq(seq); err != nil {
			return err
		}
	}
	if !c.lib.memSeqRm(c.mem, int32(seq), clampPos(p0), clampPos(p1)) {
		return fmt.Errorf("bridge: this model's memory cannot remove positions %d..%d of sequence %d", p0, p1, seq)
	}
	return nil
}

// SeqCopy makes a range of sequence src belong to dst too. Without ContextParams.Unified the
// sequences do not share cells: then only a whole sequence can be copied, replacing dst, and the
// copying is done in the next Decode.
func (c *Context) SeqCopy(src, dst, p0, p1 int) error {
	if err := c.enterSeq(src); err != nil {
		return err
	}
	defer c.leave()
	if err := c.checkSeq(dst); err != nil {
		return err
	}
	if src == dst {
		return nil
	}
	if !c.unified {
		if p0 > 0 || p1 >= 0 {
			return argError("only whole sequences can be copied in a context that is not unified")
		}
		c.pending = true
	}
	c.lib.memSeqCp(c.mem, int32(src), int32(dst), clampPos(p0), clampPos(p1))
	return nil
}

// SeqKeep removes all other sequences.
func (c *Context) SeqKeep(seq int) error {
	if err := c.enterSeq(seq); err != nil {
		return err
	}
	defer c.leave()
	if c.unified {
		c.lib.memSeqKeep(c.mem, int32(seq))
		return nil
	}
	// llama_memory_seq_keep looks only at the cells of this sequence's own stream.
	for other := range c.seqs {
		if other != seq {
			c.lib.memSeqRm(c.mem, int32(other), -1, -1)
		}
	}
	return nil
}

// SeqAdd moves a range of a sequence by delta positions; what would get a negative position is
// removed. Cells shared with other sequences move for these too. The keys are rotated in the next
// Decode. It fails for models whose position encoding cannot be shifted, and for keys in BF16 while
// sparse attention is on.
func (c *Context) SeqAdd(seq, p0, p1, delta int) error {
	if err := c.enterSeq(seq); err != nil {
		return err
	}
	defer c.leave()
	if !c.lib.memCanShift(c.mem) {
		return fmt.Errorf("bridge: this memory cannot shift positions, because of the model or of keys in BF16")
	}
	last := int(c.lib.memSeqPosMax(c.mem, int32(seq)))
	if last < 0 || delta == 0 {
		return nil
	}
	if delta >= math.MaxInt32-last || delta < -math.MaxInt32 {
		return argError("shift of %d positions", delta)
	}
	c.lib.memSeqAdd(c.mem, int32(seq), clampPos(p0), clampPos(p1), int32(delta))
	c.pending = true
	return nil
}

// SeqPosMax returns the last position of a sequence, -1 if it is empty.
func (c *Context) SeqPosMax(seq int) (int, error) {
	if err := c.enterSeq(seq); err != nil {
		return -1, err
	}
	defer c.leave()
	return int(c.lib.memSeqPosMax(c.mem, int32(seq))), nil
}

// SeqPosMin returns the first position that a sequence still holds, -1 if it is empty.
func (c *Context) SeqPosMin(seq int) (int, error) {
	if err := c.enterSeq(seq); err != nil {
		return -1, err
	}
	defer c.leave()
	return int(c.lib.memSeqPosMin(c.mem, int32(seq))), nil
}
