//go:build linux || darwin

package bridge

import (
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/ebitengine/purego"
)

// Paths says where the shared libraries are.
type Paths struct {
	Dir   string // folder that holds libllama and the libggml libraries
	Retro string // libretroattn; "" = libretroattn.so.1 (or .dylib) in Dir, if it is there
}

// Library is the llama.cpp of this process. It is never unloaded and has no Close.
type Library struct {
	api
	dir       string
	retroPath string // "" = no libretroattn
	patched   bool   // libllama carries our patch
	patchErr  error  // why not: a function of it that is missing
	log       logger

	retroOnce   sync.Once
	retroErr    error
	retroLoaded atomic.Bool // the retro functions of api are bound
}

// process is the one llama.cpp of this process. dir is set as soon as the first library of a folder is in, even if
// loading the rest then failed: mixing it with another build would resolve symbols across the two.
var process struct {
	sync.Mutex
	dir string
	lib *Library
}

// Load opens llama.cpp and initialises it. A further call returns the same Library if the folder, and Retro where given,
// are the same, and an error otherwise. ErrLayout: the libllama is another
// version than this package knows, or was built from other structs.
func Load(paths Paths) (*Library, error) {
	if paths.Dir == "" {
		return nil, argError("Paths.Dir is empty")
	}
	dir, err := realPath(paths.Dir)
	if err != nil {
		return nil, fmt.Errorf("bridge: folder of llama.cpp: %w", err)
	}
	retro, err := findRetro(dir, paths.Retro)
	if err != nil {
		return nil, err
	}

	process.Lock()
	defer process.Unlock()
	if process.dir != "" && process.dir != dir {
		return nil, argError("llama.cpp of %s is already in this process; a second build cannot be loaded", process.dir)
	}
	if lib := process.lib; lib != nil {
		if paths.Retro != "" && lib.retroPath != retro {
			return nil, argError("already loaded with libretroattn %q", lib.retroPath)
		}
		return lib, nil
	}
	lib := &Library{dir: dir, retroPath: retro}
	if err := lib.open(); err != nil {
		return nil, err
	}
	process.lib = lib
	return lib, nil
}

// Version returns the version of libllama, e.g. "0.5.0".
func (l *Library) Version() string { return l.version() }

// open loads the libraries, binds the functions and starts the backends.
func (l *Library) open() error {
	llama, err := l.openWithNeeded(libName("llama"), map[string]bool{})
	if err != nil {
		return err
	}
	if err := bind(llama, l.llamaSymbols()); err != nil {
		return fmt.Errorf("%w, in %s: %w", ErrLayout, l.dir, err)
	}
	if err := checkLayout(l.version(), l.modelDefaults(), l.contextDefaults()); err != nil {
		return fmt.Errorf("%w, in %s", err, l.dir)
	}
	if l.patchErr = bind(llama, l.patchSymbols()); l.patchErr == nil {
		l.patched = true
		if err := checkABI(l.version(), l.retroAttnABI()); err != nil {
			return fmt.Errorf("%w, in %s", err, l.dir)
		}
	}
	l.logSet(l.log.callback(), 0)
	l.backendInit()
	// Backends are either linked in and registered by now, or modules in the folder. Searching for modules in the first
	// case would look into the working directory for nothing.
	if l.ggmlRegCount() == 0 {
		l.ggmlLoadAll(l.dir)
	}
	if l.ggmlRegCount() == 0 {
		return fmt.Errorf("bridge: no ggml backend in %s", l.dir)
	}
	return nil
}

// openWithNeeded opens a library of the folder after those that it needs and that are in the folder too. The loader
// matches libraries that are already open by their names, so this wins over a RUNPATH that points to the place where
// the libraries were built.
func (l *Library) openWithNeeded(name string, opened map[string]bool) (uintptr, error) {
	path, err := realPath(filepath.Join(l.dir, name))
	if err != nil {
		return 0, fmt.Errorf("bridge: %w", err)
	}
	needed, err := neededLibraries(path)
	if err != nil {
		return 0, fmt.Errorf("bridge: %s: %w", path, err)
	}
	for _, dependency := range needed {
		if opened[dependency] {
			continue
		}
		if _, err := os.Stat(filepath.Join(l.dir, dependency)); err != nil {
			continue // a system library
		}
		if _, err := l.openWithNeeded(dependency, opened); err != nil {
			return 0, err
		}
	}
	handle, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return 0, fmt.Errorf("bridge: %w", err)
	}
	opened[name] = true
	process.dir = l.dir
	return handle, nil
}

// neededLibraries lists the libraries that an ELF library links to; on other systems their loader finds them.
func neededLibraries(path string) ([]string, error) {
	if runtime.GOOS == "darwin" {
		return nil, nil
	}
	file, err := elf.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return file.ImportedLibraries()
}

func libName(name string) string {
	if runtime.GOOS == "darwin" {
		return "lib" + name + ".dylib"
	}
	return "lib" + name + ".so"
}

// findRetro resolves the path of libretroattn. Without one given, a missing file is no error.
func findRetro(dir, given string) (string, error) {
	if given != "" {
		path, err := realPath(given)
		if err != nil {
			return "", fmt.Errorf("bridge: libretroattn: %w", err)
		}
		return path, nil
	}
	name := "libretroattn.so.1"
	if runtime.GOOS == "darwin" {
		name = "libretroattn.dylib"
	}
	path, err := realPath(filepath.Join(dir, name))
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	return path, err
}

// realPath makes paths to one file comparable.
func realPath(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(path)
}
