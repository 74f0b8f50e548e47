package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// crossStock builds stock libllama for another target, with the level of ggml's kernels that the
// patched build chooses where it is tested: on an emulated arm64, that of a Cortex-A76.
func (a *app) crossStock(t toolchain) (native, error) {
	flags := []string{"-DGGML_NATIVE=OFF", "-DGGML_CPU_ARM_ARCH=armv8.2-a+dotprod+fp16"}
	if t.target == windows {
		flags = t.levels()
	}
	n, err := a.native(t, variant{name: "stock", title: "Building stock libllama for " + t.String(),
		flags: flags, targets: []string{libraryTarget}})
	if err == nil {
		err = a.runtime(n)
	}
	return n, err
}

// emulator prepares what runs a target's programs here, and tells the tests where it is.
func (a *app) emulator(g target) ([]string, error) {
	if g == windows {
		prefix, err := a.wine()
		return []string{"RETRO_WINE=" + prefix}, err
	}
	if g != linuxARM64 {
		return nil, fmt.Errorf("programs for %s are tested on such a machine only: leave --os and --arch out there",
			g)
	}
	qemu := findQemu()
	if qemu == "" {
		return nil, errors.New(remedies["qemu"])
	}
	return []string{"RETRO_QEMU=" + qemu}, nil
}

// findQemu is the emulator for arm64, if it is here.
func findQemu() string {
	for _, name := range []string{"qemu-aarch64-static", "qemu-aarch64"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// wine prepares Wine's folder, in which Go's runtime must find what Wine 8 lacks, and returns where
// it is.
func (a *app) wine() (string, error) {
	mingw := crosses[windows]
	if err := errors.Join(need("wine"), needCompiler(mingw.remedy, mingw.cc())); err != nil {
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
			_, err := output(command(a.ctx, "", mingw.cc(), "-shared", "-o", random, source,
				"-ladvapi32"))
			return err
		}})
}

// emulators adds what there is of them; where one lacks, the tests say so.
func (a *app) emulators(env []string) ([]string, error) {
	mingw := crosses[windows]
	if here.system != "linux" || need("wine") != nil ||
		needCompiler(mingw.remedy, mingw.cc()) != nil {
		return env, nil
	}
	more, err := a.emulator(windows)
	return append(env, more...), err
}

// crossStage runs llama.cpp's programs for another target, and what is beside them. Nothing of them
// is run on a system of that kind.
func (cmd testCmd) crossStage(g target) stage {
	return stage{name: g.String(), must: true, run: func(a *app, t *tally) error {
		tools, err := a.toolchain(g)
		if err != nil {
			return err
		}
		env, err := a.emulator(g)
		if err != nil {
			return err
		}
		patched, err := a.portable(tools)
		if err != nil {
			return err
		}
		if _, err := a.library(g, patched.bin()); err != nil {
			return err
		}
		stock, err := a.crossStock(tools)
		if err != nil {
			return err
		}
		model, err := a.defaultModel()
		if err != nil {
			return err
		}
		env = append(env, "RETRO_TARGET="+g.String(), "RETRO_TARGET_DIR="+patched.bin(),
			"RETRO_TARGET_STOCK_DIR="+stock.bin(), "RETRO_MODEL="+model,
			"RETRO_PAGE="+patched.page)
		// beside those of any target, those of the library for this one
		which := map[string]string{"windows": "^TestTarget|Windows", "linux": "^TestTarget|Arm64"}
		return cmd.goTest(g.String(), env, append([]string{"-count=1", "-timeout", "1h", "-run",
			which[g.system]}, endToEnd...)...)(a, t)
	}}
}
