package main

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

var licenceName = regexp.MustCompile(`^(LICEN[CS]E|COPYING|NOTICE|PATENTS)`)

// licenceFiles are the names of a folder's licence files.
func licenceFiles(dir string, name *regexp.Regexp) (names []string, err error) {
	list, err := os.ReadDir(dir)
	for _, f := range list {
		if !f.IsDir() && name.MatchString(f.Name()) {
			names = append(names, f.Name())
		}
	}
	return names, err
}

// licencesIn adds the licence files of a folder, which must have one, under licenses/NAME.
func licencesIn(files map[string]string, dir, name string) error {
	names, err := licenceFiles(dir, licenceName)
	if err != nil {
		return err
	}
	for _, file := range names {
		files[path.Join("licenses", name, file)] = filepath.Join(dir, file)
	}
	if len(names) == 0 {
		return fmt.Errorf("%s has no licence file, but parts of %s are in the archive: find its licence before you pass the archive on", dir, name)
	}
	return nil
}

// goLicences adds those of Go itself and of the modules that are linked into a program.
func (a *app) goLicences(files map[string]string, g target, program string) error {
	goroot, err := output(command(a.ctx, a.root, "go", "env", "GOROOT"))
	if err != nil {
		return err
	}
	if err := licencesIn(files, goroot, "go"); err != nil {
		return err
	}
	list := command(a.ctx, a.root, "go", "list", "-deps", "-f",
		"{{with .Module}}{{if not .Main}}{{.Path}} {{.Dir}}{{end}}{{end}}", program)
	list.Env = append(os.Environ(), "GOOS="+g.system, "GOARCH="+g.arch, "CGO_ENABLED=1")
	text, err := output(list)
	if err != nil {
		return err
	}
	lines := strings.Split(text, "\n")
	slices.Sort(lines)
	for _, line := range slices.Compact(lines) {
		if module, dir, ok := strings.Cut(line, " "); ok {
			if err := licencesIn(files, dir, module); err != nil {
				return err
			}
		}
	}
	return nil
}

// llamaLicences adds those of llama.cpp and of what it brings along.
func llamaLicences(files map[string]string, source string) error {
	if err := licencesIn(files, source, "llama.cpp"); err != nil {
		return err
	}
	for _, below := range []string{"licenses", "vendor"} {
		err := filepath.WalkDir(filepath.Join(source, below),
			func(file string, f fs.DirEntry, err error) error {
				if err == nil && !f.IsDir() && licenceName.MatchString(f.Name()) {
					rel, _ := filepath.Rel(source, file)
					files[path.Join("licenses/llama.cpp", filepath.ToSlash(rel))] = file
				}
				return err
			})
		if err != nil {
			return err
		}
	}
	return nil
}

// addLicences adds those of the compilers' own libraries, which Debian has beside them.
func (x cross) addLicences(files map[string]string) {
	for _, name := range x.licences {
		files[path.Join("licenses", name, "copyright")] = filepath.Join("/usr/share/doc", name,
			"copyright")
	}
}
