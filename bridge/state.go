package bridge

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"unsafe"
)

// The head of a state file: magic, version, number of tokens, tokens.
const (
	sessionMagic   = 0x6767736e // "ggsn"
	sessionVersion = 10
	sessionHead    = 12 // bytes before the tokens
)

func checkStatePath(path string) error {
	if path == "" || strings.ContainsRune(path, 0) {
		return argError("state path %q", path)
	}
	return nil
}

// enterState is enter for calls that read or replace cells. llama.cpp leaves copies and shifts to
// the next Decode, and until then what is in the cells does not fit what is said about them.
func (c *Context) enterState() error {
	if err := c.enter(); err != nil {
		return err
	}
	if c.pending {
		c.leave()
		return ErrPending
	}
	return nil
}

// StateSave writes the memory of all sequences, and tokens for the caller's use, to a file of
// llama.cpp's session format. The file appears when complete: it is written as path + ".partial"
// and renamed. ErrPending after a SeqAdd or a copy between sequences that no Decode followed.
func (c *Context) StateSave(path string, tokens []Token) error {
	if err := checkStatePath(path); err != nil {
		return err
	}
	if len(tokens) > math.MaxInt32 {
		return argError("%d tokens", len(tokens))
	}
	if err := c.enterState(); err != nil {
		return err
	}
	defer c.leave()
	partial := path + ".partial"
	var ok bool
	detail := c.lib.log.capture(func() {
		ok = c.lib.stateSaveFile(c.ptr, partial, unsafe.SliceData(tokens), uint64(len(tokens)))
	})
	if !ok {
		os.Remove(partial)
		return errors.New(withDetail("bridge: cannot save state to "+path, detail))
	}
	if err := os.Rename(partial, path); err != nil {
		os.Remove(partial)
		return fmt.Errorf("bridge: save state: %w", err)
	}
	return nil
}

// StateLoad replaces the memory by that of a file and returns the tokens stored with it. The
// context needs the model, cache types, and number of streams of the one that saved. After an error
// the memory may be empty. There are no logits until the next Decode.
func (c *Context) StateLoad(path string) ([]Token, error) {
	if err := checkStatePath(path); err != nil {
		return nil, err
	}
	if err := c.enterState(); err != nil {
		return nil, err
	}
	defer c.leave()
	count, err := sessionTokens(path)
	if err != nil {
		return nil, err
	}
	tokens := make([]Token, count+1) // never empty, so that there is an address
	var got uint64
	var ok bool
	c.rows, c.outputs = c.rows[:0], 0
	detail := c.lib.log.capture(func() {
		ok = c.lib.stateLoadFile(c.ptr, path, &tokens[0], uint64(count), &got)
	})
	if !ok {
		return nil, errors.New(withDetail("bridge: cannot load state from "+path, detail))
	}
	return tokens[:got:got], nil
}

// sessionTokens reads how many tokens a state file holds, and checks that they are there.
func sessionTokens(path string) (int, error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, fmt.Errorf("bridge: load state: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return 0, fmt.Errorf("bridge: load state: %w", err)
	}
	var head [sessionHead]byte
	if _, err := io.ReadFull(file, head[:]); err != nil {
		return 0, fmt.Errorf("bridge: %s is not a state file: %w", path, err)
	}
	order := binary.NativeEndian // as llama.cpp writes it
	magic, version := order.Uint32(head[0:]), order.Uint32(head[4:])
	if magic != sessionMagic || version != sessionVersion {
		return 0, fmt.Errorf("bridge: %s is not a state file of version %d (magic %08x, version %d)",
			path, sessionVersion, magic, version)
	}
	count := int64(order.Uint32(head[8:]))
	if count*4 > info.Size()-sessionHead {
		return 0, fmt.Errorf("bridge: state file %s is cut off", path)
	}
	return int(count), nil
}

// SeqStateData returns the memory of one sequence. ErrPending as for StateSave.
func (c *Context) SeqStateData(seq int) ([]byte, error) {
	if err := c.checkedSeqState(seq); err != nil {
		return nil, err
	}
	defer c.leave()
	var data []byte
	var n uint64
	detail := c.lib.log.capture(func() {
		size := c.lib.stateSeqSize(c.ptr, int32(seq))
		if size == 0 {
			return
		}
		data = make([]byte, size)
		n = c.lib.stateSeqGet(c.ptr, &data[0], size, int32(seq))
	})
	if n == 0 || n > uint64(len(data)) {
		return nil, errors.New(withDetail(fmt.Sprintf("bridge: cannot save sequence %d", seq),
			detail))
	}
	return data[:n], nil
}

// SetSeqStateData replaces a sequence by one that SeqStateData returned, of this or a like context.
// After an error the sequence is empty or partly set: remove it.
func (c *Context) SetSeqStateData(seq int, data []byte) error {
	if err := c.checkedSeqState(seq); err != nil {
		return err
	}
	defer c.leave()
	if len(data) == 0 {
		return argError("empty state")
	}
	var n uint64
	detail := c.lib.log.capture(func() {
		n = c.lib.stateSeqSet(c.ptr, &data[0], uint64(len(data)),
			int32(seq))
	})
	if n == 0 {
		return errors.New(withDetail(fmt.Sprintf("bridge: cannot restore sequence %d", seq),
			detail))
	}
	return nil
}

func (c *Context) checkedSeqState(seq int) error {
	if err := c.enterState(); err != nil {
		return err
	}
	if err := c.checkSeq(seq); err != nil {
		c.leave()
		return err
	}
	return nil
}
