package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func testCache(ctx context.Context, t *testing.T, dir string) *cache {
	t.Helper()
	t.Setenv("RETRO_CACHE_DIR", dir)
	c, err := openCache(ctx, t.TempDir(), t.Logf)
	require.NoError(t, err)
	t.Cleanup(func() { c.lock.Close() })
	return c
}

func TestCacheMakesWhatIsNotReady(t *testing.T) {
	c := testCache(t.Context(), t, t.TempDir())
	made := 0
	file := c.path("folder", "thing")
	p := product{name: "thing", made: "1", files: []string{file}, make: func() error {
		made++
		temp, err := c.temp()
		if err != nil {
			return err
		}
		writeFiles(t, temp, map[string]string{"thing": "x"})
		return copyFile(filepath.Join(temp, "thing"), file)
	}}
	require.NoError(t, c.ensure(p))
	require.NoError(t, c.ensure(p))
	assert.Equal(t, 1, made)
	p.made = "2"
	require.NoError(t, c.ensure(p))
	assert.Equal(t, 2, made, "made from something else")
	require.NoError(t, os.Remove(file))
	require.NoError(t, c.ensure(p))
	assert.Equal(t, 3, made, "its file is gone")
	p.made, p.make = "3", func() error { return os.ErrInvalid }
	require.ErrorIs(t, c.ensure(p), os.ErrInvalid)
	assert.False(t, c.ready(p))
}

func TestCacheIsNotReplacedUnderAReader(t *testing.T) {
	dir := t.TempDir()
	reader := testCache(t.Context(), t, dir)
	thing := func(c *cache, made string) product {
		return product{name: "thing", made: made, files: []string{c.path("thing")},
			make: func() error {
				return os.WriteFile(c.path("thing"), nil, 0o644)
			}}
	}
	require.NoError(t, reader.ensure(thing(reader, "1")))

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	writer := testCache(ctx, t, dir)
	var said []string
	writer.say = func(format string, args ...any) {
		said = append(said, fmt.Sprintf(format, args...))
		cancel()
	}
	require.NoError(t, writer.ensure(thing(writer, "1")), "two readers go together")
	require.ErrorIs(t, writer.ensure(thing(writer, "2")), context.Canceled)
	assert.True(t, reader.ready(thing(reader, "1")))
	assert.Equal(t, []string{"Waiting for another run, which holds " + filepath.Join(dir, "lock") +
		" (set RETRO_CACHE_DIR to work beside it)."}, said)
}

// Who takes the output of lib to a variable sees what it waits for.
func TestWaitingIsToldOnStderr(t *testing.T) {
	t.Setenv("RETRO_CACHE_DIR", t.TempDir())
	a, err := newApp(t.Context(), false)
	require.NoError(t, err)
	stdout, stderr := new(bytes.Buffer), filepath.Join(t.TempDir(), "stderr")
	a.out = stdout
	file, err := os.Create(stderr)
	require.NoError(t, err)
	defer file.Close()
	old := os.Stderr
	os.Stderr = file
	a.cache.say("Waiting")
	os.Stderr = old
	text, err := os.ReadFile(stderr)
	require.NoError(t, err)
	assert.Equal(t, "Waiting\n", string(text))
	assert.Empty(t, stdout.String())
}

func TestCacheOutsideTheCheckout(t *testing.T) {
	root := t.TempDir()
	t.Setenv("RETRO_CACHE_DIR", filepath.Join(root, "cache"))
	_, err := openCache(t.Context(), root, t.Logf)
	assert.ErrorContains(t, err, "inside the checkout")
}

func TestBuildStep(t *testing.T) {
	for _, c := range []struct {
		line        string
		done, total int
		ok          bool
	}{
		{"[3/290] Building CXX object a.o", 3, 290, true},
		{"[ 12%] Building CXX object a.o", 12, 100, true},
		{"[100%] Built target llama", 100, 100, true},
		{"warning: [3/290]", 0, 0, false},
	} {
		done, total, ok := buildStep(c.line)
		assert.Equal(t, c.ok, ok, c.line)
		assert.Equal(t, [2]int{c.done, c.total}, [2]int{done, total}, c.line)
	}
}

// Stages side by side are one process, whose lock is one: what one makes is not cleared away by
// another.
func TestCacheMakesOneAfterAnother(t *testing.T) {
	c := testCache(t.Context(), t, t.TempDir())
	names := []string{"a", "b", "c"}
	done := make(chan error)
	for _, name := range names {
		folder := c.path(name)
		require.NoError(t, os.Mkdir(folder, 0o755))
		go func() {
			done <- c.ensure(product{name: name, made: "1", files: []string{folder + "/file"},
				make: func() error {
					temp, err := c.temp()
					if err != nil {
						return err
					}
					time.Sleep(50 * time.Millisecond)
					return os.WriteFile(filepath.Join(temp, "x"), nil, 0o644)
				}})
		}()
	}
	for range names {
		require.NoError(t, <-done)
	}
}
