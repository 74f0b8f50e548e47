package main

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// distPrograms are the programs in an archive.
var distPrograms = []string{"llama-cli", "llama-server", "llama-completion", "llama-bench"}

// noTrace keeps the folders that a build lies in out of its files.
func noTrace(n native) []string {
	return []string{noAMX, "'-ffile-prefix-map=" + n.source + "=llama.cpp'",
		"'-ffile-prefix-map=" + n.dir + "=build'"}
}

// portable builds the patched llama.cpp for the archive: for every processor of a kind.
func (a *app) portable(t toolchain) (native, error) {
	flags := slices.Concat(t.movable(), t.levels(), []string{"-DLLAMA_BUILD_NUMBER=0",
		"-DLLAMA_BUILD_COMMIT=" + a.pins.Llama.Tree[:9]})
	n, err := a.native(t, variant{name: "portable", title: "Building llama.cpp for every " +
		t.String(), patched: true, flags: flags, compile: noTrace, targets: distPrograms})
	if err == nil {
		err = a.runtime(n)
	}
	return n, err
}

// llamaMembers are the programs and libraries of a llama.cpp, their licences, and the patches.
func (a *app) llamaMembers(n native) ([]member, error) {
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
	files[pageLicenceMember] = filepath.Join(n.page, pageLicence)
	crosses[n.target].addLicences(files)
	members, err := fileMembers(files)
	// ggml looks for its modules beside the program.
	for _, module := range modules {
		members = append(members, member{name: "bin/" + module, link: "../lib/" + module})
	}
	return append(members, a.template("apply.sh", "patches", "0.0.0", n.target)), err
}

// doctorMembers are the program retroattn, which finds libllama beside itself.
func (a *app) doctorMembers(g target) ([]member, error) {
	temp, err := os.MkdirTemp("", "retroattn-doctor-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(temp)
	file := filepath.Join(temp, g.program("retroattn"))
	build := command(a.ctx, a.root, "go", "build", "-trimpath", "-buildvcs=false",
		"-ldflags", "-s -w -buildid=", "-o", file, "./bridge/doctor")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+g.system, "GOARCH="+g.arch)
	if _, err := output(build); err != nil {
		return nil, fmt.Errorf("building retroattn for %s: %w", g, err)
	}
	files := map[string]string{"bin/" + filepath.Base(file): file}
	if err := a.goLicences(files, g, "./bridge/doctor"); err != nil {
		return nil, err
	}
	return fileMembers(files)
}

func (a *app) llamaFor(g target, forThisMachine bool) (native, error) {
	a.wish = pageNeeded
	t, err := a.toolchain(g)
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
		if !n.isShared(name) || strings.HasPrefix(name, "libretroattn") {
			continue
		}
		if program, _, ok := strings.Cut(name[len("lib"):], "-impl."); ok &&
			!slices.Contains(distPrograms, program) {
			continue // the body of a program that stays here
		}
		files[path.Join(n.libraryFolder(), name)] = n.bin(name)
		if strings.HasPrefix(name, "libggml-cpu-") {
			modules = append(modules, name)
		}
	}
	if len(files) == len(distPrograms) {
		return nil, fmt.Errorf("%s holds no libraries: delete %s and build again", n.bin(), n.dir)
	}
	return modules, nil
}
