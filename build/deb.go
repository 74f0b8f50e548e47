package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// debFolder is where a package's archive lies; /usr/bin has links to its programs.
const debFolder = "/usr/lib/retroattn"

// deb makes a package of an archive by Debian's own tools, which check it and give the same bytes
// for the same files and time.
func (a *app) deb(dir, folder, version string, g target, members []member, when time.Time) (string,
	error) {
	if err := errors.Join(need("dpkg-deb"), need("dpkg-shlibdeps")); err != nil {
		return "", err
	}
	temp, err := os.MkdirTemp("", "retroattn-deb-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(temp)
	root := filepath.Join(temp, "root")
	for _, e := range debMembers(members) {
		if err := e.write(root); err != nil {
			return "", err
		}
	}
	needs, err := a.debNeeds(temp, root, g, members)
	if err != nil {
		return "", err
	}
	control := a.template("control", "DEBIAN", version, g)
	control.content = bytes.ReplaceAll(control.content, []byte("@DEPENDS@"), []byte(needs))
	if err := errors.Join(control.write(root), openFolders(root)); err != nil {
		return "", err
	}
	file, err := filepath.Abs(filepath.Join(dir, folder+".deb"))
	if err != nil {
		return "", err
	}
	pack := command(a.ctx, temp, "dpkg-deb", "--root-owner-group", "-Zgzip", "--build",
		"root", file)
	pack.Env = append(os.Environ(), fmt.Sprintf("SOURCE_DATE_EPOCH=%d", when.Unix()))
	_, err = output(pack)
	return filepath.Join(dir, folder+".deb"), err
}

// debMembers are those of an archive at their places, and links to the programs.
func debMembers(members []member) (all []member) {
	for _, e := range members {
		name := path.Base(e.name)
		if e.program && path.Dir(e.name) == "bin" {
			all = append(all, member{name: "usr/bin/" + name, link: "../lib/retroattn/bin/" + name})
		}
		e.name = path.Join(debFolder[1:], e.name)
		all = append(all, e)
	}
	return all
}

// debNeeds are the packages whose libraries are needed, as dpkg-shlibdeps finds them.
func (a *app) debNeeds(temp, root string, g target, members []member) (string, error) {
	// It takes the source package's control file for granted.
	source := member{name: "debian/control", content: []byte("Source: retroattn\n")}
	if err := source.write(temp); err != nil {
		return "", err
	}
	inside := filepath.Join(root, debFolder)
	args := []string{"-O", "--ignore-missing-info", "-l" + filepath.Join(inside, "lib")}
	for _, e := range members {
		program := e.program && path.Dir(e.name) == "bin"
		if e.link == "" && (program || g.isShared(path.Base(e.name))) {
			args = append(args, filepath.Join(inside, e.name))
		}
	}
	text, err := output(command(a.ctx, temp, "dpkg-shlibdeps", args...))
	if err != nil {
		return "", err
	}
	_, needs, ok := strings.Cut(strings.TrimSpace(text), "shlibs:Depends=")
	if !ok {
		return "", fmt.Errorf("dpkg-shlibdeps says %q: it should name packages", text)
	}
	return needs, nil
}

// write puts a member below a folder.
func (e *member) write(root string) error {
	file := filepath.Join(root, filepath.FromSlash(e.name))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	if e.link != "" {
		return os.Symlink(e.link, file)
	}
	mode := os.FileMode(0o644)
	if e.program {
		mode = 0o755
	}
	if err := os.WriteFile(file, e.content, mode); err != nil {
		return err
	}
	return os.Chmod(file, mode) // whatever the umask
}

// openFolders lets everybody into all folders, whatever the umask.
func openFolders(root string) error {
	return filepath.WalkDir(root, func(dir string, f fs.DirEntry, err error) error {
		if err != nil || !f.IsDir() {
			return err
		}
		return os.Chmod(dir, 0o755)
	})
}
