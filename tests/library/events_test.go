package library

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/tests/harness"
)

// Streams of bytes, played as calls by testdata/events.c: those kept in testdata/events, then
// random ones for RETRO_FUZZ_TIME (10s, or 1s). One that fails is added to them, and so stays a
// test.
func TestEventStreams(t *testing.T) {
	limit := 10 * time.Second
	if testing.Short() {
		limit = time.Second
	}
	if text := os.Getenv("RETRO_FUZZ_TIME"); text != "" {
		var err error
		limit, err = time.ParseDuration(text)
		require.NoError(t, err, "RETRO_FUZZ_TIME")
	}
	cc, lib := harness.Compiler(t), harness.Library(t)
	exe := compileC(t, cc, lib, "events", sanitizers(t, cc)...)
	kept, err := filepath.Glob("../testdata/events/*")
	require.NoError(t, err)
	require.NotEmpty(t, kept)
	playStreams(t, exe, kept)

	seed := uint64(time.Now().UnixNano())
	rng := rand.New(rand.NewPCG(seed, 1))
	begun, streams := time.Now(), 0
	for ; time.Since(begun) < limit; streams += 20 {
		playStreams(t, exe, randomStreams(t, rng, 20))
	}
	t.Logf("%d random streams (seed %d)", streams, seed)
}

func randomStreams(t *testing.T, rng *rand.Rand, n int) (files []string) {
	dir := t.TempDir()
	for i := range n {
		data := make([]byte, 0, 4096)
		for range 10 + rng.IntN(500) {
			data = binary.LittleEndian.AppendUint64(data, rng.Uint64())
		}
		file := filepath.Join(dir, fmt.Sprint(i))
		require.NoError(t, os.WriteFile(file, data, 0o644))
		files = append(files, file)
	}
	return files
}

// playStreams plays streams in one process. One that takes minutes is tried again before it counts
// as hanging.
func playStreams(t *testing.T, exe string, files []string) {
	t.Helper()
	for i, file := range files {
		abs, err := filepath.Abs(file)
		require.NoError(t, err)
		files[i] = abs
	}
	for try := range 2 {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
		defer cancel()
		plain := sanitized(exe, files...)
		cmd := exec.CommandContext(ctx, exe, files...)
		cmd.Env, cmd.Dir = plain.Env, t.TempDir() // where plans are written
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		err := cmd.Run()
		if err == nil && strings.Contains(out.String(), "\nok: ") {
			return
		}
		if errors.Is(ctx.Err(), context.DeadlineExceeded) && try == 0 {
			continue
		}
		require.FailNow(t, fmt.Sprintf("%v\n%s\n%s", err, keepStream(t, files, out.String()),
			harness.Tail(out.String(), 6000)))
	}
}

// keepStream saves the stream that was played last.
func keepStream(t *testing.T, files []string, out string) string {
	last := files[0]
	for _, f := range files {
		if strings.Contains(out, f+"\n") {
			last = f
		}
	}
	data, err := os.ReadFile(last)
	require.NoError(t, err)
	name := filepath.Join("../testdata", "events", fmt.Sprintf("%x", sha256.Sum256(data))[:16])
	require.NoError(t, os.WriteFile(name, data, 0o644))
	return "the stream is kept as " + strings.TrimPrefix(name, "../")
}
