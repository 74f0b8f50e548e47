package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// cloneTimeout keeps a network that swallows packets from holding up the road that may work.
const cloneTimeout = 60 * time.Second

type fetchCmd struct{}

func (fetchCmd) Run(a *app) error {
	source, err := a.source()
	if err != nil {
		return err
	}
	model, err := a.defaultModel()
	if err != nil {
		return err
	}
	a.say("llama.cpp %s: %s\n%s: %s", a.pins.Llama.Version, source, a.pins.Model.Name, model)
	return nil
}

// source returns a folder with the pristine llama.cpp.
func (a *app) source() (string, error) {
	pin := a.pins.Llama
	dir := a.cache.path("src", pin.Tree[:12])
	err := a.cache.ensure(product{
		name: "llama-" + pin.Tree[:12], made: pin.Tree, files: []string{dir},
		make: func() error {
			if err := need("git"); err != nil {
				return err
			}
			temp, err := a.cache.temp()
			if err != nil {
				return err
			}
			defer os.RemoveAll(temp)
			repo, err := a.findTree(temp)
			if err != nil {
				return err
			}
			return exportTree(a.ctx, repo, pin.Tree, dir, filepath.Join(temp, "export"))
		},
	})
	return dir, err
}

// findTree returns a git repository that holds the pinned tree. Every road ends in the tree's hash,
// so none of them has to be trusted.
func (a *app) findTree(temp string) (string, error) {
	pin := a.pins.Llama
	if dir := os.Getenv("LLAMA_CPP_DIR"); dir != "" {
		repo, err := localTree(a.ctx, dir, pin.Tree, filepath.Join(temp, "local"))
		if err != nil {
			return "", fmt.Errorf("LLAMA_CPP_DIR: %w; name a checkout of llama.cpp %s, or unset it",
				err, pin.Version)
		}
		a.say("Taking llama.cpp %s from %s.", pin.Version, dir)
		return repo, nil
	}
	roads := []struct {
		from string
		take func(temp string) (string, error)
	}{
		{"git clone of " + pin.Git.URL, a.cloneTag},
		{"npm package " + pin.NPM.Package + " " + pin.NPM.Version, a.cloneBundle},
	}
	var reasons []error
	for i, road := range roads {
		folder := filepath.Join(temp, fmt.Sprint(i))
		if err := os.Mkdir(folder, 0o755); err != nil {
			return "", err
		}
		p := newProgress(a.out, "Fetching llama.cpp "+pin.Version+": "+road.from, 0)
		repo, err := road.take(folder)
		if err == nil {
			err = holdsTree(a.ctx, repo, pin.Tree)
		}
		p.end()
		if err == nil {
			return repo, nil
		}
		if a.ctx.Err() != nil {
			return "", a.ctx.Err()
		}
		a.say("That did not work (%v).", err)
		reasons = append(reasons, fmt.Errorf("%s: %w", road.from, err))
	}
	return "", fmt.Errorf("llama.cpp %s cannot be had: get a checkout of its tag %s some other way and name it in LLAMA_CPP_DIR\n%w",
		pin.Version, pin.Git.Tag, errors.Join(reasons...))
}

// localTree accepts a checkout that has the tree among its objects, whatever is checked out, or a
// plain folder whose content is the tree.
func localTree(ctx context.Context, dir, tree, temp string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return "", fmt.Errorf("%s is not a folder", dir)
	}
	if gitDir, err := output(git(ctx, dir, "rev-parse", "--absolute-git-dir")); err == nil {
		return gitDir, holdsTree(ctx, gitDir, tree)
	} else if exists(filepath.Join(dir, ".git")) {
		return "", err // such as git's own advice about a folder of another user
	}
	if !exists(filepath.Join(dir, "include", "llama.h")) {
		// rather than hashing a home folder
		return "", fmt.Errorf("%s is not llama.cpp: it has no include/llama.h", dir)
	}
	if err := os.Mkdir(temp, 0o755); err != nil {
		return "", err
	}
	got, err := hashFolder(ctx, dir, temp)
	if err != nil {
		return "", err
	}
	if got != tree {
		return "", fmt.Errorf("the content of %s has the git tree hash %s, not %s", dir, got, tree)
	}
	return filepath.Join(temp, ".git"), nil
}

// hashFolder computes the git tree hash of a folder through a temporary repository, which then
// holds the tree.
func hashFolder(ctx context.Context, dir, temp string) (string, error) {
	if _, err := output(git(ctx, temp, "init", "-q")); err != nil {
		return "", err
	}
	there := []string{"--git-dir=" + filepath.Join(temp, ".git"), "--work-tree=" + dir}
	// -f: the release tracks a few files that its own .gitignore names.
	if _, err := output(git(ctx, dir, append(there, "add", "-A", "-f", ".")...)); err != nil {
		return "", err
	}
	return output(git(ctx, dir, append(there, "write-tree")...))
}

func (a *app) cloneTag(temp string) (string, error) {
	ctx, cancel := context.WithTimeoutCause(a.ctx, cloneTimeout,
		fmt.Errorf("no answer within %s", cloneTimeout))
	defer cancel()
	repo := filepath.Join(temp, "repo")
	pin := a.pins.Llama.Git
	_, err := output(git(ctx, temp, "clone", "-q", "--bare", "--depth", "1", "--branch", pin.Tag,
		pin.URL, repo))
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return repo, err
}

func (a *app) cloneBundle(temp string) (string, error) {
	if err := need("npm"); err != nil {
		return "", err
	}
	pin := a.pins.Llama.NPM
	npm := command(a.ctx, temp, "npm", "pack", "--silent", pin.Package+"@"+pin.Version)
	if _, err := output(npm); err != nil {
		return "", err
	}
	bundle := filepath.Join(temp, "release.bundle")
	if err := takeMember(filepath.Join(temp, "*.tgz"), pin, tarMember, bundle); err != nil {
		return "", err
	}
	repo := filepath.Join(temp, "repo")
	_, err := output(git(a.ctx, temp, "clone", "-q", "--bare", bundle, repo))
	return repo, err
}

// takeMember takes the pinned file out of the one archive that pattern matches, checking both.
func takeMember(pattern string, pin packagePin, take func(archive, member, to string) error,
	to string) error {
	archives, _ := filepath.Glob(pattern)
	if len(archives) != 1 {
		return fmt.Errorf("%s %s came as %d archives instead of one", pin.Package, pin.Version,
			len(archives))
	}
	if err := checkSHA256(archives[0], pin.ArchiveSHA256); err != nil {
		return err
	}
	if err := take(archives[0], pin.Member, to); err != nil {
		return err
	}
	return checkSHA256(to, pin.MemberSHA256)
}

func holdsTree(ctx context.Context, repo, tree string) error {
	if _, err := output(git(ctx, repo, "--git-dir=.", "cat-file", "-e",
		tree+"^{tree}")); err != nil {
		head, _ := output(git(ctx, repo, "--git-dir=.", "rev-parse", "HEAD^{tree}"))
		return fmt.Errorf("%s does not hold the git tree %s (its HEAD is the tree %s)", repo, tree,
			head)
	}
	return nil
}

// exportTree writes a tree's files to dir, by way of temp, which is on the same file system.
func exportTree(ctx context.Context, repo, tree, dir, temp string) error {
	if err := os.Mkdir(temp, 0o755); err != nil {
		return err
	}
	archive := git(ctx, repo, "--git-dir=.", "archive", "--format=tar", tree)
	var complaint strings.Builder
	archive.Stderr = &complaint
	if err := pipe(archive, temp); err != nil {
		return fmt.Errorf("git archive %s: %w %s", tree, err, lastLines(complaint.String(), 1))
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return os.Rename(temp, dir)
}

func pipe(archive *exec.Cmd, dir string) error {
	stdout, err := archive.StdoutPipe()
	if err != nil {
		return err
	}
	if err := archive.Start(); err != nil {
		return err
	}
	err = untar(stdout, dir)
	stdout.Close() // lets git end when unpacking did not
	return errors.Join(err, archive.Wait())
}
