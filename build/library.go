package main

import (
	"fmt"
	"os"
	"path/filepath"
)

type libCmd struct{}

func (libCmd) Run(a *app) error {
	file, err := a.library(here, a.cache.path("lib")) // not with llama.cpp, which takes more tools
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
	library, err := a.library(here, a.cache.path("builds", t.key, "patched", "bin"))
	if err != nil {
		return native{}, "", err
	}
	patched, err := a.patched(t)
	return patched, library, err
}

// library builds libretroattn and puts it into a folder: that of programs, where they look for it.
// Go's own build cache makes a rebuild cheap; an unchanged library is left alone.
func (a *app) library(g target, folder string) (string, error) {
	temp, err := os.MkdirTemp("", "retroattn-lib-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(temp)
	name, links := g.library()
	built := filepath.Join(temp, name)
	if err := a.buildLibrary(built, g); err != nil {
		return "", err
	}
	hash, err := fileSHA256(built)
	if err != nil {
		return "", err
	}
	file := filepath.Join(folder, name)
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
	kind, cc := crosses[g].remedy, crosses[g].cc()
	if g == here {
		kind = "cc"
		if cc, err = output(command(a.ctx, a.root, "go", "env", "CC")); err != nil {
			return err
		}
		cc = firstOf(cc, "cc")
	}
	if err := needCompiler(kind, cc); err != nil {
		return err
	}
	build.Env = append(build.Env, "CC="+cc)
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
