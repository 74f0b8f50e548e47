package main

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

type distCmd struct {
	Out         string `default:"dist" placeholder:"DIR" help:"Where to put the archive (default ${default})."`
	Native      bool   `help:"Take the build for this machine's processor instead of one for every processor of its kind: made in seconds after 'all'."`
	LibraryOnly bool   `help:"Without llama.cpp's programs and patches: for other engines."`
	OS          string `name:"os" placeholder:"OS" help:"windows: a zip for Windows, by a cross compiler."`
	Deb         bool   `help:"Also make a package for Debian and its kin."`
	Arch        string `placeholder:"ARCH" help:"amd64 or arm64: for Linux on another processor, by a cross compiler."`
}

func (distCmd) Help() string {
	return `The archive unpacks to one folder, which can lie anywhere:

  bin/ lib/ include/   llama.cpp's programs and libraries, retroattn doctor, libretroattn and its header; on Windows all DLLs are in bin/
  lib/pkgconfig, lib/cmake   for pkg-config --cflags --libs retroattn and find_package(retroattn)
  patches/             the patch series, and apply.sh, which applies it to a llama.cpp checkout
  example/             a C program that uses the library without llama.cpp
  licenses/            of everything inside; SHA256SUMS for sha256sum -c
  sbom.cdx.json        what is linked into it (CycloneDX); also beside the archive

SHA256SUMS beside the archives has the sums of all that lie there.

The same commit and compilers give the same bytes, in whatever folder. Its time is that of the last commit, or
SOURCE_DATE_EPOCH.`
}

func (cmd *distCmd) Validate() error {
	g, err := targetOf(cmd.OS, cmd.Arch)
	switch {
	case err != nil:
		return err
	case cmd.Native && cmd.LibraryOnly:
		return errors.New("--native and --library-only: the library is the same for all processors, leave --native out")
	case cmd.Deb && cmd.LibraryOnly:
		return errors.New("--deb and --library-only: a package holds llama.cpp's programs, leave one of them out")
	case cmd.Deb && (g.system != "linux" || g != here):
		return fmt.Errorf("--deb for %s: a package is made for Linux on this machine's processor, %s, whose libraries are looked at, leave --deb out",
			g, here)
	case cmd.Native && g != here:
		return fmt.Errorf("--native for %s: that is for this machine, %s, leave --native out", g,
			here)
	}
	return nil
}

func (cmd *distCmd) Run(a *app) error {
	when, err := a.commitTime()
	if err != nil {
		return err
	}
	version, err := a.version()
	if err != nil {
		return err
	}
	g, err := targetOf(cmd.OS, cmd.Arch)
	if err != nil {
		return err
	}
	members, err := a.libraryMembers(version, g)
	if err != nil {
		return err
	}
	folder := fmt.Sprintf("retroattn-%s-%s", version, g)
	switch {
	case cmd.LibraryOnly:
		folder = "lib" + folder
	case cmd.Native:
		folder += "-native"
	}
	source := ""
	if !cmd.LibraryOnly {
		n, err := a.llamaFor(g, cmd.Native)
		if err != nil {
			return err
		}
		more, err := a.llamaMembers(n)
		if err != nil {
			return err
		}
		members, source = append(members, more...), n.source
		if more, err = a.doctorMembers(g); err != nil {
			return err
		}
		// Of what both link, both bring the licence.
		members = slices.CompactFunc(sorted(append(members, more...)),
			func(a, b member) bool { return a.name == b.name })
	}
	bom, err := a.sbom(version, source, members)
	if err != nil {
		return err
	}
	members = append(members, bom)
	members = append(members, checksums(members))
	return cmd.write(a, folder, version, g, members, when)
}

// write makes the archive, what lies beside it, and the sums of all archives in the folder.
func (cmd *distCmd) write(a *app, folder, version string, g target, members []member,
	when time.Time) error {
	pack := writeTarGz
	if g == windows {
		pack = writeZip
	}
	file, err := pack(cmd.Out, folder, members, when)
	if err != nil {
		return err
	}
	files := []string{file, filepath.Join(cmd.Out, folder+"."+sbomName)}
	for _, e := range members {
		if e.name == sbomName {
			if err := writeFrom(bytes.NewReader(e.content), files[1], 0o644); err != nil {
				return err
			}
		}
	}
	if cmd.Deb {
		if cmd.Native {
			version += "+native" // another package than the one for all processors
		}
		file, err := a.deb(cmd.Out, folder, version, g, members, when)
		if err != nil {
			return err
		}
		files = append(files, file)
	}
	sums, err := sumsOf(cmd.Out)
	if err != nil {
		return err
	}
	a.say("%s\n%s", strings.Join(files, "\n"), sums)
	return nil
}

// commitTime is the time that all files of an archive get.
func (a *app) commitTime() (time.Time, error) {
	text := os.Getenv("SOURCE_DATE_EPOCH")
	if text == "" {
		var err error
		if text, err = output(git(a.ctx, a.root, "log", "-1", "--format=%ct")); err != nil {
			return time.Time{}, fmt.Errorf("the time of the last commit is unknown (%w): set SOURCE_DATE_EPOCH to seconds since 1970", err)
		}
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil || seconds < 0 {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH is %q: give seconds since 1970", text)
	}
	return time.Unix(seconds, 0).UTC(), nil
}

var versionLine = regexp.MustCompile(`(?m)^const version = "(\d+\.\d+\.\d+)"$`)

// version is what the library says of itself.
func (a *app) version() (string, error) {
	file := filepath.Join(a.root, "capi", "main.go")
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	m := versionLine.FindSubmatch(text)
	if m == nil {
		return "", fmt.Errorf(`%s has no line such as: const version = "1.2.3"`, file)
	}
	return string(m[1]), nil
}

//go:embed install
var installFiles embed.FS

// template is a file of build/install with its names in @ filled in.
func (a *app) template(name, to, version string, g target) member {
	text, err := installFiles.ReadFile("install/" + name)
	if err != nil {
		panic(err) // it is compiled in
	}
	library, _ := g.library()
	number := strings.Split(version, ".")
	fill := strings.NewReplacer("@VERSION@", version, "@MAJOR@", number[0], "@MINOR@", number[1],
		"@LIBRARY@", path.Join(g.libraryFolder(), library), "@SONAME@", g.soname(),
		"@LLAMA@", a.pins.Llama.Version, "@ARCH@", g.arch)
	return member{name: path.Join(to, name), content: []byte(fill.Replace(string(text))),
		program: strings.HasSuffix(name, ".sh")}
}

// libraryMembers are what a program that calls libretroattn needs.
func (a *app) libraryMembers(version string, g target) ([]member, error) {
	temp, err := os.MkdirTemp("", "retroattn-dist-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(temp)
	name, links := g.library()
	if err := a.buildLibrary(filepath.Join(temp, name), g); err != nil {
		return nil, err
	}
	folder := g.libraryFolder()
	files := map[string]string{
		path.Join(folder, name): filepath.Join(temp, name),
		"include/retroattn.h":   filepath.Join(a.root, "capi", "retroattn.h"),
		"example/decode.c":      filepath.Join(a.root, "capi", "example", "decode.c"),
	}
	if g == windows {
		files["lib/"+importLibrary] = filepath.Join(temp, importLibrary)
	}
	for _, folder := range []string{"docs", "docs/results"} {
		texts, err := filepath.Glob(filepath.Join(a.root, folder, "*.*"))
		if err != nil {
			return nil, err
		}
		for _, text := range texts {
			files[folder+"/"+filepath.Base(text)] = text
		}
	}
	for _, text := range []string{"README.md", "CHANGELOG.md", "LICENSE"} {
		files[text] = filepath.Join(a.root, text)
	}
	if err := a.goLicences(files, g, "./capi"); err != nil {
		return nil, err
	}
	members, err := fileMembers(files)
	for _, link := range links {
		members = append(members, member{name: "lib/" + link, link: name})
	}
	return append(members, a.template("retroattn.pc", "lib/pkgconfig", version, g),
		a.template("retroattn-config.cmake", "lib/cmake/retroattn", version, g),
		a.template("retroattn-config-version.cmake", "lib/cmake/retroattn", version, g)), err
}

func fileMembers(files map[string]string) ([]member, error) {
	var members []member
	for name, from := range files {
		e, err := fileMember(name, from)
		if err != nil {
			return nil, err
		}
		e.program = e.program && strings.HasPrefix(name, "bin/") && !strings.HasSuffix(name, ".dll")
		members = append(members, e)
	}
	return members, nil
}
