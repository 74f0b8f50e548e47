package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// numbered is a file of lines "1" to "n".
func numbered(n int) string {
	var text strings.Builder
	for i := 1; i <= n; i++ {
		text.WriteString(strings.Repeat("x", i) + "\n")
	}
	return text.String()
}

// rebaseProject has one patch with two hunks in src/a.cpp and one in src/b.cpp, and an older
// llama.cpp that it fits.
func rebaseProject(t *testing.T) (a *app, out *strings.Builder, base string) {
	t.Helper()
	root, made := t.TempDir(), t.TempDir()
	writeFiles(t, made, map[string]string{"src/a.cpp": numbered(60), "src/b.cpp": "int b;\n"})
	runGit(t, made, "init", "-q")
	runGit(t, made, "add", ".")
	runGit(t, made, "commit", "-q", "-m", "base")
	first := strings.Repeat("x", 10) + "\n"
	writeFiles(t, made, map[string]string{
		"src/a.cpp": strings.Replace(strings.Replace(numbered(60), "\n"+first, "\nten\n", 1),
			strings.Repeat("x", 50)+"\n", "fifty\n", 1),
		"src/b.cpp": "int b;\nint c;\n"})
	runGit(t, made, "commit", "-q", "-a", "-m", "the change")
	runGit(t, made, "format-patch", "-q", "--zero-commit", "--no-signature", "-N", "-o",
		filepath.Join(root, "patches"), "HEAD~1")
	writeFiles(t, root, map[string]string{"capi/retroattn.h": "/* header */\n"})
	base = t.TempDir()
	writeFiles(t, base, map[string]string{"src/a.cpp": numbered(60), "src/b.cpp": "int b;\n",
		"include/llama.h": "\n"})
	out = new(strings.Builder)
	return &app{ctx: t.Context(), root: root, out: out}, out, base
}

func patchText(t *testing.T, a *app) string {
	t.Helper()
	return read(t, a.root, "patches", "0001-the-change.patch")
}

func TestRebaseAtOtherLines(t *testing.T) {
	a, out, base := rebaseProject(t)
	before := patchText(t, a)
	require.NoError(t, rebaseCmd{To: base, Write: true}.Run(a))
	assert.Contains(t, out.String(), "3 hunks, 0 apply at other lines, 0 do not apply.")
	assert.Equal(t, before, patchText(t, a), "the same version gives the same patch")

	writeFiles(t, base, map[string]string{"src/a.cpp": "new\nlines\n" + numbered(60)})
	out.Reset()
	require.NoError(t, rebaseCmd{To: base}.Run(a))
	assert.Contains(t, out.String(), "3 hunks, 2 apply at other lines, 0 do not apply.")
	assert.Equal(t, before, patchText(t, a), "nothing is written unless asked for")
	require.NoError(t, rebaseCmd{To: base, Write: true}.Run(a))
	assert.Contains(t, patchText(t, a), "@@ -9,7 +9,7 @@")
	out.Reset()
	require.NoError(t, rebaseCmd{To: base}.Run(a))
	assert.Contains(t, out.String(), "3 hunks, 0 apply at other lines, 0 do not apply.")
}

func TestRebaseNamesWhatFails(t *testing.T) {
	a, out, base := rebaseProject(t)
	before := patchText(t, a)
	changed := strings.Replace(numbered(60), strings.Repeat("x", 50)+"\n", "other\n", 1)
	writeFiles(t, base, map[string]string{"src/a.cpp": changed})
	require.NoError(t, os.Remove(filepath.Join(base, "src/b.cpp")))
	require.ErrorIs(t, rebaseCmd{To: base, Write: true}.Run(a), errSaid)
	assert.Contains(t, out.String(), "0001-the-change.patch\n  src/a.cpp:47  @@ -47,7 +47,7 @@")
	assert.NotContains(t, out.String(), "src/a.cpp:7 ", "the first hunk applies")
	assert.Contains(t, out.String(), "  src/b.cpp: No such file or directory (hunks: 1)")
	assert.Contains(t, out.String(), "3 hunks, 0 apply at other lines, 2 do not apply.\nNothing was written.")
	assert.Contains(t, out.String(), "git am --3way "+filepath.Join(a.root, "patches", "*.patch"))
	assert.Equal(t, before, patchText(t, a))
	assert.Equal(t, changed, read(t, base, "src/a.cpp"), "the checkout is only read")
	assert.NoFileExists(t, filepath.Join(base, "src/a.cpp.rej"))
}

func TestRebaseRefuses(t *testing.T) {
	a, _, base := rebaseProject(t)
	assert.ErrorContains(t, rebaseCmd{To: t.TempDir()}.Run(a), "has no include/llama.h")
	runGit(t, base, "apply", filepath.Join(a.root, "patches", "0001-the-change.patch"))
	assert.ErrorContains(t, rebaseCmd{To: base}.Run(a), "already applied")
}
