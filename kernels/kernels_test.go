package kernels

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"unsafe"
)

func TestNoAllocation(t *testing.T) {
	const rows, d, n = 5, 72, 37
	k, h := make([]uint16, d*n), make([]uint16, d)
	p := unsafe.Pointer(&k[0])
	x, y, q, w := make([]float32, rows*d), make([]float32, rows*d), make([]float32, rows*d), make([]float32, rows*n)
	var sink float32
	for name, fn := range map[string]func(){
		"DotF16":     func() { DotF16(w, n, q, rows, d, p, 2*d, n) },
		"AccF16":     func() { AccF16(x, d, w, n, rows, d, p, 2*d, n) },
		"SoftmaxRow": func() { _, sink = SoftmaxRow(w, 0) },
		"Exp32":      func() { sink = Exp32(sink) },
		"Scale":      func() { Scale(x, 1) },
		"Axpby":      func() { Axpby(x, 1, y, 1) },
		"SumSqF16":   func() { SumSqF16(x, y, p, 2*d, d, n) },
		"MinMaxF16":  func() { MinMaxF16(x, y, p, 2*d, d, n) },
		"Prefetch":   func() { Prefetch(p, 2*d, d, n) },
		"MaxInto":    func() { MaxInto(x, y) },
		"MaxAddSqrt": func() { MaxAddSqrt(x, y, 2, y) },
		"ToF16":      func() { ToF16(h, x[:d]) },
		"FromF16":    func() { FromF16(x, h) },
		"generic": func() {
			dotF16Generic(w, n, q, rows, d, p, 2*d, n)
			accF16Generic(x, d, w, n, rows, d, p, 2*d, n)
			sumSqF16Generic(x, y, p, 2*d, d, n)
			minMaxF16Generic(x, y, p, 2*d, d, n)
		},
	} {
		if a := testing.AllocsPerRun(20, fn); a != 0 {
			t.Errorf("%s allocates %g times", name, a)
		}
	}
}

func TestBadArguments(t *testing.T) {
	k := make([]uint16, 1024)
	p := unsafe.Pointer(&k[0])
	f := func(n int) []float32 { return make([]float32, n) }
	for name, fn := range map[string]func(){
		"d 0":            func() { DotF16(f(9), 9, f(99), 1, 0, p, 16, 1) },
		"d 12":           func() { DotF16(f(9), 9, f(99), 1, 12, p, 16, 1) },
		"d negative":     func() { AccF16(f(99), 8, f(9), 1, 1, -8, p, 16, 1) },
		"n negative":     func() { DotF16(f(9), 9, f(99), 1, 8, p, 16, -1) },
		"rows negative":  func() { DotF16(f(9), 9, f(99), -1, 8, p, 16, 1) },
		"dst":            func() { DotF16(f(6), 4, f(16), 2, 8, p, 16, 3) },
		"dst ld":         func() { DotF16(f(99), 2, f(16), 2, 8, p, 16, 3) },
		"dst negative":   func() { DotF16(f(99), -3, f(16), 2, 8, p, 16, 3) },
		"q":              func() { DotF16(f(99), 3, f(15), 2, 8, p, 16, 3) },
		"acc":            func() { AccF16(f(15), 8, f(6), 3, 2, 8, p, 16, 3) },
		"p":              func() { AccF16(f(16), 8, f(5), 3, 2, 8, p, 16, 3) },
		"p ld":           func() { AccF16(f(16), 8, f(99), 2, 2, 8, p, 16, 3) },
		"huge":           func() { DotF16(f(99), 1<<30, f(99), 1<<30, 8, p, 16, 3) },
		"sum":            func() { SumSqF16(f(7), f(8), p, 16, 8, 1) },
		"sumsq":          func() { SumSqF16(f(8), f(7), p, 16, 8, 1) },
		"lo":             func() { MinMaxF16(f(7), f(8), p, 16, 8, 1) },
		"hi":             func() { MinMaxF16(f(8), f(7), p, 16, 8, 1) },
		"stats d":        func() { MinMaxF16(f(8), f(8), p, 16, 4, 1) },
		"axpby":          func() { Axpby(f(3), 1, f(2), 1) },
		"to f16":         func() { ToF16(k[:1], f(2)) },
		"from f16":       func() { FromF16(f(1), k[:2]) },
		"n 0 needs d":    func() { AccF16(nil, 0, nil, 0, 1, 7, nil, 0, 0) },
		"rows 0 needs d": func() { DotF16(nil, 0, nil, 0, 7, nil, 0, 1) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if s, _ := recover().(string); !strings.HasPrefix(s, "kernels: ") {
					t.Errorf("panicked with %q", s)
				}
			}()
			fn()
		})
	}
	// Nothing to do, nothing to read.
	DotF16(nil, 0, nil, 0, 8, nil, 0, 5)
	DotF16(nil, 0, nil, 5, 8, nil, 0, 0)
	AccF16(nil, 0, nil, 0, 5, 8, nil, 0, 0)
	SumSqF16(nil, nil, nil, 0, 8, 0)
	MinMaxF16(nil, nil, nil, 0, 8, 0)
	if m, sum := SoftmaxRow(nil, 3); m != 3 || sum != 0 {
		t.Errorf("SoftmaxRow of nothing: %g, %g", m, sum)
	}
	Scale(nil, 1)
	Axpby(nil, 1, nil, 1)
	ToF16(nil, nil)
	FromF16(nil, nil)
}

// A single row needs no leading dimension.
func TestSingleRow(t *testing.T) {
	k, q, dst, acc := make([]uint16, 8), make([]float32, 8), make([]float32, 1), make([]float32, 8)
	k[3], q[3] = 0x3c00, 2
	DotF16(dst, 0, q, 1, 8, unsafe.Pointer(&k[0]), 0, 1)
	AccF16(acc, 0, dst, 0, 1, 8, unsafe.Pointer(&k[0]), 0, 1)
	if dst[0] != 2 || acc[3] != 2 {
		t.Fatal(dst, acc)
	}
}

// Prefetch may run into anything, even pages that are not mapped.
func TestPrefetch(t *testing.T) {
	z := newZone(t, 4096)
	Prefetch(unsafe.Pointer(&z[len(z)-2]), 1<<20, 256, 9)
	Prefetch(nil, 0, 64, 16)
	Prefetch(nil, 0, 0, 0)
}

func TestChooseAVX2(t *testing.T) {
	for _, tc := range []struct {
		forced          string
		available, want bool
	}{
		{"", true, true},
		{"", false, false},
		{"generic", true, false},
		{"generic", false, false},
		{"avx2", true, true},
		{"avx2", false, false},
		{"sse9", true, true},
		{"sse9", false, false},
	} {
		if got := chooseAVX2(tc.forced, tc.available); got != tc.want {
			t.Errorf("chooseAVX2(%q, %t) = %t", tc.forced, tc.available, got)
		}
	}
}

// TestForcedISA runs the tests below in a process that has the variable set.
func TestForcedISA(t *testing.T) {
	const probe = "RETRO_TEST_PROBE"
	if os.Getenv(probe) != "" {
		if ISA() != isaGeneric {
			t.Fatal(ISA())
		}
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^(TestForcedISA|TestBadArguments|TestNoAllocation|TestSingleRow|TestF16Bounds)$")
	cmd.Env = append(os.Environ(), isaEnv+"="+isaGeneric, probe+"=1")
	out, err := cmd.CombinedOutput()
	if errors.Is(err, syscall.ENOEXEC) {
		t.Skip("this process is emulated, and the system cannot start another like it")
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
