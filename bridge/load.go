package bridge

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
)

// Paths says where the shared libraries are.
type Paths struct {
	Dir   string // folder that holds libllama and the libggml libraries
	Retro string // libretroattn; "" = libretroattn.so.1 (.dylib, .dll) in Dir, if it is there
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

// process is the one llama.cpp of this process. dir is set as soon as the first library of a folder
// is in, even if loading the rest then failed: mixing it with another build would resolve symbols
// across the two.
var process struct {
	sync.Mutex
	dir string
	lib *Library
}

// Load opens llama.cpp and initialises it. A further call returns the same Library if the folder,
// and Retro where given, are the same, and an error otherwise. ErrLayout: the libllama is another
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

// Dir returns the folder that libllama was loaded from.
func (l *Library) Dir() string { return l.dir }

// open loads the libraries, binds the functions and starts the backends.
func (l *Library) open() error {
	opened := map[string]uintptr{}
	if err := l.openWithNeeded(l.libllama(), opened); err != nil {
		return err
	}
	llama := slices.Collect(maps.Values(opened))
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
	// Backends are either linked in and registered by now, or modules in the folder. Searching for
	// modules in the first case would look into the working directory for nothing.
	if l.ggmlRegCount() == 0 {
		l.ggmlLoadAll(l.dir)
	}
	if l.ggmlRegCount() == 0 {
		return fmt.Errorf("bridge: no ggml backend in %s", l.dir)
	}
	return nil
}

// libllama is the name of the file in the folder, the likeliest where there is none.
func (l *Library) libllama() string {
	for _, name := range llamaNames {
		if _, err := os.Stat(filepath.Join(l.dir, name)); err == nil {
			return name
		}
	}
	return llamaNames[0]
}

// openWithNeeded opens a library of the folder after those that it needs and that are in the folder
// too. The loader matches libraries that are already open by their names, so this wins over a
// RUNPATH that points to the place where the libraries were built.
func (l *Library) openWithNeeded(name string, opened map[string]uintptr) error {
	path, err := realPath(filepath.Join(l.dir, name))
	if err != nil {
		return fmt.Errorf("bridge: %w", err)
	}
	needed, err := neededLibraries(path)
	if err != nil {
		return fmt.Errorf("bridge: %s: %w", path, err)
	}
	for _, dependency := range needed {
		if opened[dependency] != 0 {
			continue
		}
		if _, err := os.Stat(filepath.Join(l.dir, dependency)); err != nil {
			continue // a system library
		}
		if err := l.openWithNeeded(dependency, opened); err != nil {
			return err
		}
	}
	handle, err := dlopen(path)
	if err != nil {
		return fmt.Errorf("bridge: %s: %w", path, err)
	}
	opened[name] = handle
	process.dir = l.dir
	return nil
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
	path, err := realPath(filepath.Join(dir, retroName))
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
