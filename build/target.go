package main

import (
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// target is a system and a processor, as Go calls them.
type target struct{ system, arch string }

var (
	here       = target{runtime.GOOS, runtime.GOARCH}
	windows    = target{"windows", "amd64"}
	linuxARM64 = target{"linux", "arm64"}
)

// cross is what makes programs for another target than this machine's: Debian's compilers, with
// flags.
type cross struct {
	triple, kind string // of the compilers
	remedy       string // of remedies
	cmake        []string
	c, both      []string // flags for C, and for C++ too
	beside       []string // the compilers' own libraries, which programs need beside them
	licences     []string // Debian's packages of those
}

var crosses = map[target]cross{
	linuxARM64: {triple: "aarch64-linux-gnu", remedy: "arm64",
		cmake: []string{"-DCMAKE_SYSTEM_NAME=Linux", "-DCMAKE_SYSTEM_PROCESSOR=aarch64"}},
	{"linux", "amd64"}: {triple: "x86_64-linux-gnu", remedy: "amd64",
		cmake: []string{"-DCMAKE_SYSTEM_NAME=Linux", "-DCMAKE_SYSTEM_PROCESSOR=x86_64"}},
	// with the threads of POSIX, which std::thread needs
	windows: {triple: "x86_64-w64-mingw32", kind: "-posix", remedy: "mingw",
		cmake: []string{"-DCMAKE_SYSTEM_NAME=Windows", "-DCMAKE_SYSTEM_PROCESSOR=x86_64",
			"-DCMAKE_RC_COMPILER=x86_64-w64-mingw32-windres", "-DBUILD_SHARED_LIBS=ON"},
		// mingw-w64 before 11 lacks THREAD_POWER_THROTTLING_STATE, which ggml's C code uses from
		// Windows 8 on.
		c: []string{"-D_WIN32_WINNT=0x0601"},
		// gcc aligns stacks to 16 bytes only on Windows, which aligned moves of AVX fault on
		// (https://gcc.gnu.org/PR54412).
		both: []string{"-Wa,-muse-unaligned-vector-move"},
		beside: []string{"libgcc_s_seh-1.dll", "libstdc++-6.dll", "libgomp-1.dll",
			"libwinpthread-1.dll"},
		licences: []string{"gcc-mingw-w64-base", "mingw-w64-common"}},
}

func (x cross) cc() string  { return x.triple + "-gcc" + x.kind }
func (x cross) cxx() string { return x.triple + "-g++" + x.kind }

// targetOf is one that was asked for: what is left out is this machine's, and on Windows amd64.
func targetOf(system, arch string) (target, error) {
	g := target{firstOf(system, here.system), arch}
	if arch == "" && g.system == here.system {
		g.arch = here.arch
	} else if arch == "" {
		g.arch = windows.arch
	}
	if _, ok := crosses[g]; !ok && g != here {
		return target{}, fmt.Errorf("--os %s --arch %s: must be linux with amd64 or arm64, or windows with amd64, or leave both out for this machine",
			g.system, g.arch)
	}
	return g, nil
}

func (g target) String() string { return g.system + "-" + g.arch }

// program is the file name of a program.
func (g target) program(name string) string {
	if g.system == "windows" {
		return name + ".exe"
	}
	return name
}

// shared is the file name of a shared library that programs are linked with.
func (g target) shared(name string) string {
	switch g.system {
	case "windows":
		return "lib" + name + ".dll"
	case "darwin":
		return "lib" + name + ".dylib"
	}
	return "lib" + name + ".so"
}

// isShared tells whether a file of a build is a shared library or a module of ggml. CMake calls
// modules .so on macOS, too.
func (g target) isShared(file string) bool {
	if g.system == "windows" {
		return strings.HasSuffix(file, ".dll")
	}
	return strings.HasPrefix(file, "lib") &&
		(strings.Contains(file, ".so") || strings.HasSuffix(file, ".dylib"))
}

// library names the file of libretroattn and links to it.
func (g target) library() (name string, links []string) {
	if g.system == "linux" {
		return "libretroattn.so.1", []string{"libretroattn.so"}
	}
	return g.shared("retroattn"), nil
}

// importLibrary is what programs for Windows link with in the place of a DLL.
const importLibrary = "libretroattn.dll.a"

// libraryFolder is where libraries are: Windows looks for them beside the program.
func (g target) libraryFolder() string {
	if g.system == "windows" {
		return "bin"
	}
	return "lib"
}

// soname is what programs that are linked with the library look for.
func (g target) soname() string {
	name, _ := g.library()
	if g.system == "darwin" {
		name = "@rpath/" + name
	}
	return name
}

// movable lets programs and libraries find each other wherever their folder lies: in one folder, or
// in bin and lib.
func (g target) movable() []string {
	origin := "$ORIGIN"
	if g.system == "darwin" {
		origin = "@loader_path"
	}
	return []string{"-DCMAKE_BUILD_WITH_INSTALL_RPATH=ON",
		"-DCMAKE_INSTALL_RPATH=" + origin + ";" + origin + "/../lib"}
}

// levels are the flags for ggml's kernels that make one build do for all processors: a module for
// each step of the instruction set. Not so on Windows, since ggml looks for modules in the working
// directory, too: there it is for processors since 2013 (Intel) and 2015 (AMD).
func (g target) levels() []string {
	if g.system == "windows" {
		return []string{"-DGGML_NATIVE=OFF", "-DGGML_SSE42=ON", "-DGGML_AVX=ON",
			"-DGGML_AVX2=ON", "-DGGML_BMI2=ON", "-DGGML_FMA=ON", "-DGGML_F16C=ON"}
	}
	return []string{"-DGGML_NATIVE=OFF", "-DGGML_BACKEND_DL=ON", "-DGGML_CPU_ALL_VARIANTS=ON"}
}

// linkFlags leaves no symbols but ours in the library, and no trace of the folder it was built in;
// what the loader fills in is read-only afterwards. On Windows Go itself exports nothing else, and
// no table is writable.
func (g target) linkFlags(root, to string) string {
	// The inner quotes let the checkout lie in a folder with spaces.
	external := "'-Wl,--version-script=" + filepath.Join(root, "capi", "retroattn.map") +
		"' -Wl,-soname," + g.soname() + " -Wl,-z,relro,-z,now,-z,noexecstack"
	switch g.system {
	case "darwin":
		external = "-Wl,-install_name," + g.soname()
	case "windows":
		external = "'-Wl,--out-implib," + filepath.Join(filepath.Dir(to), importLibrary) + "'"
	}
	return `-s -w -buildid= -extldflags "` + external + `"`
}

// crossTools is the toolchain for another target.
func (a *app) crossTools(g target) (toolchain, error) {
	x := crosses[g]
	err := needBuildTools()
	for _, compiler := range []string{x.cc(), x.cxx()} {
		if err == nil {
			err = needCompiler(x.remedy, compiler)
		}
	}
	if err != nil {
		return toolchain{}, err
	}
	flags := slices.Concat(x.cmake, []string{"-DCMAKE_C_COMPILER=" + x.cc(),
		"-DCMAKE_CXX_COMPILER=" + x.cxx(), "-DCMAKE_FIND_ROOT_PATH=/usr/" + x.triple,
		"-DCMAKE_FIND_ROOT_PATH_MODE_PROGRAM=NEVER", "-DCMAKE_FIND_ROOT_PATH_MODE_LIBRARY=ONLY",
		"-DCMAKE_FIND_ROOT_PATH_MODE_INCLUDE=ONLY", "-DCMAKE_FIND_ROOT_PATH_MODE_PACKAGE=ONLY"})
	t, err := a.toolchainOf(g, flags, []string{x.cc(), x.cxx()}, "")
	t.c, t.both = x.c, x.both
	return t, err
}

// runtime puts the compilers' own libraries beside a build's programs.
func (a *app) runtime(n native) error {
	x := crosses[n.target]
	for _, name := range x.beside {
		from, err := output(command(a.ctx, "", x.cxx(), "-print-file-name="+name))
		if err != nil {
			return err
		}
		if err := copyFile(from, n.bin(name)); err != nil {
			return err
		}
	}
	return nil
}
