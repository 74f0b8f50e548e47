package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func writeFiles(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
	}
}

func runGit(t *testing.T, dir string, args ...string) string {
	t.Helper()
	text, err := output(git(t.Context(), dir,
		append([]string{"-c", "user.name=t", "-c", "user.email=t@t"}, args...)...))
	require.NoError(t, err)
	return text
}

// smallSource is a folder with everything that could make a copy differ: an ignored file that is
// tracked, CRLF, an executable and attributes.
func smallSource(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{".gitignore": "*.log\n", "kept.log": "x",
		"src/a.cpp": "int a;\r\n", "include/llama.h": "\n",
		"run.sh": "#!/bin/sh\n", ".gitattributes": "* text=auto\n"})
	require.NoError(t, os.Chmod(filepath.Join(dir, "run.sh"), 0o755))
	return dir
}

func TestPlainFolderIsKnownByItsTree(t *testing.T) {
	dir := smallSource(t)
	tree, err := hashFolder(t.Context(), dir, t.TempDir())
	require.NoError(t, err)

	repo, err := localTree(t.Context(), dir, tree, filepath.Join(t.TempDir(), "r"))
	require.NoError(t, err)
	copied := filepath.Join(t.TempDir(), "x", "copy")
	require.NoError(t, exportTree(t.Context(), repo, tree, copied,
		filepath.Join(t.TempDir(), "export")))
	again, err := hashFolder(t.Context(), copied, t.TempDir())
	require.NoError(t, err)
	assert.Equal(t, tree, again)

	writeFiles(t, dir, map[string]string{"src/a.cpp": "int b;\n"})
	_, err = localTree(t.Context(), dir, tree, filepath.Join(t.TempDir(), "r"))
	assert.ErrorContains(t, err, "not "+tree)
}

func TestCheckoutIsKnownByItsObjects(t *testing.T) {
	dir := smallSource(t)
	runGit(t, dir, "init", "-q")
	runGit(t, dir, "add", "-Af", ".")
	runGit(t, dir, "commit", "-qm", "first")
	tree := runGit(t, dir, "rev-parse", "HEAD^{tree}")
	writeFiles(t, dir, map[string]string{"src/a.cpp": "int edited;\n"})
	runGit(t, dir, "commit", "-qam", "second")

	repo, err := localTree(t.Context(), dir, tree, filepath.Join(t.TempDir(), "r"))
	require.NoError(t, err)
	copied := filepath.Join(t.TempDir(), "copy")
	require.NoError(t, exportTree(t.Context(), repo, tree, copied,
		filepath.Join(t.TempDir(), "export")))
	text, err := os.ReadFile(filepath.Join(copied, "src/a.cpp"))
	require.NoError(t, err)
	assert.Equal(t, "int a;", strings.TrimSpace(string(text)))

	_, err = localTree(t.Context(), dir, strings.Repeat("0", 40), filepath.Join(t.TempDir(), "r"))
	assert.ErrorContains(t, err, "does not hold the git tree")
}

func TestLocalTreeNeedsAFolder(t *testing.T) {
	_, err := localTree(t.Context(), filepath.Join(t.TempDir(), "none"), "", "")
	assert.ErrorContains(t, err, "is not a folder")
	_, err = localTree(t.Context(), t.TempDir(), "", "")
	assert.ErrorContains(t, err, "is not llama.cpp")
}

func TestUntarStaysInside(t *testing.T) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	require.NoError(t, w.WriteHeader(&tar.Header{Name: "../evil", Typeflag: tar.TypeReg,
		Mode: 0o644}))
	require.NoError(t, w.Close())
	dir := t.TempDir()
	require.Error(t, untar(&b, dir))
	assert.NoFileExists(t, filepath.Join(filepath.Dir(dir), "evil"))
}

func TestTakeMemberChecksBothHashes(t *testing.T) {
	dir := t.TempDir()
	archive := filepath.Join(dir, "a.tgz")
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	require.NoError(t, w.WriteHeader(&tar.Header{Name: "package/m", Typeflag: tar.TypeReg,
		Mode: 0o644, Size: 1}))
	_, err := w.Write([]byte("m"))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	require.NoError(t, z.Close())
	require.NoError(t, os.WriteFile(archive, b.Bytes(), 0o644))

	hash, err := fileSHA256(archive)
	require.NoError(t, err)
	const hashOfM = "62c66a7a5dd70c3146618063c344e531e6d4b59e379808443ce962b3abd63c5a"
	pin := packagePin{Package: "p", Version: "1", Member: "package/m", ArchiveSHA256: hash,
		MemberSHA256: hashOfM}
	to := filepath.Join(dir, "m")
	require.NoError(t, takeMember(filepath.Join(dir, "*.tgz"), pin, tarMember, to))

	wrong := pin
	wrong.MemberSHA256 = hash
	require.ErrorContains(t, takeMember(filepath.Join(dir, "*.tgz"), wrong, tarMember, to),
		"demands "+hash)
	wrong = pin
	wrong.ArchiveSHA256 = hashOfM
	require.ErrorContains(t, takeMember(filepath.Join(dir, "*.tgz"), wrong, tarMember, to),
		"a.tgz has SHA-256")
	wrong = pin
	wrong.Member = "other"
	require.ErrorContains(t, takeMember(filepath.Join(dir, "*.tgz"), wrong, tarMember, to),
		"no file other")
	require.ErrorContains(t, takeMember(filepath.Join(dir, "*.whl"), pin, zipMember, to),
		"0 archives")
}

func TestZipMember(t *testing.T) {
	dir := t.TempDir()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	f, err := z.Create("d/m")
	require.NoError(t, err)
	_, err = f.Write([]byte("content"))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	writeFiles(t, dir, map[string]string{"a.whl": b.String()})
	require.NoError(t, zipMember(filepath.Join(dir, "a.whl"), "d/m", filepath.Join(dir, "m")))
	text, err := os.ReadFile(filepath.Join(dir, "m"))
	require.NoError(t, err)
	assert.Equal(t, "content", string(text))
}
