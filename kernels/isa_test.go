package kernels

import (
	"errors"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"testing"
)

func TestAvailable(t *testing.T) {
	list := available("")
	if list[0] != isaGeneric || !slices.IsSorted(list) {
		t.Fatal(list)
	}
	if !slices.Contains(list, level) {
		t.Fatal("level", level, "is not available")
	}
}

func TestChoose(t *testing.T) {
	only, arm, amd := []isa{isaGeneric}, []isa{isaGeneric, isaNEON, isaDotProd},
		[]isa{isaGeneric, isaAVX2, isaAVX512, isaAMX}
	for _, tc := range []struct {
		forced    string
		available []isa
		want      isa
	}{
		{"", only, isaGeneric},
		{"", arm, isaDotProd},
		{"", amd, isaAMX},
		{"", amd[:3], isaAVX512},
		{"", amd[:2], isaAVX2},
		{"generic", only, isaGeneric},
		{"generic", arm, isaGeneric},
		{"generic", amd, isaGeneric},
		{"neon", arm, isaNEON},
		{"dotprod", arm, isaDotProd},
		{"avx2", amd, isaAVX2},
		{"avx512", amd, isaAVX512},
		{"avx512", amd[:2], isaAVX2},
		{"avx2", arm, isaDotProd},
		{"neon", amd, isaAMX},
		{"avx2", only, isaGeneric},
		{"sse9", amd, isaAMX},
		{"AVX2", amd, isaAMX},
		{" generic", amd, isaAMX},
	} {
		if got := choose(tc.forced, tc.available); got != tc.want {
			t.Errorf("choose(%q, %v) = %s, want %s", tc.forced, tc.available, isaName(got),
				isaName(tc.want))
		}
	}
}

// TestForcedISA runs itself in processes that have the variable set.
func TestForcedISA(t *testing.T) {
	const probe = "RETRO_TEST_WANT"
	if want := os.Getenv(probe); want != "" {
		if ISA() != want {
			t.Fatalf("%s=%s gives %s, want %s", isaEnv, os.Getenv(isaEnv), ISA(), want)
		}
		return
	}
	list := available("")
	best := isaName(list[len(list)-1])
	want := map[string]string{"": best, "sse9": best}
	for l, name := range isaNames {
		want[name] = best
		if slices.Contains(list, isa(l)) {
			want[name] = name
		}
	}
	for forced, want := range want {
		cmd := exec.Command(os.Args[0], "-test.run=^TestForcedISA$")
		cmd.Env = append(os.Environ(), isaEnv+"="+forced, probe+"="+want)
		out, err := cmd.CombinedOutput()
		if errors.Is(err, syscall.ENOEXEC) {
			t.Skip("this process is emulated, and the system cannot start another like it")
		}
		if err != nil {
			t.Errorf("%q: %v\n%s", forced, err, out)
		}
	}
}
