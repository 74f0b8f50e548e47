package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTargetOf(t *testing.T) {
	for _, c := range []struct {
		system, arch string
		want         target
	}{{"", "", here}, {here.system, "", here}, {"windows", "", windows},
		{"windows", "amd64", windows}, {"linux", "arm64", target{"linux", "arm64"}}} {
		g, err := targetOf(c.system, c.arch)
		require.NoError(t, err)
		assert.Equal(t, c.want, g)
	}
	assert.ErrorContains(t, (&testCmd{OS: "windows", Match: "TestPage"}).Validate(),
		"--run TestPage for windows-amd64")
	_, err := targetOf("windows", "arm64")
	assert.ErrorContains(t, err, "--os windows --arch arm64: must be")
}

// What a build of llama.cpp leaves in its folder on each system becomes an archive of the same
// form. On macOS nothing else here was run.
func TestArchiveOfEachSystem(t *testing.T) {
	root, err := filepath.Abs("..")
	require.NoError(t, err)
	a := &app{ctx: t.Context(), root: root}
	for _, c := range []struct {
		target
		built, want string
		soname      string
	}{
		{target{"linux", "amd64"}, "libllama.so libllama.so.0 libggml-cpu-zen4.so libllama-server-impl.so libllama-quantize-impl.so libretroattn.so.1",
			"lib/libllama.so lib/libllama.so.0 lib/libggml-cpu-zen4.so bin/libggml-cpu-zen4.so lib/libllama-server-impl.so",
			"libretroattn.so.1"},
		{target{"darwin", "arm64"}, "libllama.dylib libllama.0.dylib libggml-cpu-apple_m1.so libllama-server-impl.dylib libllama-quantize-impl.dylib libretroattn.dylib",
			"lib/libllama.dylib lib/libllama.0.dylib lib/libggml-cpu-apple_m1.so bin/libggml-cpu-apple_m1.so lib/libllama-server-impl.dylib",
			"@rpath/libretroattn.dylib"},
		{windows, "libllama.dll ggml-cpu.dll libllama-server-impl.dll libllama-quantize-impl.dll libretroattn.dll libgomp-1.dll",
			"bin/libllama.dll bin/ggml-cpu.dll bin/libllama-server-impl.dll bin/libgomp-1.dll",
			"libretroattn.dll"},
	} {
		t.Run(c.String(), func(t *testing.T) {
			n := native{target: c.target, source: t.TempDir(), dir: t.TempDir(), page: t.TempDir()}
			writeFiles(t, n.page, map[string]string{pageLicence: ""})
			writeFiles(t, n.source, map[string]string{"LICENSE": "", "licenses/LICENSE-json": "",
				"vendor/x/LICENSE": ""})
			for _, name := range strings.Fields(c.built) {
				writeFiles(t, n.bin(), map[string]string{name: ""})
			}
			for _, name := range distPrograms {
				writeFiles(t, n.bin(), map[string]string{c.program(name): ""})
			}
			for _, file := range programs(n, []string{libraryTarget, "llama-server"}) {
				assert.FileExists(t, file)
			}
			if c.target == windows && !exists("/usr/share/doc/mingw-w64-common/copyright") {
				t.Skip("needs the licences of Debian's mingw-w64: " + remedies["mingw"])
			}
			members, err := a.llamaMembers(n)
			require.NoError(t, err)
			var names []string
			for _, m := range members {
				if strings.HasPrefix(m.name, "bin/") || strings.HasPrefix(m.name, "lib/") {
					names = append(names, m.name)
				}
			}
			want := strings.Fields(c.want)
			for _, name := range distPrograms {
				want = append(want, "bin/"+c.program(name))
			}
			assert.ElementsMatch(t, want, names)

			name, _ := c.library()
			assert.True(t, c.isShared(name))
			assert.Equal(t, filepath.Base(c.soname), name)
			filled := string(a.template("retroattn-config.cmake", "lib/cmake", "1.2.3",
				c.target).content)
			assert.Contains(t, filled, "/"+c.libraryFolder()+"/"+name+`"`)
			assert.Contains(t, filled, `IMPORTED_SONAME "`+c.soname+`"`)
			if c.target != windows {
				assert.Contains(t, c.linkFlags("/root", "/to/lib"), "name,"+c.soname)
			}
		})
	}
}

// Where there is no /proc, as on macOS, sysctl names the processor, of whose kind a build is.
func TestProcessorWithoutProc(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{"sysctl": "#!/bin/sh\n[ \"$*\" = '-n machdep.cpu.brand_string' ] && echo Apple M9\n"})
	require.NoError(t, os.Chmod(filepath.Join(dir, "sysctl"), 0o755))
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	a := &app{ctx: t.Context()}
	assert.Equal(t, "Apple M9", a.processor(filepath.Join(dir, "none")))
	assert.NotContains(t, a.processor("/proc/cpuinfo"), "Apple M9")
}

// Each target but this machine's has compilers, and each remedy a text.
func TestCrossesHaveRemedies(t *testing.T) {
	for g, x := range crosses {
		assert.NotEmpty(t, remedies[x.remedy], g)
		assert.True(t, slices.ContainsFunc(x.cmake, func(flag string) bool {
			return strings.HasPrefix(flag, "-DCMAKE_SYSTEM_NAME=")
		}), g)
	}
	assert.NotEmpty(t, remedies["qemu"])
}
