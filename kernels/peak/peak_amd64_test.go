//go:build !noasm

package peak

import "testing"

// The machine takes one level; this tries the lower one, too.
func TestReadAVX2(t *testing.T) {
	if !hasAVX2 {
		t.Skip("no AVX2")
	}
	b := make([]byte, 1024)
	for i := range b {
		b[i] = byte(i * i / 3)
	}
	for n := 256; n <= len(b); n += 256 {
		if got, want := readAVX2(&b[0], n), readGeneric(b[:n]); got != want {
			t.Fatalf("n=%d: %#x, want %#x", n, got, want)
		}
	}
}

func BenchmarkReadAVX2(b *testing.B) {
	if !hasAVX2 {
		b.Skip("no AVX2")
	}
	data := make([]byte, 512<<10)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		readAVX2(&data[0], len(data))
	}
}
