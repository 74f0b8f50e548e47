package speed

import (
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"time"

	"golang.org/x/sys/unix"

	"github.com/retroattn/retroattn/bridge"
	"github.com/retroattn/retroattn/tests/lab/machine"
)

// A filled cache is made in two steps. The text is processed once, up to some thousand tokens,
// which is slow, and the state is kept in a file. A deeper cache repeats it: as many copies as it
// takes are loaded as sequences of their own, moved to their places (llama.cpp turns the keys), and
// made one sequence. So beyond the text's end the cache says the same again and again, which is as
// good as any for a measurement of speed.

// maxTiles is how many sequences llama.cpp has at most.
const maxTiles = 256

// Process is a number of the text's tokens to process from the beginning, in every sequence of an
// empty context.
type Process struct {
	Slot   string
	Tokens int
}

// Process replies with the time it took in nanoseconds. What was in the context before is gone.
func (w *Worker) Process(p Process, ns *int64) error {
	defer machine.Idle()
	c, err := w.slot(p.Slot)
	if err != nil {
		return err
	}
	if err := c.MemoryClear(); err != nil {
		return err
	}
	begun := time.Now()
	for seq := range c.Seqs() {
		if err := w.process(c, seq, p.Tokens); err != nil {
			return err
		}
	}
	*ns = int64(time.Since(begun))
	return nil
}

// process computes the first n tokens of the text in an empty sequence, with logits of the last,
// which are waited for.
func (w *Worker) process(c *bridge.Context, seq, n int) error {
	for pos := 0; pos < n; {
		w.batch.Clear()
		for ; pos < n && w.batch.Len() < c.BatchSize(); pos++ {
			w.batch.Add(w.token(pos), pos, seq, pos == n-1)
		}
		if err := c.Decode(w.batch); err != nil {
			return err
		}
	}
	_, err := c.Logits(-1)
	return err
}

// Base is the state of a sequence with the beginning of the text.
type Base struct {
	Type            string
	Tokens, Threads int
	Path, Key       string // file to keep it in, and what it is made from
}

// Based is what came out.
type Based struct {
	Bytes int  // of the state
	Made  bool // or was it in the file
}

// Base finds the state in its file, or makes it.
func (w *Worker) Base(b Base, made *Based) error {
	state, release, err := openState(b.Path, b.Key)
	if err == nil {
		made.Bytes = len(state)
		return release()
	}
	defer machine.Idle()
	defer debug.FreeOSMemory()
	c, err := w.context(Open{Type: b.Type, Seqs: 1, Depth: b.Tokens, Threads: b.Threads}, true)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := w.process(c, 0, b.Tokens); err != nil {
		return err
	}
	if state, err = c.SeqStateData(0); err != nil {
		return err
	}
	made.Bytes, made.Made = len(state), true
	if err := keepState(b.Path, b.Key, state); err != nil {
		return fmt.Errorf("the filled cache cannot be kept: %w; name another folder with --cache",
			err)
	}
	return nil
}

// Make is a sequence of so many tokens, made of copies of a base.
type Make struct {
	Base    Base
	Depth   int
	Streams int // of the context that is to load it, which is how many sequences it has
}

// Make writes the state of the sequence to the shared file.
func (w *Worker) Make(m Make, bytes *int) error {
	defer machine.Idle()
	defer debug.FreeOSMemory()
	base, release, err := openState(m.Base.Path, m.Base.Key)
	if err != nil {
		return fmt.Errorf("the filled cache in %s is gone or damaged: %w", m.Base.Path, err)
	}
	defer release()
	n := tiles(m.Depth, m.Base.Tokens)
	if n > maxTiles {
		return fmt.Errorf("a depth of %d needs %d copies of %d tokens, llama.cpp takes %d: raise "+
			"--fill", m.Depth, n, m.Base.Tokens, maxTiles)
	}
	c, err := w.context(Open{Type: m.Base.Type, Seqs: n, Depth: n * m.Base.Tokens,
		Threads: m.Base.Threads}, true)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := w.tile(c, base, n, m.Base.Tokens); err != nil {
		return err
	}
	if err := c.SeqRemove(0, m.Depth, -1); err != nil {
		return err
	}
	state, err := c.SeqStateData(0)
	if err != nil {
		return err
	}
	*bytes = len(state)
	parts, err := withStreams(state, m.Streams)
	if err != nil {
		return err
	}
	return writeShared(w.shared, parts...)
}

// tiles is how many copies of a base hold so many tokens.
func tiles(depth, base int) int { return (depth + base - 1) / base }

// tile lets sequence 0 be n copies of the base, one after another.
func (w *Worker) tile(c *bridge.Context, base []byte, n, tokens int) error {
	for seq := range n {
		if err := c.SetSeqStateData(seq, base); err != nil {
			return err
		}
	}
	if n == 1 {
		return nil
	}
	for seq := 1; seq < n; seq++ {
		if err := c.SeqAdd(seq, -1, -1, seq*tokens); err != nil {
			return err
		}
	}
	// The keys are turned before the next batch, whatever it is.
	w.batch.Clear()
	w.batch.Add(w.token(tokens), tokens, 0, true)
	if err := c.Decode(w.batch); err != nil {
		return err
	}
	if err := c.SeqRemove(0, tokens, -1); err != nil {
		return err
	}
	for seq := 1; seq < n; seq++ {
		if err := c.SeqCopy(seq, 0, -1, -1); err != nil {
			return err
		}
	}
	if err := c.SeqKeep(0); err != nil {
		return err
	}
	last, err := c.SeqPosMax(0)
	if err == nil && last != n*tokens-1 {
		err = fmt.Errorf("%d copies of %d tokens end at position %d", n, tokens, last)
	}
	return err
}

// writeShared replaces what the file holds.
func writeShared(file *os.File, parts ...[]byte) error {
	if err := file.Truncate(0); err != nil {
		return err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	for _, part := range parts {
		if _, err := file.Write(part); err != nil {
			return err
		}
	}
	return nil
}

// Load sets every sequence of a context to the state in the shared file; each has its own copy.
func (w *Worker) Load(slot string, _ *bool) error {
	defer machine.Idle()
	c, err := w.slot(slot)
	if err != nil {
		return err
	}
	state, release, err := mapped(w.shared)
	if err != nil {
		return err
	}
	defer release()
	if err := c.MemoryClear(); err != nil {
		return err
	}
	for seq := range c.Seqs() {
		if err := c.SetSeqStateData(seq, state); err != nil {
			return err
		}
	}
	return nil
}

// mapped lets a file be read as memory, without a copy.
func mapped(file *os.File) (data []byte, release func() error, err error) {
	info, err := file.Stat()
	if err != nil {
		return nil, nil, err
	}
	if info.Size() == 0 {
		return nil, nil, fmt.Errorf("%s is empty", file.Name())
	}
	data, err = unix.Mmap(int(file.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, nil, err
	}
	return data, func() error { return unix.Munmap(data) }, nil
}
