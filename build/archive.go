package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// member is a file or a link of an archive.
type member struct {
	name    string // slash-separated, below the folder that the archive unpacks to
	content []byte
	link    string // target, of a link
	program bool   // executable
}

// fileMember reads a file, or a link as such.
func fileMember(name, from string) (member, error) {
	info, err := os.Lstat(from)
	if err != nil {
		return member{}, err
	}
	if info.Mode().Type() == os.ModeSymlink {
		target, err := os.Readlink(from)
		return member{name: name, link: target}, err
	}
	content, err := os.ReadFile(from)
	return member{name: name, content: content, program: info.Mode()&0o111 != 0}, err
}

// checksums is the file with the sums of all members.
func checksums(members []member) member {
	var text strings.Builder
	for _, e := range sorted(members) {
		if e.link == "" {
			fmt.Fprintf(&text, "%x  %s\n", sha256.Sum256(e.content), e.name)
		}
	}
	return member{name: sumsName, content: []byte(text.String())}
}

func sorted(members []member) []member {
	return slices.SortedFunc(slices.Values(members),
		func(a, b member) int { return strings.Compare(a.name, b.name) })
}

// writeTarGz makes FOLDER.tar.gz in dir. The bytes depend on the arguments only.
func writeTarGz(dir, folder string, members []member, when time.Time) (string, error) {
	var packed bytes.Buffer
	z, _ := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err := errors.Join(writeTar(z, folder, members, when), z.Close()); err != nil {
		return "", err
	}
	return writeArchive(dir, folder+".tar.gz", packed.Bytes())
}

// writeZip makes FOLDER.zip in the same way.
func writeZip(dir, folder string, members []member, when time.Time) (string, error) {
	var packed bytes.Buffer
	archive := zip.NewWriter(&packed)
	for _, e := range sorted(members) {
		if e.link != "" {
			return "", fmt.Errorf("%s is a link, which Windows does not unpack: put the file in its place", e.name)
		}
		w, err := archive.CreateHeader(&zip.FileHeader{Name: folder + "/" + e.name,
			Method: zip.Deflate, Modified: when.UTC()})
		if err == nil {
			_, err = w.Write(e.content)
		}
		if err != nil {
			return "", fmt.Errorf("%s: %w", e.name, err)
		}
	}
	if err := archive.Close(); err != nil {
		return "", err
	}
	return writeArchive(dir, folder+".zip", packed.Bytes())
}

func writeArchive(dir, name string, packed []byte) (string, error) {
	file := filepath.Join(dir, name)
	return file, writeFrom(bytes.NewReader(packed), file, 0o644)
}

// sumsName is the file for sha256sum -c.
const sumsName = "SHA256SUMS"

// sumsOf writes the sums of the files in a folder, beside them, and returns where.
func sumsOf(dir string) (string, error) {
	list, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	var text strings.Builder
	for _, f := range list {
		if !f.Type().IsRegular() || f.Name() == sumsName {
			continue
		}
		sum, err := fileSHA256(filepath.Join(dir, f.Name()))
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&text, "%s  %s\n", sum, f.Name())
	}
	file := filepath.Join(dir, sumsName)
	return file, writeFrom(strings.NewReader(text.String()), file, 0o644)
}

func writeTar(to io.Writer, folder string, members []member, when time.Time) error {
	archive := tar.NewWriter(to)
	for _, e := range sorted(members) {
		header := &tar.Header{Typeflag: tar.TypeReg, Name: folder + "/" + e.name,
			Size: int64(len(e.content)), Mode: 0o644, ModTime: when}
		switch {
		case e.link != "":
			header.Typeflag, header.Linkname, header.Mode = tar.TypeSymlink, e.link, 0o777
		case e.program:
			header.Mode = 0o755
		}
		if err := archive.WriteHeader(header); err != nil {
			return fmt.Errorf("%s: %w", e.name, err)
		}
		if _, err := archive.Write(e.content); err != nil {
			return fmt.Errorf("%s: %w", e.name, err)
		}
	}
	return archive.Close()
}
