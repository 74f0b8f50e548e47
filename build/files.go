package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
)

// untar unpacks below dir; os.Root keeps a hostile archive from writing anywhere else.
func untar(r io.Reader, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for archive := tar.NewReader(r); ; {
		header, err := archive.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := untarEntry(root, header, archive); err != nil {
			return fmt.Errorf("unpacking %s: %w", header.Name, err)
		}
	}
}

func untarEntry(root *os.Root, header *tar.Header, content io.Reader) error {
	name := path.Clean(header.Name)
	switch header.Typeflag {
	case tar.TypeDir:
		return root.MkdirAll(name, 0o755)
	case tar.TypeSymlink:
		return root.Symlink(header.Linkname, name)
	case tar.TypeReg:
		if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
			return err
		}
		f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY,
			0o644|fs.FileMode(header.Mode)&0o111)
		if err != nil {
			return err
		}
		_, err = io.Copy(f, content)
		return errors.Join(err, f.Close())
	}
	return nil // a pax header of git archive
}

// tarMember copies one file out of a .tgz.
func tarMember(archive, member, to string) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return fmt.Errorf("%s: %w", archive, err)
	}
	for t := tar.NewReader(z); ; {
		header, err := t.Next()
		if err != nil {
			return fmt.Errorf("%s has no file %s: %w", archive, member, err)
		}
		if header.Name == member {
			return writeFrom(t, to, 0o644)
		}
	}
}

// zipMember copies one file out of a .zip or a Python wheel.
func zipMember(archive, member, to string) error {
	z, err := zip.OpenReader(archive)
	if err != nil {
		return fmt.Errorf("%s: %w", archive, err)
	}
	defer z.Close()
	f, err := z.Open(member)
	if err != nil {
		return fmt.Errorf("%s has no file %s: %w", archive, member, err)
	}
	defer f.Close()
	return writeFrom(f, to, 0o644)
}

// writeFrom writes a file so that nobody ever sees half of it.
func writeFrom(r io.Reader, to string, mode fs.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(to), "."+filepath.Base(to)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails once it has been renamed
	_, err = io.Copy(f, r)
	if err := errors.Join(err, f.Chmod(mode), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), to)
}

func copyFile(from, to string) error {
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	return writeFrom(f, to, info.Mode().Perm())
}

// appendFile adds the content of a file to the end of another.
func appendFile(from, to string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	return errors.Join(err, dst.Close())
}

func fileSHA256(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

func checkSHA256(name, want string) error {
	got, err := fileSHA256(name)
	if err == nil && got != want {
		err = fmt.Errorf("%s has SHA-256 %s, but third_party/pins.json demands %s: it was altered on the way; try another network",
			filepath.Base(name), got, want)
	}
	return err
}

// sameFile says whether two files hold the same bytes and execute bits; a missing file differs from
// every other.
func sameFile(a, b string) bool {
	x, errX := os.ReadFile(a)
	y, errY := os.ReadFile(b)
	if errX != nil || errY != nil || !bytes.Equal(x, y) {
		return false
	}
	infoX, errX := os.Stat(a)
	infoY, errY := os.Stat(b)
	return errX == nil && errY == nil && infoX.Mode()&0o111 == infoY.Mode()&0o111
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}
