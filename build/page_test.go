package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// npmScript does what npm does for the page: "ci" brings packages, "run" builds the page of them.
// Their paths come second.
const npmScript = `#!/bin/sh
cd "$2" || exit 1
echo "$3" >>"$CALLS"
case $3 in
ci)
	mkdir -p node_modules/playwright-core node_modules/@a/b node_modules/workbox-core
	echo driver >node_modules/playwright-core/index.mjs
	echo '{"name":"@a/b","version":"1.2","license":"MIT"}' >node_modules/@a/b/package.json
	echo '{"name":"workbox-core","version":"7"}' >node_modules/workbox-core/package.json
	echo "Copyright W" >node_modules/workbox-core/LICENSE ;;
run)
	printf '%s/node_modules/@a/b\n%s/node_modules/@a/b\n' "$PWD" "$PWD" >packages.txt
	[ -f packages.config.ts ] && mkdir -p "$LLAMA_UI_OUT_DIR" &&
		cp app.svelte "$LLAMA_UI_OUT_DIR/index.html" ;;
esac
`

// pageProject is a project whose patches change a file of the page, and one of another folder.
func pageProject(t *testing.T) (a *app, s series, pristine string, said *strings.Builder) {
	t.Helper()
	said = &strings.Builder{}
	diff := func(file string) string {
		return "diff --git a/" + file + " b/" + file + "\n--- a/" + file + "\n+++ b/" + file +
			"\n@@ -1 +1 @@\n-old\n+new\n"
	}
	root, pristine := smallProject(t, map[string]string{"0001.patch": diff("src/c.cpp"),
		"0002.patch": diff("tools/ui/app.svelte")})
	writeFiles(t, pristine, map[string]string{"src/c.cpp": "old\n",
		"tools/ui/app.svelte": "old\n", "tools/ui/src/lib/vendors/v/LICENCE.md": "Vendored\n",
		"tools/ui/src/lib/vendors/package.json": "{}"})
	a = &app{ctx: t.Context(), root: root, out: said, cache: testCache(t.Context(), t, t.TempDir())}
	s, err := loadSeries(root)
	require.NoError(t, err)
	return a, s, pristine, said
}

// fakeNPM puts another npm before the real one; calls is what it was asked for.
func fakeNPM(t *testing.T, script string) (calls func() string) {
	t.Helper()
	bin, log := t.TempDir(), filepath.Join(t.TempDir(), "calls")
	require.NoError(t, os.WriteFile(filepath.Join(bin, "npm"), []byte(script), 0o755))
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	t.Setenv("CALLS", log)
	return func() string {
		text, _ := os.ReadFile(log)
		return string(text)
	}
}

// The page is built once of its patched sources, with the licences of what is in it, and is put
// where llama.cpp's build looks for it.
func TestPage(t *testing.T) {
	require.NoError(t, need("cmake"))
	calls := fakeNPM(t, npmScript)
	a, s, pristine, said := pageProject(t)
	dir, err := a.page(s, pristine)
	require.NoError(t, err)
	require.Empty(t, dir+calls()+said.String(), "nobody has wished for it")

	for _, a.wish = range []pageWish{pageIfPossible, pageNeeded, pageAsFound} {
		dir, err = a.page(s, pristine)
		require.NoError(t, err)
		require.Equal(t, "new\n", read(t, dir, "dist", "index.html"))
	}
	require.Equal(t, "ci\nrun\n", calls())
	require.Equal(t, "driver\n", read(t, dir, "playwright-core", "index.mjs"))
	require.Equal(t, "==== @a/b 1.2 (MIT)\n\n==== workbox-core 7\n\nCopyright W\n\n==== v vendored\n\nVendored\n\n",
		read(t, dir, pageLicence))
	var purls []string
	for _, c := range pageModules(read(t, dir, pageLicence)) {
		purls = append(purls, c.Name+" "+c.PackageURL)
	}
	require.Equal(t, []string{"@a/b pkg:npm/%40a/b@1.2", "workbox-core pkg:npm/workbox-core@7",
		"v "}, purls)

	n := native{source: t.TempDir(), page: dir}
	writeFiles(t, n.source, map[string]string{"tools/ui/app.svelte": ""})
	for range 2 {
		require.NoError(t, n.usePage())
		require.Equal(t, "new\n", read(t, n.source, "tools/ui/dist/index.html"))
	}
	n.page = ""
	require.NoError(t, n.usePage())
	require.NoFileExists(t, filepath.Join(n.source, "tools/ui/dist"))
	require.FileExists(t, filepath.Join(dir, "dist", "index.html"))
}

// Its place in the cache depends on what it is made from, and on nothing else.
func TestPageKey(t *testing.T) {
	a, s, _, _ := pageProject(t)
	key := func(tree string) string {
		k, err := s.pageKey(tree)
		require.NoError(t, err)
		return k
	}
	before := key("tree")
	assert.NotEqual(t, before, key("other"))
	other := filepath.Join(a.root, "patches", "0001.patch")
	require.NoError(t, os.WriteFile(other, []byte(patchOne), 0o644))
	assert.Equal(t, before, key("tree"))
	ui := filepath.Join(a.root, "patches", "0002.patch")
	require.NoError(t, os.WriteFile(ui, []byte(strings.ReplaceAll(read(t, ui), "+new", "+newer")),
		0o644))
	assert.NotEqual(t, before, key("tree"))
}

// Where the page cannot be built, the server goes without it and one sentence says why; an archive
// fails.
func TestPageWithoutNPM(t *testing.T) {
	a, s, pristine, said := pageProject(t)
	t.Setenv("PATH", gitOnly(t))
	a.wish = pageIfPossible
	dir, err := a.page(s, pristine)
	require.NoError(t, err)
	require.Empty(t, dir)
	require.Contains(t, said.String(), "llama-server is built without its web page: npm was not found on PATH: install")
	a.wish = pageNeeded
	_, err = a.page(s, pristine)
	require.ErrorContains(t, err, "npm was not found")

	fakeNPM(t, "#!/bin/sh\necho 'vite wants a newer Node.js' >&2; exit 1\n")
	_, err = a.page(s, pristine)
	require.ErrorContains(t, err, "vite wants a newer Node.js")
}

// gitOnly is a PATH with git and the shell.
func gitOnly(t *testing.T) string {
	bin := t.TempDir()
	for _, name := range []string{"git", "sh"} {
		path, err := exec.LookPath(name)
		require.NoError(t, err)
		require.NoError(t, os.Symlink(path, filepath.Join(bin, name)))
	}
	return bin
}

// A package in the page that tells no licence is an error.
func TestPageLicences(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{"none/package.json": `{"name":"none"}`,
		"bad/package.json": `{`, "old/package.json": `{"name":"old","license":{"type":"ISC"}}`})
	_, err := licenceText(filepath.Join(dir, "none"))
	require.ErrorContains(t, err, "none has no licence")
	_, err = licenceText(filepath.Join(dir, "bad"))
	require.Error(t, err)
	text, err := licenceText(filepath.Join(dir, "old"))
	require.NoError(t, err)
	require.Contains(t, text, "old vendored (ISC)")
}
