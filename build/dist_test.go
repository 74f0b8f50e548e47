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
		{name: "lib/liba.so", link: "liba.so.1"},
		{name: "bin/a", content: []byte("program"), program: true},
	}
	members = append(members, checksums(members))
	when := time.Unix(1700000000, 0)
	first, err := writeArchive(t.TempDir(), "a-1.0", members, when)
	require.NoError(t, err)
	slices.Reverse(members)
	second, err := writeArchive(t.TempDir(), "a-1.0", members, when.UTC())
	require.NoError(t, err)
	assert.Equal(t, read(t, first), read(t, second))
	assert.Equal(t, read(t, first+".sha256"), read(t, second+".sha256"))
	third, err := writeArchive(t.TempDir(), "a-1.0", members, when.Add(time.Second))
	require.NoError(t, err)
	assert.NotEqual(t, read(t, first), read(t, third))

	var sums string
	for _, m := range members {
		if m.name == "SHA256SUMS" {
			sums = string(m.content)
		}
	}
	assert.Regexp(t, `^[0-9a-f]{64}  bin/a\n[0-9a-f]{64}  lib/liba.so.1\n$`, sums, "sorted, without links")
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
	filled := a.template("retroattn-config-version.cmake", "lib/cmake", version)
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
		"leave --native out":     {Native: true, LibraryOnly: true},
		"add --library-only":     {Arch: "arm64"},
		"must be amd64 or arm64": {Arch: "mips", LibraryOnly: true},
	} {
		assert.ErrorContains(t, cmd.Validate(), want)
	}
	require.NoError(t, (&distCmd{Arch: "arm64", LibraryOnly: true}).Validate())
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
