package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// Debian's compilers for Windows, with the threads of POSIX, which std::thread needs.
const (
	mingwCC  = "x86_64-w64-mingw32-gcc-posix"
	mingwCXX = "x86_64-w64-mingw32-g++-posix"
)

var windows = target{"windows", "amd64"}

// windowsISA is for processors since 2013 (Intel) and 2015 (AMD). A cross-build of ggml has none of
// it unless told.
var windowsISA = []string{"-DGGML_SSE42=ON", "-DGGML_AVX=ON", "-DGGML_AVX2=ON", "-DGGML_BMI2=ON",
	"-DGGML_FMA=ON", "-DGGML_F16C=ON"}

// windowsTools is the toolchain for Windows.
func (a *app) windowsTools() (toolchain, error) {
	err := errors.Join(needBuildTools(), needCompiler("mingw", mingwCC),
		needCompiler("mingw", mingwCXX))
	if err != nil {
		return toolchain{}, err
	}
	file := filepath.Join(a.root, "build", "mingw.cmake")
	text, err := os.ReadFile(file)
	if err != nil {
		return toolchain{}, err
	}
	flags := append([]string{"-DCMAKE_TOOLCHAIN_FILE=" + file, "-DBUILD_SHARED_LIBS=ON",
		"-DGGML_NATIVE=OFF"}, windowsISA...)
	return a.toolchainOf(windows, flags, []string{mingwCC, mingwCXX}, string(text))
}

// windowsPatched builds the programs for Windows, with the library and the compilers' beside them.
func (a *app) windowsPatched(t toolchain) (native, error) {
	n, err := a.native(t, variant{"patched", "Building the patched llama.cpp for Windows", true,
		noFlags, distPrograms})
	if err == nil {
		err = a.mingwRuntime(n)
	}
	if err == nil {
		_, err = a.library(t)
	}
	return n, err
}

// windowsStock builds stock libllama for Windows.
func (a *app) windowsStock(t toolchain) (native, error) {
	n, err := a.native(t, variant{"stock", "Building stock libllama for Windows", false, noFlags,
		[]string{libraryTarget}})
	if err == nil {
		err = a.mingwRuntime(n)
	}
	return n, err
}

func noFlags(native) []string { return nil }

// mingwRuntime puts gcc's own libraries beside a build's.
func (a *app) mingwRuntime(n native) error {
	for _, name := range []string{"libgcc_s_seh-1.dll", "libstdc++-6.dll", "libgomp-1.dll",
		"libwinpthread-1.dll"} {
		from, err := output(command(a.ctx, "", mingwCXX, "-print-file-name="+name))
		if err != nil {
			return err
		}
		if err := copyFile(from, n.bin(name)); err != nil {
			return err
		}
	}
	return nil
}

// wine prepares Wine's folder, in which Go's runtime must find what Wine 8 lacks, and returns where
// it is.
func (a *app) wine() (string, error) {
	if err := errors.Join(need("wine"), needCompiler("mingw", mingwCC)); err != nil {
		return "", err
	}
	version, err := output(command(a.ctx, "", "wine", "--version"))
	if err != nil {
		return "", err
	}
	prefix := a.cache.path("wine")
	random := filepath.Join(prefix, "drive_c", "windows", "system32", "bcryptprimitives.dll")
	return prefix, a.cache.ensure(product{name: "wine", made: version, files: []string{random},
		make: func() error {
			boot := command(a.ctx, "", "wine", "wineboot", "-i")
			boot.Env = append(os.Environ(), "WINEPREFIX="+prefix, "WINEDEBUG=-all")
			// Wine's server lives on for seconds and would keep a pipe to us open.
			if err := boot.Run(); err != nil {
				return fmt.Errorf("wine wineboot -i: %w", err)
			}
			if exists(random) {
				return nil
			}
			source := filepath.Join(a.root, "tests", "testdata", "bcryptprimitives.c")
			_, err := output(command(a.ctx, "", mingwCC, "-shared", "-o", random, source,
				"-ladvapi32"))
			return err
		}})
}

// wineEnvironment adds where Wine's folder is, if Wine and the compilers are here.
func (a *app) wineEnvironment(env []string) ([]string, error) {
	if runtime.GOOS != "linux" || need("wine") != nil || needCompiler("mingw", mingwCC) != nil {
		return env, nil // the tests say what they lack
	}
	prefix, err := a.wine()
	return append(env, "RETRO_WINE="+prefix), err
}

// windowsTests runs llama.cpp's programs, and what is beside them, by Wine.
func (cmd testCmd) windowsTests(a *app, t *tally) error {
	tools, err := a.windowsTools()
	if err != nil {
		return err
	}
	patched, err := a.windowsPatched(tools)
	if err != nil {
		return err
	}
	stock, err := a.windowsStock(tools)
	if err != nil {
		return err
	}
	prefix, err := a.wine()
	if err != nil {
		return err
	}
	model, err := a.defaultModel()
	if err != nil {
		return err
	}
	env := []string{"RETRO_WINE=" + prefix, "RETRO_WINDOWS_DIR=" + patched.bin(),
		"RETRO_WINDOWS_STOCK_DIR=" + stock.bin(), "RETRO_MODEL=" + model}
	return cmd.goTest("windows", env, "-count=1", "-timeout", "1h", "-run", "Windows",
		"./tests/library", "./tests/llama", "./tests/server", "./tests/install")(a, t)
}
