package library

import (
	"debug/pe"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/tests/harness"
)

// The library for Windows, by Wine, from a folder that no code page can name.
func TestWindows(t *testing.T) {
	windows := harness.Windows
	windows.Need(t)
	dir := harness.OddFolder(t)
	dll := windows.Library(t, dir)
	t.Run("file", func(t *testing.T) { checkDLL(t, dll) })
	t.Run("C interface", func(t *testing.T) {
		out, err := windows.Command(windows.C(t, dir, "abi", dll)).CombinedOutput()
		require.NoError(t, err, string(out))
		require.Equal(t, "ok", strings.TrimSpace(string(out)))
	})
	t.Run("Go host", func(t *testing.T) {
		exe := windows.Program(dir, "gohost")
		windows.Go(t, "0", "build", "-o", exe, "./gohost")
		out, err := windows.Command(exe, windows.Path(dll)).CombinedOutput()
		require.NoError(t, err, string(out))
		require.Equal(t, "ok", strings.TrimSpace(string(out)))
	})
}

// checkDLL holds that the library exports the functions of its header and nothing else, needs only
// what each Windows has, can lie anywhere in 64 bits, and has no data that can be executed.
func checkDLL(t *testing.T, dll string) {
	file, err := pe.Open(dll)
	require.NoError(t, err)
	defer file.Close()
	imports, err := file.ImportedSymbols()
	require.NoError(t, err)
	for _, s := range imports {
		require.Regexp(t, `(?i):(kernel32|msvcrt)\.dll$`, s,
			"a new import: is it needed, and does it touch the network or files?")
	}
	const anywhere, highEntropy, noExecute = 0x40, 0x20, 0x100
	header := file.OptionalHeader.(*pe.OptionalHeader64)
	const want = anywhere | highEntropy | noExecute
	require.EqualValues(t, want, header.DllCharacteristics&want)
	for _, s := range file.Sections {
		const write, execute = 0x80000000, 0x20000000
		require.NotEqualValues(t, write|execute, s.Characteristics&(write|execute), s.Name)
	}

	text, err := os.ReadFile("../../capi/retroattn.h")
	require.NoError(t, err)
	var declared []string
	for _, m := range regexp.MustCompile(`(?m)^[a-z][a-z0-9_ ]* \*? ?(retro_\w+)\(`).FindAllSubmatch(text, -1) {
		declared = append(declared, string(m[1]))
	}
	require.Greater(t, len(declared), 15)
	slices.Sort(declared)
	table := harness.Run(t, "x86_64-w64-mingw32-objdump", "-p", dll)
	_, table, _ = strings.Cut(table, "[Ordinal/Name Pointer] Table")
	table, _, _ = strings.Cut(table, "\n\n")
	var exported []string
	for _, m := range regexp.MustCompile(`(?m)^\s*\[ *\d+\] (?:\+base\[ *\d+\] +\w+ +)?(\w+)$`).FindAllStringSubmatch(table, -1) {
		exported = append(exported, m[1])
	}
	require.Equal(t, declared, exported)
}
