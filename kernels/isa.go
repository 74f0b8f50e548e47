package kernels

// isaEnv is the environment variable that forces a level, read once at init.
const isaEnv = "RETRO_ISA"

const (
	isaGeneric = "generic"
	isaAVX2    = "avx2"
)

// chooseAVX2 decides from the value of RETRO_ISA and what the machine has. A
// value that is unknown or asks for what is missing counts as unset.
func chooseAVX2(forced string, available bool) bool {
	return available && forced != isaGeneric
}
