package speed

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// A state file holds a line that says what it was made from, the SHA-256 of the state, and the
// state. One that is damaged or was made from something else is made again.

// baseKey names what the state of a sequence depends on.
func baseKey(model, version, kv string, tokens, gpuLayers int, text string) string {
	return fmt.Sprintf("model=%s llama=%s kv=%s tokens=%d gpu_layers=%d text=%x", model, version,
		kv, tokens, gpuLayers, sha256.Sum256([]byte(text)))
}

// basePath is a file of a folder for a key.
func basePath(dir, key string) string {
	sum := sha256.Sum256([]byte(key))
	return filepath.Join(dir, fmt.Sprintf("%x.state", sum[:8]))
}

// identity tells a model file from another by its size and its ends, since reading all of it would
// take long.
func identity(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return "", err
	}
	const end = 1 << 20
	hash := sha256.New()
	for _, at := range []int64{0, max(0, info.Size()-end)} {
		if _, err := io.Copy(hash, io.NewSectionReader(file, at, end)); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%d-%x", info.Size(), hash.Sum(nil)[:16]), nil
}

var errStale = errors.New("it is damaged, or made from something else")

// openState maps the state in a file, until release.
func openState(path, key string) (state []byte, release func() error, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer file.Close() // the mapping stays
	data, release, err := mapped(file)
	if err != nil {
		return nil, nil, err
	}
	head := []byte(key + "\n")
	rest, ok := bytes.CutPrefix(data, head)
	if ok && len(rest) > sha256.Size {
		state = rest[sha256.Size:]
		if sum := sha256.Sum256(state); bytes.Equal(sum[:], rest[:sha256.Size]) {
			return state, release, nil
		}
	}
	return nil, nil, errors.Join(errStale, release())
}

// keepState writes a state file, which appears when it is whole.
func keepState(path, key string, state []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), "partial-")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	sum := sha256.Sum256(state)
	for _, part := range [][]byte{[]byte(key + "\n"), sum[:], state} {
		if _, err := file.Write(part); err != nil {
			return errors.Join(err, file.Close())
		}
	}
	if err := file.Close(); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}

// cacheDir is where filled caches are kept unless told otherwise: beside what the build program
// keeps.
func cacheDir() (string, error) {
	if dir := os.Getenv("RETRO_CACHE_DIR"); dir != "" {
		return filepath.Join(dir, "speed"), nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no cache folder: %w; name one with --cache", err)
	}
	return filepath.Join(dir, "retroattn", "speed"), nil
}
