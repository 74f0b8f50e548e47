package divergence

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/retroattn/retroattn/bridge"
)

// Keep says where states after prompts are kept for the next run. The zero value keeps none.
type Keep struct {
	Dir   string
	Model string // its name: weights cannot be told apart by a context
}

// State computes a prompt in an empty sequence and returns what it left in the KV cache. If it is
// to be kept, it is read from where a context of the same types kv has left it, and left there
// otherwise.
func State(ctx context.Context, c *bridge.Context, seq int, prompt []bridge.Token, kv string,
	keep Keep,
) ([]byte, error) {
	path := ""
	if keep.Dir != "" {
		path = filepath.Join(keep.Dir, keep.name(kv, prompt))
		if state, err := readKept(path); err == nil && c.SetSeqStateData(seq, state) == nil {
			return state, nil
		}
		if err := c.SeqRemove(seq, 0, -1); err != nil { // what a damaged state left
			return nil, err
		}
	}
	if err := Process(ctx, c, seq, prompt); err != nil {
		return nil, err
	}
	state, err := c.SeqStateData(seq)
	if err == nil && path != "" {
		err = writeKept(path, state)
	}
	return state, err
}

// name tells prompts, models and cache types apart.
func (k Keep) name(kv string, prompt []bridge.Token) string {
	h := sha256.New()
	fmt.Fprintln(h, k.Model, kv)
	binary.Write(h, binary.LittleEndian, prompt)
	return fmt.Sprintf("%x.state", h.Sum(nil)[:12])
}

// readKept reads a state and checks its sum, which stands before it.
func readKept(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if len(data) < sha256.Size ||
		sha256.Sum256(data[sha256.Size:]) != [sha256.Size]byte(data[:sha256.Size]) {
		return nil, errors.New("damaged")
	}
	return data[sha256.Size:], nil
}

func writeKept(path string, state []byte) error {
	sum := sha256.Sum256(state)
	part := path + ".part"
	if err := os.WriteFile(part, append(sum[:], state...), 0o644); err != nil {
		return err
	}
	return os.Rename(part, path)
}
