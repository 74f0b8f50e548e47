package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// headerTarget is where the patched llama.cpp expects the library's header.
const headerTarget = "src/retroattn.h"

// series is the patch series together with the library's header.
type series struct {
	patches []string // files, in order
	header  string   // empty if there is none
	// files of llama.cpp, slash-separated, that the series writes, renames or removes
	touched []string
	hash    string // of all of it
}

type patchCmd struct {
	To string `required:"" placeholder:"DIR" help:"A checkout of llama.cpp."`
}

func (cmd patchCmd) Run(a *app) error {
	if err := need("git"); err != nil {
		return err
	}
	s, err := loadSeries(a.root)
	if err != nil {
		return err
	}
	if len(s.patches) == 0 {
		return fmt.Errorf("%s has no *.patch file: restore it from the repository",
			filepath.Join(a.root, "patches"))
	}
	to, err := filepath.Abs(cmd.To)
	if err != nil {
		return err
	}
	if !exists(filepath.Join(to, "include", "llama.h")) {
		return fmt.Errorf("--to is %s, which has no include/llama.h: name a checkout of llama.cpp %s", to, a.pins.Llama.Version)
	}
	applied, err := patchCheckout(a.ctx, s, to)
	if err != nil {
		return fmt.Errorf("%s was left as it is: %w (the series is made for llama.cpp %s)", to, err,
			a.pins.Llama.Version)
	}
	if !applied {
		a.say("The patches are already applied in %s.", to)
		return nil
	}
	a.say("Applied %d patches and %s to %s.", len(s.patches), headerTarget, to)
	return nil
}

// patchCheckout brings the series into a checkout, or reports false if it is there already.
func patchCheckout(ctx context.Context, s series, to string) (bool, error) {
	temp, err := os.MkdirTemp("", "retroattn-patch-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(temp)
	there, err := s.unapplies(ctx, to, filepath.Join(temp, "reverse"))
	if err != nil || there {
		return false, err
	}
	result := filepath.Join(temp, "result")
	if err := s.apply(ctx, to, result); err != nil {
		return false, err
	}
	for _, name := range s.touched {
		if err := syncFile(filepath.Join(result, name), filepath.Join(to, name)); err != nil {
			return false, err
		}
	}
	return true, nil
}

// diffLine heads the changes to one file. Within a hunk every line starts with a mark, so none
// looks like it.
var diffLine = regexp.MustCompile(`(?m)^diff --git a/(\S+) b/(\S+)\r?$`)

func loadSeries(root string) (series, error) {
	var s series
	var err error
	if s.patches, err = filepath.Glob(filepath.Join(root, "patches", "*.patch")); err != nil {
		return s, err
	}
	slices.Sort(s.patches)
	hash := sha256.New()
	for _, patch := range s.patches {
		text, err := os.ReadFile(patch)
		if err != nil {
			return s, err
		}
		fmt.Fprintf(hash, "%s %d\n%s", filepath.Base(patch), len(text), text)
		for _, m := range diffLine.FindAllStringSubmatch(string(text), -1) {
			s.touched = append(s.touched, m[1], m[2])
		}
	}
	// Without patches nothing includes the header, and the tree stays pristine.
	if header := filepath.Join(root, "capi", "retroattn.h"); exists(header) && len(s.patches) > 0 {
		text, err := os.ReadFile(header)
		if err != nil {
			return s, err
		}
		fmt.Fprintf(hash, "%s %d\n%s", headerTarget, len(text), text)
		s.header, s.touched = header, append(s.touched, headerTarget)
	}
	slices.Sort(s.touched)
	s.touched = slices.Compact(s.touched)
	s.hash = fmt.Sprintf("%x", hash.Sum(nil))
	return s, nil
}

// apply makes the patched versions of the touched files in the new folder result; base stays as it
// is.
func (s series) apply(ctx context.Context, base, result string) error {
	if err := s.copyTouched(base, result); err != nil {
		return err
	}
	if s.header != "" {
		if err := copyFile(s.header, filepath.Join(result, headerTarget)); err != nil {
			return err
		}
	}
	for _, patch := range s.patches {
		if _, err := output(git(ctx, result, "apply", "--whitespace=nowarn", patch)); err != nil {
			return fmt.Errorf("%s does not apply: %w", filepath.Base(patch), err)
		}
	}
	return nil
}

// unapplies says whether the whole series can be taken off base again, that is, whether it is
// applied there.
func (s series) unapplies(ctx context.Context, base, scratch string) (bool, error) {
	if err := s.copyTouched(base, scratch); err != nil {
		return false, err
	}
	for _, patch := range slices.Backward(s.patches) {
		if _, err := output(git(ctx, scratch, "apply", "--reverse", "--whitespace=nowarn",
			patch)); err != nil {
			return false, ctx.Err()
		}
	}
	return true, nil
}

func (s series) copyTouched(base, to string) error {
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	for _, name := range s.touched {
		from := filepath.Join(base, name)
		if !exists(from) {
			continue // a patch creates it
		}
		if err := copyFile(from, filepath.Join(to, name)); err != nil {
			return err
		}
	}
	return nil
}

// touchedList, in a work tree, names the files that may differ from the pristine tree.
const touchedList = ".retroattn-touched"

// refresh brings the work tree to pristine plus series. It writes only files whose content changes,
// so that the next build compiles no more than it must.
func (s series) refresh(ctx context.Context, pristine, work, temp string) error {
	if !exists(filepath.Join(work, touchedList)) {
		if err := freshWork(pristine, work, temp); err != nil {
			return err
		}
	}
	result := filepath.Join(temp, "result")
	if err := s.apply(ctx, pristine, result); err != nil {
		return err
	}
	list, err := os.ReadFile(filepath.Join(work, touchedList))
	if err != nil {
		return err
	}
	before := strings.Fields(string(list))
	// The list names old and new files while both may be there, so that an interrupted run leaves
	// nothing behind.
	if err := writeList(work, append(before, s.touched...)); err != nil {
		return err
	}
	for _, name := range append(before, s.touched...) {
		from := filepath.Join(pristine, name)
		if slices.Contains(s.touched, name) {
			from = filepath.Join(result, name)
		}
		if err := syncFile(from, filepath.Join(work, name)); err != nil {
			return err
		}
	}
	return writeList(work, s.touched)
}

func freshWork(pristine, work, temp string) error {
	if err := os.RemoveAll(work); err != nil {
		return err
	}
	fresh := filepath.Join(temp, "work")
	if err := os.CopyFS(fresh, os.DirFS(pristine)); err != nil {
		return err
	}
	if err := writeList(fresh, nil); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(work), 0o755); err != nil {
		return err
	}
	return os.Rename(fresh, work)
}

func writeList(work string, names []string) error {
	return writeFrom(strings.NewReader(strings.Join(names, "\n")), filepath.Join(work, touchedList),
		0o644)
}

// syncFile makes to equal from, which may be missing, and leaves an equal file untouched.
func syncFile(from, to string) error {
	if !exists(from) {
		if err := os.Remove(to); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	if sameFile(from, to) {
		return nil
	}
	return copyFile(from, to)
}
