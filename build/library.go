package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// target is a system and a processor, as Go calls them.
type target struct{ system, arch string }

var here = target{runtime.GOOS, runtime.GOARCH}

// crossCompilers are Debian's names.
var crossCompilers = map[target]string{
	{"linux", "amd64"}: "x86_64-linux-gnu-gcc", {"linux", "arm64"}: "aarch64-linux-gnu-gcc",
	{"windows", "amd64"}: mingwCC,
}

type libCmd struct{}

func (libCmd) Run(a *app) error {
	t, err := a.toolchain()
	if err != nil {
		return err
	}
	file, err := a.library(t)
	if err != nil {
		return err
	}
	a.say("libretroattn: %s", file)
	return nil
}

type allCmd struct{}

func (allCmd) Run(a *app) error {
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
	t, err := a.toolchain()
	if err != nil {
		return native{}, "", err
	}
	library, err := a.library(t)
	if err != nil {
		return native{}, "", err
	}
	patched, err := a.patched(t)
	return patched, library, err
}

// library builds libretroattn and puts it beside the programs, where they look for it. Go's own
// build cache makes a rebuild cheap; an unchanged library is left alone.
func (a *app) library(t toolchain) (string, error) {
	temp, err := os.MkdirTemp("", "retroattn-lib-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(temp)
	name, links := libraryNames(t.system)
	built := filepath.Join(temp, name)
	if err := a.buildLibrary(built, t.target); err != nil {
		return "", err
	}
	hash, err := fileSHA256(built)
	if err != nil {
		return "", err
	}
	file := a.cache.path("builds", t.key, "patched", "bin", name)
	return file, a.cache.ensure(product{
		name: "library", made: hash, files: []string{file},
		make: func() error { return install(built, file, links) },
	})
}

// buildLibrary builds libretroattn for a target; the bytes depend on the source and the compilers
// only.
func (a *app) buildLibrary(to string, g target) error {
	build := command(a.ctx, a.root, "go", "build", "-buildmode=c-shared", "-trimpath",
		"-buildvcs=false",
		"-ldflags", linkFlags(g.system, a.root, to), "-o", to, "./capi")
	build.Env = append(os.Environ(), "CGO_ENABLED=1", "GOOS="+g.system, "GOARCH="+g.arch)
	if g != here {
		cc := crossCompilers[g]
		if err := needCompiler(crossTool(g), cc); err != nil {
			return err
		}
		build.Env = append(build.Env, "CC="+cc)
	}
	if text, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building libretroattn for %s %s failed: %w\n%s", g.system, g.arch, err,
			text)
	}
	return nil
}

// crossTool is what remedies calls the compilers for a target.
func crossTool(g target) string {
	if g.system == "windows" {
		return "mingw"
	}
	return "cross"
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

func libraryNames(system string) (name string, links []string) {
	switch system {
	case "darwin":
		return "libretroattn.dylib", nil
	case "windows":
		return "libretroattn.dll", nil
	}
	return "libretroattn.so.1", []string{"libretroattn.so"}
}

// importLibrary is what programs for Windows link with in the place of a DLL.
const importLibrary = "libretroattn.dll.a"

// linkFlags leaves no symbols but ours in the library, and no trace of the folder it was built in;
// what the loader fills in is read-only afterwards. On Windows Go itself exports nothing else, and
// no table is writable.
func linkFlags(system, root, to string) string {
	// The inner quotes let the checkout lie in a folder with spaces.
	external := "'-Wl,--version-script=" + filepath.Join(root, "capi", "retroattn.map") +
		"' -Wl,-soname,libretroattn.so.1 -Wl,-z,relro,-z,now,-z,noexecstack"
	switch system {
	case "darwin":
		external = "-Wl,-install_name,@rpath/libretroattn.dylib"
	case "windows":
		external = "'-Wl,--out-implib," + filepath.Join(filepath.Dir(to), importLibrary) + "'"
	}
	return `-s -w -buildid= -extldflags "` + external + `"`
}
