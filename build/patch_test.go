package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The second patch builds upon the first, as the patches of a series do.
const (
	patchOne = `Subject: a commit message
---
diff --git a/src/a.cpp b/src/a.cpp
--- a/src/a.cpp
+++ b/src/a.cpp
@@ -1,2 +1,2 @@
-int a;
+int aa;
 int z;
diff --git a/src/new.cpp b/src/new.cpp
new file mode 100644
--- /dev/null
+++ b/src/new.cpp
@@ -0,0 +1 @@
+int n;
`
	patchTwo = `diff --git a/src/a.cpp b/src/a.cpp
--- a/src/a.cpp
+++ b/src/a.cpp
@@ -1,2 +1,2 @@
-int aa;
+int aaa;
 int z;
`
)

// smallProject is a checkout of ours with the given patches, and a llama.cpp of three files.
func smallProject(t *testing.T, patches map[string]string) (root, pristine string) {
	t.Helper()
	root, pristine = t.TempDir(), t.TempDir()
	writeFiles(t, root, map[string]string{"capi/retroattn.h": "/* header */\n"})
	for name, text := range patches {
		writeFiles(t, root, map[string]string{"patches/" + name: text})
	}
	writeFiles(t, pristine, map[string]string{"src/a.cpp": "int a;\nint z;\n",
		"src/b.cpp": "int b;\n", "include/llama.h": "\n"})
	return root, pristine
}

func read(t *testing.T, elements ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(elements...))
	require.NoError(t, err)
	return string(text)
}

func refresh(t *testing.T, root, pristine, work string) error {
	t.Helper()
	s, err := loadSeries(root)
	require.NoError(t, err)
	return s.refresh(t.Context(), pristine, work, t.TempDir())
}

func TestRefreshWritesOnlyWhatChanges(t *testing.T) {
	root, pristine := smallProject(t, map[string]string{"0001-one.patch": patchOne,
		"0002-two.patch": patchTwo})
	work := filepath.Join(t.TempDir(), "work")
	require.NoError(t, refresh(t, root, pristine, work))
	assert.Equal(t, "int aaa;\nint z;\n", read(t, work, "src/a.cpp"))
	assert.Equal(t, "int n;\n", read(t, work, "src/new.cpp"))
	assert.Equal(t, "/* header */\n", read(t, work, headerTarget))
	assert.Equal(t, "int a;\nint z;\n", read(t, pristine, "src/a.cpp"))

	long := time.Now().Add(-time.Hour)
	for _, name := range []string{"src/a.cpp", "src/b.cpp", "src/new.cpp", headerTarget} {
		require.NoError(t, os.Chtimes(filepath.Join(work, name), long, long))
	}
	require.NoError(t, os.Remove(filepath.Join(root, "patches", "0002-two.patch")))
	require.NoError(t, refresh(t, root, pristine, work))
	assert.Equal(t, "int aa;\nint z;\n", read(t, work, "src/a.cpp"))
	for name, touched := range map[string]bool{"src/a.cpp": true, "src/b.cpp": false,
		"src/new.cpp": false, headerTarget: false} {
		info, err := os.Stat(filepath.Join(work, name))
		require.NoError(t, err)
		assert.Equal(t, touched, time.Since(info.ModTime()) < 30*time.Minute, name)
	}

	require.NoError(t, os.Remove(filepath.Join(root, "patches", "0001-one.patch")))
	require.NoError(t, refresh(t, root, pristine, work))
	assert.Equal(t, "int a;\nint z;\n", read(t, work, "src/a.cpp"))
	assert.NoFileExists(t, filepath.Join(work, "src/new.cpp"))
	assert.NoFileExists(t, filepath.Join(work, headerTarget))
}

func TestRefreshNamesTheFailingPatch(t *testing.T) {
	root, pristine := smallProject(t, map[string]string{"0001-one.patch": patchOne,
		"0002-two.patch": patchOne})
	work := filepath.Join(t.TempDir(), "work")
	assert.ErrorContains(t, refresh(t, root, pristine, work), "0002-two.patch does not apply")
	assert.Equal(t, "int a;\nint z;\n", read(t, work, "src/a.cpp"))
}

// git, left to itself, skips every patch silently where the folder lies inside some other
// repository.
func TestApplyInsideAnotherRepository(t *testing.T) {
	root, pristine := smallProject(t, map[string]string{"0001-one.patch": patchOne})
	outer := t.TempDir()
	runGit(t, outer, "init", "-q")
	s, err := loadSeries(root)
	require.NoError(t, err)
	result := filepath.Join(outer, "deep", "result")
	require.NoError(t, s.apply(t.Context(), pristine, result))
	assert.Equal(t, "int aa;\nint z;\n", read(t, result, "src/a.cpp"))
}

func TestSeriesHashCoversHeaderAndPatches(t *testing.T) {
	root, _ := smallProject(t, map[string]string{"0001-one.patch": patchOne})
	hashes := map[string]bool{}
	record := func() {
		s, err := loadSeries(root)
		require.NoError(t, err)
		hashes[s.hash] = true
	}
	record()
	writeFiles(t, root, map[string]string{"capi/retroattn.h": "/* new */\n"})
	record()
	writeFiles(t, root, map[string]string{"patches/0001-one.patch": strings.Replace(patchOne,
		"int n", "int m", 1)})
	record()
	assert.Len(t, hashes, 3)
}

func TestNoPatchesNoChange(t *testing.T) {
	root, _ := smallProject(t, nil)
	s, err := loadSeries(root)
	require.NoError(t, err)
	assert.Empty(t, s.touched)
}

func TestPatchCheckout(t *testing.T) {
	root, checkout := smallProject(t, map[string]string{"0001-one.patch": patchOne,
		"0002-two.patch": patchTwo})
	s, err := loadSeries(root)
	require.NoError(t, err)
	applied, err := patchCheckout(t.Context(), s, checkout)
	require.NoError(t, err)
	assert.True(t, applied)
	assert.Equal(t, "int aaa;\nint z;\n", read(t, checkout, "src/a.cpp"))
	assert.Equal(t, "/* header */\n", read(t, checkout, headerTarget))

	applied, err = patchCheckout(t.Context(), s, checkout)
	require.NoError(t, err)
	assert.False(t, applied, "a second time there is nothing to do")

	writeFiles(t, checkout, map[string]string{"src/a.cpp": "int other;\n"})
	require.NoError(t, os.Remove(filepath.Join(checkout, "src/new.cpp")))
	_, err = patchCheckout(t.Context(), s, checkout)
	require.ErrorContains(t, err, "0001-one.patch does not apply")
	assert.NoFileExists(t, filepath.Join(checkout, "src/new.cpp"), "nothing is half applied")
}

// Of upstream's tests those of ggml's operators are left out: only its scheduler is patched.
func TestPatchesLeaveOperators(t *testing.T) {
	s, err := loadSeries("..")
	require.NoError(t, err)
	require.NotEmpty(t, s.touched)
	for _, name := range s.touched {
		if strings.HasPrefix(name, "ggml/") {
			require.Contains(t, name, "/ggml-backend.")
		}
	}
}
