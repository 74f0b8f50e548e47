package main

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What is committed is what the sources say, and nothing is left of sources that are gone.
func TestGeneratedFilesAreUpToDate(t *testing.T) {
	files, err := generate(".", "..")
	require.NoError(t, err)
	for name, text := range files {
		have, err := os.ReadFile(filepath.Join("..", name))
		require.NoError(t, err)
		require.True(t, text == string(have), "%s is out of date: go run ./kernels/asm", name)
	}
	for _, pattern := range []string{"*.s", "*.go"} {
		names, err := filepath.Glob(filepath.Join("..", pattern))
		require.NoError(t, err)
		for _, path := range names {
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			if len(text) > len(header) && string(text[:len(header)]) == header {
				assert.Contains(t, files, filepath.Base(path), "nothing generates it: delete it")
			}
		}
	}
}

// write expands a source for both levels of amd64.
func write(t *testing.T, source string) (map[string]string, error) {
	t.Helper()
	dir := t.TempDir()
	args := "package kernels\n\ntype args struct {\n\tn int\n\tx *float32\n}\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "args.go"), []byte(args), 0o600))
	source = ".levels avx2 avx512\n" + source
	require.NoError(t, os.WriteFile(filepath.Join(dir, "f_amd64.asm"), []byte(source), 0o600))
	return generate(dir, dir)
}

func TestExpand(t *testing.T) {
	files, err := write(t, `
.long one {L/8}:1, 2 // a comment
.list at = (SI), (SI)(R9*1)
.macro add r to
	VADDPS {W*r}{at[r]}, V{r}, H{to}
.end
.func f args int
	.keep x
	.slot room 16
	MOVQ {a.n}, CX
	.for R in 2, 1
	rows{R}:
		.for r in R
			add {r}, {r+4*(R == 2)}
		.end
	.end
	.if avx512
		KMOVW AX, K1
	.else
		LEAQ {room+8}, AX
	.end
	MOVQ CX, {ret}
	RET
`)
	require.NoError(t, err)
	assert.Contains(t, files["f_avx512_amd64.s"], `DATA one<>+0(SB)/4, $1
DATA one<>+4(SB)/4, $1
DATA one<>+8(SB)/4, $2
GLOBL one<>(SB), RODATA|NOPTR, $12

TEXT ·fAVX512(SB), NOSPLIT, $24-16
	MOVQ a+0(FP), AX
	MOVQ 8(AX), CX
	MOVQ CX, x-8(SP)
	MOVQ 0(AX), CX
rows2:
	VADDPS 0(SI), Z0, Y4
	VADDPS 64(SI)(R9*1), Z1, Y5
rows1:
	VADDPS 0(SI), Z0, Y0
	KMOVW AX, K1
	MOVQ CX, ret+8(FP)
	RET
`)
	assert.Contains(t, files["f_avx2_amd64.s"], "VADDPS 32(SI)(R9*1), Y1, X5\n")
	assert.Contains(t, files["f_avx2_amd64.s"], "LEAQ room-16(SP), AX\n")
	assert.Contains(t, files["asm_amd64.go"], "if level >= isaAVX512 {\n\t\treturn fAVX512(a)\n")
	assert.Contains(t, files["asm_arm64.go"], "panic(missing)")
}

// Of a kernel that three levels have, each gets its own.
func TestCallsOfLevels(t *testing.T) {
	kernels, every := map[string][]*function{}, map[string]*function{}
	for _, l := range levels[:3] {
		f := &function{name: "f", args: "args"}
		kernels[l.name], every["f"] = []*function{f}, f
	}
	text := calls("amd64", kernels, every)
	assert.Contains(t, text, "if level >= isaAMX {\nfAMX(a)\nreturn\n}\n"+
		"if level >= isaAVX512 {\nfAVX512(a)\nreturn\n}\nfAVX2(a)\n}")
}

func TestExpandErrors(t *testing.T) {
	for source, want := range map[string]string{
		".func f args\n\tmissing 1":              "f_amd64.asm:3: there is no macro missing",
		".func f args\n\tMOVQ {a.m}, AX":         "a.m is not defined",
		".func f args\n\tMOVQ {1+}, AX":          "is not an expression",
		".func f args\n\tMOVQ {1, AX":            "a } is missing",
		".func f other":                          "struct of arguments",
		".func f args\n\t.keep m":                "args has no field m",
		".for r in 2\n\tNOP":                     "f_amd64.asm:2: .for has no .end",
		".macro m a\n.end\nm 1, 2":               "m takes 1 arguments, not 2",
		".macro m\nm\n.end\nm":                   "without an end",
		".list l = A, B\n.func f args\n\t{l[2]}": "cannot compute",
		".slot room 8":                           "in no function",
		"NOP":                                    "in no function",
		".func f args\n.func f args int":         "f has other arguments elsewhere",
		".what":                                  ".what is no directive",
		".set x = 1/0":                           "cannot compute",
	} {
		_, err := write(t, source)
		assert.ErrorContains(t, err, want, "%s", source)
	}
}

// Instructions on tiles are what GNU as makes of them, whose text is beside.
func TestAMX(t *testing.T) {
	instructions := []struct{ macro, bytes string }{
		{"tileLoad 4, {SI}, {R9}, 64", "c4a27b4ba40e40000000"},   // tileloadd 64(%rsi,%r9), %tmm4
		{"tileLoad 5, {R10}, {R9}, 0", "c4827b4bac0a00000000"},   // tileloadd 0(%r10,%r9), %tmm5
		{"tileLoad 7, {BX}, {R12}, 192", "c4a27b4bbc23c0000000"}, // tileloadd 192(%rbx,%r12), %tmm7
		{"tileLoad 3, {R11}, {R8}, 64", "c4827b4b9c0340000000"},  // tileloadd 64(%r11,%r8), %tmm3
		{"tileStore 0, {DI}, {R8}, 0", "c4a27a4b840700000000"},   // tilestored %tmm0, 0(%rdi,%r8)
		{"tileStore 3, {R11}, {R8}, 64", "c4827a4b9c0340000000"}, // tilestored %tmm3, 64(%r11,%r8)
		{"tileZero 2", "c4e27b49d0"},                             // tilezero %tmm2
		{"tileMul 3, 5, 7", "c4e2425cdd"},                        // tdpbf16ps %tmm7, %tmm5, %tmm3
		{"tileMul 0, 4, 6", "c4e24a5cc4"},                        // tdpbf16ps %tmm6, %tmm4, %tmm0
		{"tileConfig", "c4e2784900"},                             // ldtilecfg (%rax)
		{"tileConfigStore", "c4e2794900"},                        // sttilecfg (%rax)
	}
	macros, err := os.ReadFile("amx_amd64.inc")
	require.NoError(t, err)
	for _, i := range instructions {
		files, err := write(t, string(macros)+".func f args\n"+i.macro)
		require.NoError(t, err)
		assert.Equal(t, i.bytes, emitted(t, files["f_avx512_amd64.s"]), i.macro)
	}
}

// emitted is what the data in an assembly file are, in hexadecimal digits.
func emitted(t *testing.T, file string) string {
	t.Helper()
	var out []byte
	for _, m := range regexp.MustCompile(`(BYTE|LONG) \$(\w+)`).FindAllStringSubmatch(file, -1) {
		n, err := strconv.ParseUint(m[2], 0, 32)
		require.NoError(t, err)
		if m[1] == "BYTE" {
			out = append(out, byte(n))
		} else {
			out = append(out, byte(n), byte(n>>8), byte(n>>16), byte(n>>24))
		}
	}
	return hex.EncodeToString(out)
}
