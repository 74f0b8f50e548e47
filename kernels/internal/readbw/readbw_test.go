package readbw

import "testing"

func TestRead(t *testing.T) {
	b := make([]byte, 1000)
	for i := range b {
		b[i] = byte(i * i)
	}
	for n := range b {
		var want byte
		for _, x := range b[:n] {
			want ^= x
		}
		s := Read(b[:n])
		s ^= s >> 32
		s ^= s >> 16
		s ^= s >> 8
		if byte(s) != want {
			t.Fatalf("n=%d: %#x, want %#x", n, byte(s), want)
		}
	}
}
