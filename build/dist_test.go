package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestArchiveDependsOnItsContentOnly(t *testing.T) {
	members := []member{
		{name: "lib/liba.so.1", content: []byte("library")},
		{name: "bin/a", content: []byte("program"), program: true},
	}
	sums := checksums(members)
	assert.Regexp(t, `^[0-9a-f]{64}  bin/a\n[0-9a-f]{64}  lib/liba.so.1\n$`, string(sums.content),
		"sorted, without links")
	members = append(members, sums)
	when := time.Unix(1700000000, 0)
	linked := append(members, member{name: "lib/liba.so", link: "liba.so.1"})
	archiveDependsOnItsContentOnly(t, writeTarGz, linked, when)
	archiveDependsOnItsContentOnly(t, writeZip, members, when)
	_, err := writeZip(t.TempDir(), "a-1.0", linked, when)
	assert.ErrorContains(t, err, "lib/liba.so")
}

func archiveDependsOnItsContentOnly(t *testing.T,
	write func(string, string, []member, time.Time) (string, error), members []member,
	when time.Time) {
	first, err := write(t.TempDir(), "a-1.0", members, when)
	require.NoError(t, err)
	members = slices.Clone(members)
	slices.Reverse(members)
	second, err := write(t.TempDir(), "a-1.0", members, when.In(time.FixedZone("", 3600)))
	require.NoError(t, err)
	assert.Equal(t, read(t, first), read(t, second))
	third, err := write(t.TempDir(), "a-1.0", members, when.Add(2*time.Second))
	require.NoError(t, err)
	assert.NotEqual(t, read(t, first), read(t, third))
}

// The sums are of all that lies in a folder, also of what was there before.
func TestSumsOfAFolder(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{"a.tar.gz": "a", "b.deb": "b"})
	require.NoError(t, os.Mkdir(filepath.Join(dir, "folder"), 0o755))
	for range 2 {
		file, err := sumsOf(dir)
		require.NoError(t, err)
		assert.Regexp(t, `^[0-9a-f]{64}  a\.tar\.gz\n[0-9a-f]{64}  b\.deb\n$`, read(t, file))
	}
}

func TestLinksStayLinks(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{"liba.so.1": "library"})
	require.NoError(t, os.Symlink("liba.so.1", filepath.Join(dir, "liba.so")))
	m, err := fileMember("lib/liba.so", filepath.Join(dir, "liba.so"))
	require.NoError(t, err)
	assert.Equal(t, member{name: "lib/liba.so", link: "liba.so.1"}, m)
}

func TestVersionIsInOnePlace(t *testing.T) {
	a := &app{ctx: t.Context(), root: t.TempDir()}
	writeFiles(t, a.root, map[string]string{"capi/main.go": "package main\n\nconst version = \"1.20.3\"\n"})
	version, err := a.version()
	require.NoError(t, err)
	assert.Equal(t, "1.20.3", version)
	filled := a.template("retroattn-config-version.cmake", "lib/cmake", version, target{"linux", "amd64"})
	assert.Equal(t, "lib/cmake/retroattn-config-version.cmake", filled.name)
	assert.Contains(t, string(filled.content), `PACKAGE_VERSION "1.20.3"`)
	assert.Contains(t, string(filled.content), `PACKAGE_FIND_VERSION_MINOR EQUAL "20"`)

	writeFiles(t, a.root, map[string]string{"capi/main.go": "package main\n\nconst version = \"1.20\"\n"})
	_, err = a.version()
	assert.ErrorContains(t, err, `const version = "1.2.3"`)
}

func TestCommitTime(t *testing.T) {
	a := &app{ctx: t.Context(), root: t.TempDir()}
	t.Setenv("SOURCE_DATE_EPOCH", "1700000000")
	when, err := a.commitTime()
	require.NoError(t, err)
	assert.Equal(t, int64(1700000000), when.Unix())
	t.Setenv("SOURCE_DATE_EPOCH", "yesterday")
	_, err = a.commitTime()
	assert.ErrorContains(t, err, `"yesterday"`)
	t.Setenv("SOURCE_DATE_EPOCH", "")
	_, err = a.commitTime()
	assert.ErrorContains(t, err, "set SOURCE_DATE_EPOCH", "no git history")
}

func TestDistRefuses(t *testing.T) {
	for want, cmd := range map[string]distCmd{
		"--library-only: the library is the same": {Native: true, LibraryOnly: true},
		"--arch mips: must be":                    {Arch: "mips", LibraryOnly: true},
		"--os windows --arch arm64: must be":      {OS: "windows", Arch: "arm64"},
		"--os plan9 --arch amd64: must be":        {OS: "plan9"},
		"--native for windows-amd64":              {OS: "windows", Native: true},
		"--deb for windows-amd64":                 {OS: "windows", Deb: true},
		"--deb and --library-only":                {Deb: true, LibraryOnly: true},
	} {
		assert.ErrorContains(t, cmd.Validate(), want)
	}
	require.NoError(t, (&distCmd{OS: "windows"}).Validate())
}

func TestLicencesMustBeThere(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{"code.go": ""})
	files := map[string]string{}
	assert.ErrorContains(t, licencesIn(files, dir, "module"), "has no licence file")
	writeFiles(t, dir, map[string]string{"LICENSE.md": ""})
	require.NoError(t, licencesIn(files, dir, "example.org/module"))
	assert.Contains(t, files, "licenses/example.org/module/LICENSE.md")
}
