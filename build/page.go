package main

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// pageFolder holds the sources of llama-server's web page in llama.cpp.
const pageFolder = "tools/ui"

// pageConfig is Vite's configuration, which writes down what is in the page.
//
//go:embed page/packages.config.ts
var pageConfig string

// pageWish is what a command does where the cache has no page.
type pageWish int

const (
	pageAsFound    pageWish = iota // without, since it starts no browser
	pageIfPossible                 // makes it, or says why not
	pageNeeded                     // makes it, or fails
)

// page is where llama-server's web page is, made by npm of llama.cpp's sources and of the packages
// that their lock file pins; empty if there is none.
func (a *app) page(s series, pristine string) (string, error) {
	key, err := s.pageKey(a.pins.Llama.Tree)
	if err != nil {
		return "", err
	}
	dir := a.cache.path("page", key)
	p := product{name: "page", made: key, files: []string{filepath.Join(dir, pageLicence),
		filepath.Join(dir, "dist", "index.html")},
		make: func() error { return a.makePage(s, pristine, key, dir) }}
	if a.wish == pageAsFound {
		if a.cache.ready(p) {
			return dir, nil
		}
		return "", nil
	}
	if err = a.cache.ensure(p); err == nil {
		return dir, nil
	}
	if a.wish == pageNeeded || a.ctx.Err() != nil {
		return "", fmt.Errorf("the web page of llama-server cannot be built: %w", err)
	}
	a.say("llama-server is built without its web page: %v", err)
	return "", nil
}

// pageKey is a hash of what the page is made from.
func (s series) pageKey(tree string) (string, error) {
	hash := sha256.New()
	fmt.Fprintf(hash, "%s\n%s", tree, pageConfig)
	for _, patch := range s.patches {
		text, err := os.ReadFile(patch)
		if err != nil {
			return "", err
		}
		for _, part := range splitPatch(string(text)) {
			if strings.HasPrefix(diffLine.FindStringSubmatch(part)[2], pageFolder+"/") {
				fmt.Fprint(hash, part)
			}
		}
	}
	return fmt.Sprintf("%x", hash.Sum(nil))[:12], nil
}

// makePage builds the page, and keeps beside it what drives a browser in the tests: Playwright, in
// the version that the page's lock file pins.
func (a *app) makePage(s series, pristine, key, dir string) error {
	if err := need("npm"); err != nil {
		return err
	}
	temp, err := a.cache.temp()
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	source, made := filepath.Join(temp, pageFolder), filepath.Join(temp, "made")
	if err := s.pageSource(a.ctx, pristine, temp); err != nil {
		return err
	}
	if err := a.npm(source, dir+".log", key, filepath.Join(made, "dist")); err != nil {
		return err
	}
	if !exists(filepath.Join(made, "dist", "index.html")) {
		return fmt.Errorf("npm run build has left no index.html: see %s", dir+".log")
	}
	driver := filepath.Join("node_modules", "playwright-core")
	if err := os.CopyFS(filepath.Join(made, "playwright-core"),
		os.DirFS(filepath.Join(source, driver))); err != nil {
		return err
	}
	if err := pageLicences(source, filepath.Join(made, pageLicence)); err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return os.Rename(made, dir)
}

// pageSource writes the patched sources of the page to its folder below temp.
func (s series) pageSource(ctx context.Context, pristine, temp string) error {
	if err := os.CopyFS(filepath.Join(temp, pageFolder),
		os.DirFS(filepath.Join(pristine, pageFolder))); err != nil {
		return err
	}
	result := filepath.Join(temp, "result")
	if err := s.apply(ctx, pristine, result); err != nil {
		return err
	}
	for _, name := range s.touched {
		if !strings.HasPrefix(name, pageFolder+"/") {
			continue
		}
		if err := syncFile(filepath.Join(result, name), filepath.Join(temp, name)); err != nil {
			return err
		}
	}
	return writeFrom(strings.NewReader(pageConfig),
		filepath.Join(temp, pageFolder, "packages.config.ts"), 0o644)
}

// npm installs the packages of the lock file, whose hashes it checks, and builds the page. No
// script of a package is run: none is needed.
func (a *app) npm(source, logFile, version, to string) error {
	log, err := createLog(logFile)
	if err != nil {
		return err
	}
	defer log.Close()
	begun, text := time.Now(), "Building llama-server's web page"
	p := newProgress(a.out, text, 0)
	defer p.end()
	if err := a.logged(log, nil, "npm", "--prefix", source, "ci", "--engine-strict",
		"--ignore-scripts", "--no-audit", "--no-fund"); err != nil {
		return fmt.Errorf("npm ci: %w", err)
	}
	if err := a.logged(log, nil, "cmake", "-E", "env", "LLAMA_UI_OUT_DIR="+to,
		"LLAMA_UI_VERSION="+version, "LLAMA_BUILD_NUMBER="+a.pins.Llama.Version,
		"npm", "--prefix", source, "run", "build", "--",
		"--config", "packages.config.ts"); err != nil {
		return fmt.Errorf("npm run build: %w", err)
	}
	p.end()
	a.say("%s took %s.", text, seconds(time.Since(begun)))
	return nil
}

// usePage puts the page where llama.cpp's build takes one from that is built already, or takes it
// away.
func (n native) usePage() error {
	there := filepath.Join(n.source, pageFolder, "dist")
	if err := os.RemoveAll(there); err != nil || n.page == "" {
		return err
	}
	return os.Symlink(filepath.Join(n.page, "dist"), there)
}
