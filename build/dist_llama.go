package main

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// distPrograms are the programs in an archive.
var distPrograms = []string{"llama-cli", "llama-server", "llama-completion", "llama-bench"}

// movable lets programs and libraries find each other wherever their folder lies: in one folder, or
// in bin and lib.
func movable(system string) []string {
	here := "$ORIGIN"
	if system == "darwin" {
		here = "@loader_path"
	}
	return []string{"-DCMAKE_BUILD_WITH_INSTALL_RPATH=ON",
		"-DCMAKE_INSTALL_RPATH=" + here + ";" + here + "/../lib"}
}

// portableFlags build for every processor of this kind, with a module for each step of its
// instruction set, and leave no trace of the folders that it was built in.
func (a *app) portableFlags(n native) []string {
	flags := append(movable(runtime.GOOS), "-DGGML_NATIVE=OFF", "-DGGML_BACKEND_DL=ON",
		"-DGGML_CPU_ALL_VARIANTS=ON",
		"-DLLAMA_BUILD_NUMBER=0", "-DLLAMA_BUILD_COMMIT="+a.pins.Llama.Tree[:9])
	return append(flags, compilerFlags(noAMX, "'-ffile-prefix-map="+n.source+"=llama.cpp'",
		"'-ffile-prefix-map="+n.dir+"=build'")...)
}

// portable builds the patched llama.cpp for the archive.
func (a *app) portable(t toolchain) (native, error) {
	return a.native(t, variant{"portable", "Building llama.cpp for every processor", true,
		a.portableFlags, distPrograms})
}

// llamaMembers are llama.cpp's programs and libraries, their licences, and the patches.
func (a *app) llamaMembers(g target, forThisMachine bool) ([]member, error) {
	n, err := a.llamaFor(g, forThisMachine)
	if err != nil {
		return nil, err
	}
	files := map[string]string{}
	for _, program := range distPrograms {
		file := n.program(program)
		files["bin/"+filepath.Base(file)] = file
	}
	modules, err := sharedLibraries(files, n)
	if err != nil {
		return nil, err
	}
	s, err := loadSeries(a.root)
	if err != nil {
		return nil, err
	}
	for _, patch := range s.patches {
		files["patches/"+filepath.Base(patch)] = patch
	}
	if err := llamaLicences(files, n.source); err != nil {
		return nil, err
	}
	if g == windows {
		mingwLicences(files)
	}
	members, err := fileMembers(files)
	// ggml looks for its modules beside the program.
	for _, module := range modules {
		members = append(members, member{name: "bin/" + module, link: "../lib/" + module})
	}
	return append(members, a.template("apply.sh", "patches", "0.0.0", g.system)), err
}

func (a *app) llamaFor(g target, forThisMachine bool) (native, error) {
	if g == windows {
		t, err := a.windowsTools()
		if err != nil {
			return native{}, err
		}
		return a.windowsPatched(t)
	}
	t, err := a.toolchain()
	if err != nil {
		return native{}, err
	}
	if forThisMachine {
		return a.patched(t)
	}
	return a.portable(t)
}

// sharedLibraries adds the libraries of a build to lib/, except for ours, and returns the names of
// ggml's modules.
func sharedLibraries(files map[string]string, n native) (modules []string, err error) {
	list, err := os.ReadDir(n.bin())
	if err != nil {
		return nil, err
	}
	for _, f := range list {
		name := f.Name()
		if !isLibrary(name) || strings.HasPrefix(name, "libretroattn") {
			continue
		}
		if program, ok := strings.CutSuffix(name[len("lib"):], "-impl.so"); ok &&
			!slices.Contains(distPrograms, program) {
			continue // the body of a program that stays here
		}
		files[path.Join(libraryFolder(n.system), name)] = n.bin(name)
		if strings.HasPrefix(name, "libggml-cpu-") {
			modules = append(modules, name)
		}
	}
	if len(files) == len(distPrograms) {
		return nil, fmt.Errorf("%s holds no libraries: delete %s and build again", n.bin(), n.dir)
	}
	return modules, nil
}

func isLibrary(name string) bool {
	return strings.HasSuffix(name, ".dll") || strings.HasPrefix(name, "lib") &&
		(strings.Contains(name, ".so") || strings.HasSuffix(name, ".dylib"))
}
