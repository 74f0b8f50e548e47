package install

import (
	"archive/zip"
	"debug/elf"
	"debug/macho"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/tests/harness"
)

// dist runs "build dist" in a checkout and returns the archive.
func dist(t *testing.T, root string, args ...string) string {
	t.Helper()
	if !slices.Contains(args, "--library-only") {
		harness.Page(t)
	}
	out := t.TempDir()
	cmd := exec.Command("go", append([]string{"run", "./build", "dist", "--out", out}, args...)...)
	cmd.Dir, cmd.Env = root, append(os.Environ(), "SOURCE_DATE_EPOCH=1700000000")
	text, err := cmd.CombinedOutput()
	require.NoError(t, err, string(text))
	archives, err := filepath.Glob(filepath.Join(out, "*.tar.gz"))
	require.NoError(t, err)
	zips, err := filepath.Glob(filepath.Join(out, "*.zip"))
	require.NoError(t, err)
	archives = append(archives, zips...)
	require.Len(t, archives, 1)
	return archives[0]
}

// unpack returns the folder in an archive, unpacked to a path with a space and letters of two
// alphabets, and checked by its own sums.
func unpack(t *testing.T, archive string) string {
	t.Helper()
	dir := harness.OddFolder(t)
	name, isZip := strings.CutSuffix(filepath.Base(archive), ".zip")
	if isZip {
		z, err := zip.OpenReader(archive)
		require.NoError(t, err)
		require.NoError(t, os.CopyFS(dir, z))
		require.NoError(t, z.Close())
	} else {
		harness.Run(t, "tar", "-xzf", archive, "-C", dir)
	}
	prefix := filepath.Join(dir, strings.TrimSuffix(name, ".tar.gz"))
	checkSums(t, prefix, "SHA256SUMS")
	checkSums(t, filepath.Dir(archive), "SHA256SUMS")
	return prefix
}

// checkSums has a file of sums checked in a folder, where macOS has another program for it.
func checkSums(t *testing.T, dir, sums string) {
	t.Helper()
	if _, err := exec.LookPath("sha256sum"); err != nil {
		within(t, dir, "shasum", "-a", "256", "--quiet", "-c", sums)
		return
	}
	within(t, dir, "sha256sum", "--quiet", "-c", sums)
}

// within runs a command in a folder.
func within(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s %v: %s", name, args, out)
	return string(out)
}

// copyCheckout copies the checkout, but for what git and tools keep in it.
func copyCheckout(t *testing.T) string {
	to := t.TempDir()
	list, err := os.ReadDir("../..")
	require.NoError(t, err)
	for _, f := range list {
		from, to := filepath.Join("../..", f.Name()), filepath.Join(to, f.Name())
		switch {
		case strings.HasPrefix(f.Name(), "."):
		case f.IsDir():
			require.NoError(t, os.CopyFS(to, os.DirFS(from)))
		default:
			text, err := os.ReadFile(from)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(to, text, 0o644))
		}
	}
	return to
}

// The same source gives the same archive in every folder, and holds no trace of it.
func TestDistReproducible(t *testing.T) {
	harness.Compiler(t)
	here, err := filepath.Abs("../..")
	require.NoError(t, err)
	other := copyCheckout(t)
	a, b := dist(t, here, "--library-only"), dist(t, other, "--library-only")
	x, err := os.ReadFile(a)
	require.NoError(t, err)
	y, err := os.ReadFile(b)
	require.NoError(t, err)
	require.Equal(t, filepath.Base(a), filepath.Base(b))
	require.True(t, string(x) == string(y), "the archives differ")
	lib, err := os.ReadFile(filepath.Join(unpack(t, b), "lib", harness.Here.LibraryName()))
	require.NoError(t, err)
	require.NotContains(t, string(lib), other)
}

// A C program finds the library by pkg-config and by CMake, and decodes with a KV cache of its own.
func TestDistExample(t *testing.T) {
	cc := harness.Compiler(t)
	prefix := unpack(t, dist(t, "../..", "--library-only"))
	require.FileExists(t, filepath.Join(prefix, "LICENSE"))
	example := filepath.Join(prefix, "example/decode.c")
	exe := filepath.Join(t.TempDir(), "decode")

	t.Run("pkg-config", func(t *testing.T) {
		if _, err := exec.LookPath("pkg-config"); err != nil {
			t.Skip("needs pkg-config: install it")
		}
		cmd := exec.Command("sh", "-c", `eval "$CC" '"$@"' $(pkg-config --cflags --libs retroattn) -lm`, "sh",
			"-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", example, "-o", exe,
			"-Wl,-rpath,"+filepath.Join(prefix, "lib"))
		cmd.Env = append(os.Environ(), "CC="+cc.String(),
			"PKG_CONFIG_PATH="+filepath.Join(prefix, "lib/pkgconfig"))
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
		requireDecodes(t, harness.Run(t, exe))
	})
	t.Run("cmake", func(t *testing.T) {
		if _, err := exec.LookPath("cmake"); err != nil {
			t.Skip("needs cmake: install it")
		}
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "CMakeLists.txt"), []byte(`
cmake_minimum_required(VERSION 3.18)
project(host C)
find_package(retroattn 0.1 REQUIRED)
find_package(retroattn 9 QUIET)
if (retroattn_FOUND)
    message(FATAL_ERROR "version 9 was found")
endif()
add_executable(decode "${EXAMPLE}")
target_link_libraries(decode retroattn::retroattn m)
`), 0o644))
		harness.Run(t, "cmake", "-S", dir, "-B", filepath.Join(dir, "build"),
			"-DCMAKE_PREFIX_PATH="+prefix, "-DEXAMPLE="+example)
		harness.Run(t, "cmake", "--build", filepath.Join(dir, "build"))
		requireDecodes(t, harness.Run(t, filepath.Join(dir, "build/decode")))
	})
}

func requireDecodes(t *testing.T, out string) {
	t.Helper()
	t.Log(out)
	require.Contains(t, out, "300 of 300 tokens sparse")
	require.True(t, strings.HasSuffix(out, "\nok\n"), out)
}

// The archive for arm64 holds a library that works there, on an emulated processor.
func TestDistArm64(t *testing.T) {
	harness.Slow(t)
	x := harness.Arm64
	x.Need(t)
	prefix := unpack(t, dist(t, "../..", "--library-only", "--arch", "arm64"))
	exe := filepath.Join(t.TempDir(), "decode")
	harness.Run(t, x.CC, "-std=c11", "-O2", "-Wall", "-Wextra", "-Werror",
		"-I"+filepath.Join(prefix, "include"), filepath.Join(prefix, "example/decode.c"), "-o", exe,
		"-L"+filepath.Join(prefix, "lib"), "-lretroattn", "-lm",
		"-Wl,-rpath,"+filepath.Join(prefix, "lib"))
	// TestCABIArm64 has the others
	out, err := x.Command(exe).CombinedOutput()
	require.NoError(t, err, string(out))
	requireDecodes(t, string(out))
	require.Contains(t, string(out), "(dotprod)")
}

// portable says that the archive for all processors is to be tested, which takes long to build.
func portable() bool { return os.Getenv("RETRO_LONG") != "" }

// An archive works wherever it is unpacked: llama.cpp's programs by themselves, and its libraries
// in a Go host.
func TestDistPrograms(t *testing.T) {
	harness.Slow(t)
	harness.Setting(t, "RETRO_PATCHED_DIR") // is built
	for _, kind := range []string{"native", "portable"} {
		t.Run(kind, func(t *testing.T) {
			args := []string{"--native"}
			if kind == "portable" {
				if !portable() {
					t.Skip("takes long to build: go run ./build test --long")
				}
				args = nil
			}
			prefix := unpack(t, dist(t, "../..", args...))
			requireMovable(t, prefix)
			if kind == "portable" {
				requireNoAMX(t, prefix)
			}
			for _, name := range []string{"llama-cli", "llama-server", "llama-bench"} {
				harness.Run(t, filepath.Join(prefix, "bin", name), "--help")
			}
			requirePage(t, filepath.Join(prefix, "bin"))
			prompt := filepath.Join(t.TempDir(), "prompt.txt")
			require.NoError(t, os.WriteFile(prompt, []byte(harness.LongPrompt(t)), 0o644))
			out := harness.Run(t, filepath.Join(prefix, "bin/llama-completion"), "-m",
				harness.Setting(t, "RETRO_MODEL"), "-t", "2", "-f", prompt, "-n", "8", "-c", "4096",
				"-no-cnv", "-st", "--temp", "0", "--retro-budget", "128", "--retro-window", "2",
				"--retro-period", "1", "--retro-min-ctx", "256")
			m := harness.SparseLine.FindStringSubmatch(out)
			require.NotNil(t, m, out)
			require.Equal(t, m[1], m[2], "all tokens are sparse")

			chat := harness.ChatProgram(t, filepath.Join(prefix, "lib"), "-n", "24", "--retro",
				"min_ctx=16,budget=16,local=16,window=1")
			chat.Stdin = strings.NewReader(strings.Repeat("Paris is the capital of France. ", 20) +
				"What is the capital of France?\n")
			text, err := chat.CombinedOutput()
			require.NoError(t, err, string(text))
			require.Regexp(t, `[1-9]\d* of \d+ tokens sparse`, string(text))
		})
	}
}

// requirePage checks that the llama-server of a folder has its web page.
func requirePage(t *testing.T, dir string) {
	r, err := http.Get(harness.StartServerOf(t, dir, 1).URL)
	require.NoError(t, err)
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, r.StatusCode)
	require.Contains(t, string(text), "_app/immutable/bundle")
}

// requireMovable checks that no program or library looks for others at a fixed place.
func requireMovable(t *testing.T, prefix string) {
	files, err := filepath.Glob(filepath.Join(prefix, "*/*"))
	require.NoError(t, err)
	found := 0
	for _, name := range files {
		for _, path := range searchPaths(t, name) {
			require.Regexp(t, `^(\$ORIGIN|@loader_path)(/\.\./lib)?$`, path, name)
			found++
		}
	}
	require.Greater(t, found, 8)
}

// searchPaths are the folders in which a program or library, if it is one, has others looked for.
func searchPaths(t *testing.T, name string) (paths []string) {
	if file, err := elf.Open(name); err == nil {
		defer file.Close()
		for _, tag := range []elf.DynTag{elf.DT_RPATH, elf.DT_RUNPATH} {
			lists, err := file.DynString(tag)
			require.NoError(t, err)
			for _, list := range lists {
				paths = append(paths, strings.Split(list, ":")...)
			}
		}
	}
	if file, err := macho.Open(name); err == nil {
		defer file.Close()
		for _, load := range file.Loads {
			if path, ok := load.(*macho.Rpath); ok {
				paths = append(paths, path.Path)
			}
		}
	}
	return paths
}

// requireNoAMX checks that the module for processors with AMX does not use it, which would end the
// process.
func requireNoAMX(t *testing.T, prefix string) {
	if runtime.GOARCH != "amd64" {
		return
	}
	module, err := os.ReadFile(filepath.Join(prefix, "lib/libggml-cpu-sapphirerapids.so"))
	require.NoError(t, err)
	require.NotContains(t, string(module), "AMX is not ready")
}

// The patches of an archive go onto a llama.cpp checkout by one command, which has the CMake option
// then.
func TestDistPatches(t *testing.T) {
	harness.Slow(t)
	source := harness.Setting(t, "RETRO_SOURCE")
	patched := filepath.Join(harness.Setting(t, "RETRO_PATCHED_DIR"), "../../source")
	prefix := unpack(t, dist(t, "../..", "--native"))
	checkout := filepath.Join(t.TempDir(), "llama.cpp")
	require.NoError(t, os.CopyFS(checkout, os.DirFS(source)))
	apply := filepath.Join(prefix, "patches/apply.sh")
	harness.Run(t, apply, checkout)
	harness.Run(t, "diff", "-rq", "-x", ".retroattn-touched", "-x", "dist", checkout, patched)
	out, err := exec.Command(apply, checkout).CombinedOutput()
	require.Error(t, err, "a second time nothing fits")
	require.Contains(t, string(out), "without these patches")
	out, err = exec.Command(apply, t.TempDir()).CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "has no include/llama.h")

	for value, defined := range map[string]bool{"ON": true, "OFF": false} {
		dir := filepath.Join(t.TempDir(), value)
		harness.Run(t, "cmake", "-S", checkout, "-B", dir, "-DLLAMA_RETRO_ATTN="+value,
			"-DLLAMA_OPENSSL=OFF", "-DLLAMA_BUILD_UI=OFF", "-DLLAMA_USE_PREBUILT_UI=OFF",
			"-DLLAMA_BUILD_TESTS=OFF", "-DLLAMA_BUILD_EXAMPLES=OFF")
		commands, err := os.ReadFile(filepath.Join(dir, "compile_commands.json"))
		require.NoError(t, err)
		require.Equal(t, defined, strings.Contains(string(commands), "-DLLAMA_USE_RETRO_ATTN"))
		if portable() && !defined {
			requireWithout(t, dir)
		}
	}
}

// requireWithout builds llama.cpp with the option off, which says so when it is asked for the
// feature.
func requireWithout(t *testing.T, dir string) {
	harness.Run(t, "cmake", "--build", dir, "--target", "llama", "-j", "2")
	require.NoError(t, os.Symlink(harness.Library(t), filepath.Join(dir, "bin", harness.Here.LibraryName())))
	out, err := harness.ChatProgram(t, filepath.Join(dir, "bin"), "--retro", "").CombinedOutput()
	require.Error(t, err, string(out))
	require.Contains(t, string(out), "see the CMake option LLAMA_RETRO_ATTN")
}
