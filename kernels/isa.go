package kernels

import "os"

// isaEnv is the environment variable that forces a level, read once at init.
const isaEnv = "RETRO_ISA"

// isa is a set of kernels. Of one architecture, a higher one includes the lower.
type isa int

const (
	isaGeneric isa = iota
	isaNEON
	isaDotProd // NEON and SDOT
	isaAVX2    // AVX2, FMA and F16C
	isaAVX512  // AVX-512 F, BW, DQ, VL and VNNI
	isaAMX     // AMX with bf16, and AVX-512
)

var isaNames = [...]string{"generic", "neon", "dotprod", "avx2", "avx512", "amx"}

func isaName(l isa) string { return isaNames[l] }

// ISAs lists the levels of this machine, each of which RETRO_ISA can force, lowest first.
func ISAs() []string {
	var names []string
	for _, l := range isas {
		names = append(names, isaName(l))
	}
	return names
}

// isas are the levels of this machine, lowest first; of those that change the process that uses them
// only what RETRO_ISA does not rule out.
var isas = available(os.Getenv(isaEnv))

// level is set once, at init. A branch on it is cheaper than a call through a
// function variable, and keeps the arguments from escaping.
var level = choose(os.Getenv(isaEnv), isas)

// choose decides from the value of RETRO_ISA and the levels of this machine, lowest
// first. A value that is unknown or asks for what is missing counts as unset.
func choose(forced string, available []isa) isa {
	for _, l := range available {
		if isaName(l) == forced {
			return l
		}
	}
	return available[len(available)-1]
}
