package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDeb(t *testing.T) {
	if need("dpkg-deb") != nil || need("dpkg-shlibdeps") != nil {
		t.Skip("needs dpkg-deb and dpkg-shlibdeps")
	}
	program, err := exec.LookPath("true")
	require.NoError(t, err)
	content, err := os.ReadFile(program)
	require.NoError(t, err)
	members := []member{{name: "bin/a", content: content, program: true},
		{name: "bin/module.so", link: "../lib/module.so"}, {name: "README.md", content: []byte("a")}}
	a := &app{ctx: t.Context()}
	made := func() string {
		file, err := a.deb(t.TempDir(), "a-1.2.3", "1.2.3", here, members, time.Unix(1700000000, 0))
		require.NoError(t, err)
		return file
	}
	file := made()
	umask := syscall.Umask(0o077)
	defer syscall.Umask(umask)
	again := made()
	assert.Equal(t, read(t, file), read(t, again), "the same bytes, whatever the umask")
	for field, want := range map[string]string{"Package": "^retroattn\n", "Version": "^1.2.3\n",
		"Architecture": "^" + here.arch + "\n", "Depends": `\blibc6\b`} {
		out, err := exec.Command("dpkg-deb", "-f", file, field).Output()
		require.NoError(t, err)
		assert.Regexp(t, want, string(out), field)
	}
	root := t.TempDir()
	require.NoError(t, exec.Command("dpkg-deb", "-x", file, root).Run())
	require.NoError(t, exec.Command(filepath.Join(root, "usr/bin/a")).Run(), "by its link")
	assert.NoFileExists(t, filepath.Join(root, "usr/bin/module.so"))
	link, err := os.Readlink(filepath.Join(root, debFolder, "bin/module.so"))
	require.NoError(t, err)
	assert.Equal(t, "../lib/module.so", link)
	assert.Equal(t, "a", read(t, root, debFolder, "README.md"))
}
