package main

import (
	"os"
	"path/filepath"
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
	assert.Contains(t, files["asm_amd64.go"], "if level == isaAVX512 {\n\t\treturn fAVX512(a)\n")
	assert.Contains(t, files["asm_arm64.go"], "panic(missing)")
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
