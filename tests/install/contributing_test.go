package install

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/tests/harness"
)

// section is a part of CONTRIBUTING.md, and shown are its indented lines.
func section(t *testing.T, title string) (text string, shown []string) {
	t.Helper()
	all, err := os.ReadFile("../../CONTRIBUTING.md")
	require.NoError(t, err)
	_, rest, ok := strings.Cut(string(all), "\n## "+title+"\n")
	require.True(t, ok, "CONTRIBUTING.md has no section %s", title)
	text, _, _ = strings.Cut(rest, "\n## ")
	for line := range strings.Lines(text) {
		if command, ok := strings.CutPrefix(line, "    "); ok {
			shown = append(shown, strings.TrimSpace(command))
		}
	}
	return text, shown
}

// upstream is a git checkout of the files that the patches change, in place of all of llama.cpp.
func upstream(t *testing.T) string {
	t.Helper()
	dir := touched(t)
	shell(t, dir, "git init -q && git add -A -f && git commit -q -m llama.cpp && git tag v0.5.0")
	return dir
}

// shell runs commands as somebody who types them, with an editor that changes nothing.
func shell(t *testing.T, dir, script string) string {
	t.Helper()
	cmd := exec.Command("sh", "-ec", script)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "GIT_SEQUENCE_EDITOR=true", "GIT_EDITOR=true",
		"GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=a",
		"GIT_AUTHOR_EMAIL=a@invalid", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@invalid")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s\n%s", script, out)
	return string(out)
}

func patchesIn(t *testing.T, root string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "patches", "*.patch"))
	require.NoError(t, err)
	all := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		all[filepath.Base(file)] = string(text)
	}
	return all
}

// The commands of "Changing the patches", literally: they change the patch that they are meant to
// and no other, and without a change none at all.
func TestContributingPatches(t *testing.T) {
	harness.Slow(t)
	_, shown := section(t, "Changing the patches")
	require.Len(t, shown, 4)
	require.Contains(t, shown[1], "# change")
	before := patchesIn(t, "../..")
	second := fmt.Sprintf("HEAD~%d", len(before)-2)
	root := copyCheckout(t)
	run := func(checkout string, lines ...string) {
		script := strings.ReplaceAll(strings.Join(lines, "\n"), "PATH/", root+"/")
		shell(t, checkout, strings.ReplaceAll(script, "COMMIT", second))
	}
	checkout := upstream(t)
	run(checkout, shown[0])
	run(checkout, shown[3])
	require.Equal(t, before, patchesIn(t, root), "nothing was changed")

	file := shell(t, checkout, "git diff --name-only --diff-filter=M "+second+"~ "+second)
	file, _, _ = strings.Cut(file, "\n")
	shown[1] = "echo '// changed' >> " + file + " && git add " + file
	run(checkout, shown[1:]...)
	after := patchesIn(t, root)
	var changed []string
	for name, text := range after {
		if text != before[name] {
			changed = append(changed, name)
			require.Contains(t, text, "+// changed")
		}
	}
	require.Len(t, after, len(before))
	require.Len(t, changed, 1)
	require.Regexp(t, "^0002-", changed[0])
}

// The tree that is pinned is found in the way that is told.
func TestContributingPins(t *testing.T) {
	harness.Slow(t)
	text, _ := section(t, "Moving to another llama.cpp")
	command := regexp.MustCompile("`(git rev-parse TAG[^`]*)`").FindStringSubmatch(text)
	require.NotNil(t, command)
	pinned, err := os.ReadFile("../../third_party/pins.json")
	require.NoError(t, err)
	var pins struct {
		Llama struct{ Version, Tree string }
	}
	require.NoError(t, json.Unmarshal(pinned, &pins))
	dir := t.TempDir()
	shell(t, dir, "git init -q && git --work-tree='"+harness.Setting(t, "RETRO_SOURCE")+
		"' add -A -f && git commit -q -m llama.cpp && git tag "+pins.Llama.Version)
	tree := shell(t, dir, strings.ReplaceAll(command[1], "TAG", pins.Llama.Version))
	require.Equal(t, pins.Llama.Tree, strings.TrimSpace(tree))
}

// What takes long is at least there: packages that are named exist.
func TestContributingPackages(t *testing.T) {
	all, err := os.ReadFile("../../CONTRIBUTING.md")
	require.NoError(t, err)
	found := regexp.MustCompile(`go (?:test|run|generate)((?: \./[a-z/.]+)+)`).FindAllStringSubmatch(
		string(all), -1)
	require.Greater(t, len(found), 8)
	packages := map[string]bool{}
	for _, m := range found {
		for _, name := range strings.Fields(m[1]) {
			packages[strings.TrimRight(name, ".")] = true
		}
	}
	require.Greater(t, len(packages), 3)
	for name := range packages {
		within(t, "../..", "go", "list", strings.TrimSuffix(name, "/")+"/...")
	}
}

// rebase runs "build rebase" on a llama.cpp, and returns what it says and whether all applies.
func rebase(t *testing.T, root, to string, args ...string) (string, bool) {
	t.Helper()
	cmd := exec.Command("go", append([]string{"run", "./build", "rebase", "--to", to}, args...)...)
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	t.Log(string(out))
	return string(out), err == nil
}

// Another llama.cpp is told apart: where files have grown, the patches move along; where a name
// has changed, the hunks around it are named, and what to do.
func TestRebaseChangedTree(t *testing.T) {
	harness.Slow(t)
	root, tree := copyCheckout(t), touched(t)
	change(t, tree, func(name, text string) string {
		if startsAtTop(t, tree, name) { // and nowhere else
			return text
		}
		return strings.Repeat("// new upstream\n", 7) + text
	})
	out, ok := rebase(t, root, tree, "--write")
	require.True(t, ok)
	count := regexp.MustCompile(`(\d+) hunks, (\d+) apply at other lines, 0 do not apply\.`)
	m := count.FindStringSubmatch(out)
	require.NotNil(t, m)
	require.NotEqual(t, "0", m[2])
	out, ok = rebase(t, root, tree)
	require.True(t, ok)
	require.Contains(t, out, m[1]+" hunks, 0 apply at other lines, 0 do not apply.")

	renamed := ""
	change(t, tree, func(name, text string) string {
		if !strings.HasSuffix(name, "llama-kv-cache.cpp") {
			return text
		}
		renamed = name
		return strings.ReplaceAll(text, "states.rbegin()", "saved.rbegin()")
	})
	require.NotEmpty(t, renamed)
	written := patchesIn(t, root)
	out, ok = rebase(t, root, tree, "--write")
	require.False(t, ok)
	require.Regexp(t, `(?m)^0001-.*\.patch\n  src/llama-kv-cache\.cpp:\d+  @@ -\d+`, out)
	require.Regexp(t, `[1-9]\d* do not apply\.\nNothing was written\.\n.*git am --3way `, out)
	require.Equal(t, written, patchesIn(t, root))
}

// touched are the files of llama.cpp that the patches change.
func touched(t *testing.T) string {
	t.Helper()
	source, dir := harness.Setting(t, "RETRO_SOURCE"), t.TempDir()
	names := regexp.MustCompile(`(?m)^diff --git a/(\S+) b/`)
	for _, patch := range patchesIn(t, "../..") {
		for _, m := range names.FindAllStringSubmatch(patch, -1) {
			text, err := os.ReadFile(filepath.Join(source, m[1]))
			if os.IsNotExist(err) {
				continue // the patch makes it
			}
			require.NoError(t, err)
			to := filepath.Join(dir, m[1])
			require.NoError(t, os.MkdirAll(filepath.Dir(to), 0o755))
			require.NoError(t, os.WriteFile(to, text, 0o644))
		}
	}
	return dir
}

// startsAtTop tells whether a patch changes a file from its first line on.
func startsAtTop(t *testing.T, tree, file string) bool {
	t.Helper()
	name, err := filepath.Rel(tree, file)
	require.NoError(t, err)
	at := regexp.MustCompile(`(?m)^\+\+\+ b/` + regexp.QuoteMeta(name) + `\n@@ -1,`)
	for _, patch := range patchesIn(t, "../..") {
		if at.MatchString(patch) {
			return true
		}
	}
	return false
}

func change(t *testing.T, dir string, edit func(name, text string) string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(file string, f os.DirEntry, err error) error {
		if err != nil || f.IsDir() {
			return err
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		return os.WriteFile(file, []byte(edit(file, string(text))), 0o644)
	}))
}
