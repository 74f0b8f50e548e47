package main

import (
	"fmt"
	"os"
	"path/filepath"
)

type libCmd struct{}

func (libCmd) Run(a *app) error {
	t, err := a.toolchain(here)
	if err != nil {
		return err
	}
	file, err := a.library(t, "patched")
	if err != nil {
		return err
	}
	a.say("libretroattn: %s", file)
	return nil
}

type allCmd struct{}

func (allCmd) Run(a *app) error {
	a.wish = pageIfPossible
	patched, library, err := a.everything()
	if err != nil {
		return err
	}
	a.say("llama.cpp programs: %s\nlibretroattn: %s\nTry: %s --retro-attn -m MODEL", patched.bin(),
		library, patched.bin("llama-cli"))
	return nil
}

// everything builds what a user needs: the library first, since it is quick to fail.
func (a *app) everything() (native, string, error) {
	t, err := a.toolchain(here)
	if err != nil {
		return native{}, "", err
	}
	library, err := a.library(t, "patched")
	if err != nil {
		return native{}, "", err
	}
	patched, err := a.patched(t)
	return patched, library, err
}

// library builds libretroattn and puts it beside the programs of a variant, where they look for it.
// Go's own build cache makes a rebuild cheap; an unchanged library is left alone.
func (a *app) library(t toolchain, variant string) (string, error) {
	temp, err := os.MkdirTemp("", "retroattn-lib-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(temp)
	name, links := t.library()
	built := filepath.Join(temp, name)
	if err := a.buildLibrary(built, t.target); err != nil {
		return "", err
	}
	hash, err := fileSHA256(built)
	if err != nil {
		return "", err
	}
	file := a.cache.path("builds", t.key, variant, "bin", name)
	return file, a.cache.ensure(product{
		name: "library", made: hash, files: []string{file},
		make: func() error { return install(built, file, links) },
	})
}

// buildLibrary builds libretroattn for a target; the bytes depend on the source and the compilers
// only.
func (a *app) buildLibrary(to string, g target) error {
	temp, err := os.MkdirTemp("", "retroattn-runtime-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	quiet, err := a.quietRuntime(temp)
	if err != nil {
		return err
	}
	args := append([]string{"build", "-buildmode=c-shared", "-trimpath", "-buildvcs=false"}, quiet...)
	build := command(a.ctx, a.root, "go",
		append(args, "-ldflags", g.linkFlags(a.root, to), "-o", to, "./capi")...)
	build.Env = append(os.Environ(), "CGO_ENABLED=1", "GOOS="+g.system, "GOARCH="+g.arch)
	if g != here {
		x := crosses[g]
		if err := needCompiler(x.remedy, x.cc()); err != nil {
			return err
		}
		build.Env = append(build.Env, "CC="+x.cc())
	}
	if text, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building libretroattn for %s failed: %w\n%s", g, err, text)
	}
	return nil
}

func install(built, file string, links []string) error {
	if err := copyFile(built, file); err != nil {
		return err
	}
	for _, link := range links {
		path := filepath.Join(filepath.Dir(file), link)
		if err := os.RemoveAll(path); err != nil {
			return err
		}
		if err := os.Symlink(filepath.Base(file), path); err != nil {
			return err
		}
	}
	return nil
}
