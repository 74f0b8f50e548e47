package retro

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"hash/fnv"
	"math"
	"sort"

	"github.com/retroattn/retroattn/kernels"
	"github.com/retroattn/retroattn/retro/failure"
	"github.com/retroattn/retroattn/retro/options"
)

// A saved sequence: magic, format version, fingerprint, payload (see
// codeSequence), and a checksum over all of it.
const (
	stateMagic   = 0x51535452 // "RTSQ"
	stateVersion = 6          // raise it when the payload changes
	stateHead    = 16         // bytes before the payload
	stateTail    = 4          // bytes of checksum

	// MaxNote bounds the caller's bytes in a saved sequence.
	MaxNote = 1 << 20
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)

	errPositions = errors.New("its positions are not those of the sequence")
)

// SeqSize is the number of bytes that SeqSave appends with a note of so many
// bytes; 0: nothing is known of the sequence.
func (e *Engine) SeqSize(id, note int) (int, error) {
	s, err := e.savable(id, note)
	if err != nil || s == nil {
		return 0, err
	}
	c := coder{mode: counting}
	var none []byte
	e.codeSequence(&c, s, &none)
	return stateHead + c.size + note + stateTail, nil
}

// SeqSave appends to dst what is known of the sequence, except for its cells, and
// the caller's note.
func (e *Engine) SeqSave(id int, note, dst []byte) ([]byte, error) {
	s, err := e.savable(id, len(note))
	if err != nil || s == nil {
		return dst, err
	}
	le, from := binary.LittleEndian, len(dst)
	dst = le.AppendUint32(dst, stateMagic)
	dst = le.AppendUint32(dst, stateVersion)
	dst = le.AppendUint64(dst, e.fingerprint())
	c := coder{mode: saving, data: dst}
	e.codeSequence(&c, s, &note)
	return le.AppendUint32(c.data, crc32.Checksum(c.data[from:], castagnoli)), nil
}

// savable is the sequence, nil when nothing is known of it.
func (e *Engine) savable(id, note int) (*sequence, error) {
	if e.step.open {
		return nil, failure.Statef("sequence %d is saved inside a step", id)
	}
	if note < 0 || note > MaxNote {
		return nil, failure.Argumentf("sequence %d: a note of %d bytes, must be 0..%d", id, note,
			MaxNote)
	}
	s, err := e.sequenceAt(id)
	if err != nil || s == nil || len(s.pos) == 0 {
		return nil, err
	}
	return s, nil
}

// SeqLoad takes over what SeqSave wrote, in any engine for the same model and
// with the same options, once the table has been extended by (at least) the
// positions that were saved. It returns the note, a part of data. After an error
// nothing has changed, and all is built again when it is needed.
func (e *Engine) SeqLoad(id int, data []byte) (note []byte, err error) {
	if e.step.open {
		return nil, failure.Statef("sequence %d is loaded inside a step", id)
	}
	s, err := e.openSequence(id)
	if err != nil {
		return nil, err
	}
	payload, err := e.openState(id, data)
	if err != nil {
		return nil, err
	}
	fresh := e.newSequence()
	fresh.pos, fresh.cell = s.pos, s.cell
	summaries := e.stats.SummaryBytes
	c := coder{mode: loading, data: payload}
	e.codeSequence(&c, fresh, &note)
	if c.err == nil && len(c.data) > 0 {
		c.fail(fmt.Errorf("%d bytes follow it", len(c.data)))
	}
	if c.err != nil {
		e.stats.SummaryBytes = summaries
		return nil, failure.Argumentf("sequence %d: what was saved does not fit (%v): its page summaries are built again", id, c.err)
	}
	e.stats.SummaryBytes -= uint64(len(s.blocks)*e.sumBlock + len(s.codes)*e.codeBlock)
	e.stats.RingBytes += fresh.ring.bytes() - s.ring.bytes()
	e.seqs[id] = fresh
	return note, nil
}

// openState checks all but the payload and returns that.
func (e *Engine) openState(id int, data []byte) ([]byte, error) {
	le, end := binary.LittleEndian, len(data)-stateTail
	if end < stateHead || le.Uint32(data) != stateMagic {
		return nil, failure.Argumentf("sequence %d: %d bytes that are not a saved sequence: its page summaries are built again", id, len(data))
	}
	if crc32.Checksum(data[:end], castagnoli) != le.Uint32(data[end:]) {
		return nil, failure.Argumentf("sequence %d: what was saved is damaged (checksum): its page summaries are built again", id)
	}
	if v := le.Uint32(data[4:]); v != stateVersion {
		return nil, failure.Unsupportedf("sequence %d was saved in format %d, this library reads %d: its page summaries are built again", id, v, stateVersion)
	}
	if le.Uint64(data[8:]) != e.fingerprint() {
		return nil, failure.Unsupportedf("sequence %d was saved with other options or another model (page, select, code_bits, summary_bits, window and local must be the same): its page summaries are built again", id)
	}
	return data[stateHead:end], nil
}

// fingerprint is of all that the payload's layout and meaning depend on.
func (e *Engine) fingerprint() uint64 {
	h, o := fnv.New64a(), &e.opt
	fmt.Fprintln(h, o.Page, int(o.Select), o.CodeBits, o.SummaryBits, o.Window, o.Local,
		len(e.layers), kernels.TilePages)
	for i := range e.layers {
		l := &e.layers[i]
		fmt.Fprintln(h, int(l.TypeK), int(l.TypeV), l.Heads, l.KVHeads, l.DK, l.DV, len(l.parts),
			l.Rotation, l.SoftCap)
	}
	return h.Sum64()
}

// codeSequence is the payload. Loading, s has the table, and is new elsewhere.
func (e *Engine) codeSequence(c *coder, s *sequence, note *[]byte) {
	c.text(note)
	entries := codeTable(c, s.pos)
	since := min(s.since, math.MaxInt32)
	c.number(&since, math.MaxInt32)
	s.since = since
	e.codeNeed(c, &s.need)
	e.codeSummaries(c, s, entries)
	e.codeKept(c, s, entries)
	e.codeRing(c, &s.ring, entries)
}

// codeNeed codes what the budget by need depends on.
func (e *Engine) codeNeed(c *coder, n *need) {
	bits := [1]uint64{math.Float64bits(n.log)}
	c.u64s(bits[:])
	if n.log = math.Float64frombits(bits[0]); !(math.Abs(n.log) <= maxNeed) {
		c.fail(errRange)
	}
	steps := min(n.steps, math.MaxInt32)
	c.number(&steps, math.MaxInt32)
	n.steps = steps
}

// codeKept codes what serves the next token.
func (e *Engine) codeKept(c *coder, s *sequence, entries int) {
	local := e.localAt(entries - 1)
	for i := range s.kept {
		for j, list := range s.kept[i].lists() {
			codeNoted(c, list, len(s.pos)-1, entries-1, [...]int{local / groupPages, local + 1}[j])
		}
	}
}

// codeNoted codes a list of numbers below limit, if it is of the newest entry, which is saved as
// another one.
func codeNoted(c *coder, l *noted, newest, saved, limit int) {
	n := 0
	if l.entry == newest {
		n = len(l.of)
	}
	if c.number(&n, limit); n == 0 || c.err != nil {
		return
	}
	if c.mode == loading {
		l.entry, l.of = saved, make([]int32, n)
	}
	last := -1
	for j := range l.of {
		x := int(l.of[j])
		if c.number(&x, limit-1); x <= last {
			c.fail(errRange)
		}
		l.of[j], last = int32(x), x
	}
}

// codeTable codes the positions of the table's first entries as runs without gaps (first,
// length) and returns how many entries were saved. Loading, they must be there.
func codeTable(c *coder, pos []int32) int {
	n := len(pos)
	c.number(&n, len(pos))
	pos = pos[:n]
	for i := 0; i < n && c.err == nil; {
		run := 1
		for i+run < n && pos[i+run] == pos[i+run-1]+1 {
			run++
		}
		first, length := int(pos[i]), run
		c.number(&first, math.MaxInt32)
		c.number(&length, n)
		if first != int(pos[i]) || length != run {
			c.fail(errPositions)
		}
		i += run
	}
	return n
}

// codeSummaries codes the summaries, and their tokens' codes, of each layer's and KV head's leading
// pages.
func (e *Engine) codeSummaries(c *coder, s *sequence, entries int) {
	most := 0
	for i, n := range s.summed {
		pages := int(n)
		c.number(&pages, entries/e.opt.Page)
		s.summed[i] = int32(pages)
		most = max(most, pages)
	}
	if e.sumBlock == 0 || c.err != nil {
		return
	}
	e.roomForSummaries(s, most)
	for i := range e.layers {
		l := &e.layers[i]
		for j := range l.parts {
			for h := range l.KVHeads {
				e.codePart(c, s, &l.parts[j], h, int(s.summed[l.headOff+h]))
			}
		}
	}
}

// codePart codes the summaries and codes of a part of the keys, for the first n pages of KV head h.
func (e *Engine) codePart(c *coder, s *sequence, part *part, h, n int) {
	planes := planesOf(e.opt.Select)
	for plane := range planes {
		for p := 0; p < n; p += blockPages {
			c.bytes(part.pages(s, planes, h, plane,
				p/blockPages)[:summaryBytes(&e.opt, part.dim, n-p)])
		}
	}
	for p := 0; part.codeBytes > 0 && p < n; p += codePages {
		c.bytes(part.codes(s, h, p/codePages)[:min(codePages, n-p)*part.codeBytes])
	}
}

// summaryBytes is what the first n pages of a block take in a plane.
func summaryBytes(o *options.Options, dk, n int) int {
	return planeBytes(o, dk, (min(n, blockPages)+
		kernels.TilePages-1)/kernels.TilePages*kernels.TilePages)
}

// codeRing codes the valid slots, oldest first.
func (e *Engine) codeRing(c *coder, r *ring, entries int) {
	n := r.n
	c.number(&n, len(r.slots))
	if c.err != nil {
		return
	}
	if c.mode == loading {
		r.count, r.n = n, n
		r.reserve(entries, e.kvHeads)
	}
	last := -1
	for j := n; j > 0; j-- {
		s := r.back(j)
		c.number(&s.entry, entries-1)
		if s.entry <= last {
			c.fail(errRange)
		}
		last = s.entry
		e.codeSlot(c, s)
	}
}

// codeSlot codes all of a slot but its entry.
func (e *Engine) codeSlot(c *coder, s *ringSlot) {
	c.flag(&s.sparse)
	if !s.sparse {
		return
	}
	c.counter(&s.selected)
	c.counter(&s.shown)
	for i := range s.exact {
		c.flag(&s.exact[i])
	}
	c.f32s(s.q)
	c.f32s(s.m)
	c.f32s(s.l)
	c.f32s(s.acc)
	for b := 0; b*seenEntries < s.entry; b++ {
		c.u64s(s.seen[b])
	}
}

// SeqCopy makes dst, which must hold nothing, a copy of what src holds at
// positions < end, in cells that lie cellOffset higher, with the summaries of
// whole pages. Its window starts empty.
func (e *Engine) SeqCopy(src, dst int, end, cellOffset int32) error {
	if e.step.open {
		return failure.Statef("sequence %d is copied inside a step", src)
	}
	s, err := e.sequenceAt(src)
	if err != nil {
		return err
	}
	d, err := e.openSequence(dst)
	if err != nil {
		return err
	}
	if len(d.pos) > 0 {
		return failure.Statef("sequence %d: copied to from %d, but it holds %d entries", dst, src,
			len(d.pos))
	}
	if s == nil || src == dst {
		return nil
	}
	n := sort.Search(len(s.pos), func(i int) bool { return s.pos[i] >= end })
	for _, c := range s.cell[:n] {
		if c := int64(c) + int64(cellOffset); c < 0 || c >= int64(e.cfg.Cells) {
			return failure.Argumentf("sequence %d: copied to cell %d, must be 0..%d", dst, c,
				e.cfg.Cells-1)
		}
	}
	d.pos, d.cell = append(d.pos[:0], s.pos[:n]...), d.cell[:0]
	for _, c := range s.cell[:n] {
		d.cell = append(d.cell, c+cellOffset)
	}
	most := int32(0)
	for i, pages := range s.summed {
		d.summed[i] = min(pages, int32(n/e.opt.Page))
		most = max(most, d.summed[i])
	}
	if e.sumBlock > 0 {
		e.roomForSummaries(d, int(most))
		for i := 0; i*blockPages < int(most); i++ {
			copy(d.blocks[i], s.blocks[i])
		}
		for i := 0; e.codeBlock > 0 && i*codePages < int(most); i++ {
			copy(d.codes[i], s.codes[i])
		}
	}
	d.ring.reset()
	d.since, d.need = 0, need{}
	return nil
}
