package eval

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/retroattn/retroattn/bridge"
	"github.com/retroattn/retroattn/tests/divergence"
)

// text is tokens of prose or code.
type text struct {
	name   string
	tokens []bridge.Token
}

// ownTexts are files of the llama.cpp tree, which are the same for everybody.
var ownTexts = []struct {
	name  string
	files []string
}{
	{"prose", []string{"docs/build.md", "README.md", "tools/server/README.md"}},
	{"code", []string{"src/llama-kv-cache.cpp", "src/llama-context.cpp"}},
}

// loadTexts reads the user's texts, or ours.
func loadTexts(m *bridge.Model, paths []string, source string) ([]text, error) {
	var texts []text
	if len(paths) == 0 {
		if source == "" {
			return nil,
				fmt.Errorf("no text: name one with --text, or the llama.cpp source with --source")
		}
		for _, own := range ownTexts {
			t, err := loadText(m, own.name, source, own.files...)
			if err != nil {
				return nil, err
			}
			texts = append(texts, t)
		}
	}
	seen := map[string]bool{}
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
		if seen[name] {
			return nil, fmt.Errorf("two texts are called %s: rename a file", name)
		}
		seen[name] = true
		t, err := loadText(m, name, "", path)
		if err != nil {
			return nil, err
		}
		texts = append(texts, t)
	}
	return texts, nil
}

const maxText = 64 << 20 // bytes

func loadText(m *bridge.Model, name, dir string, files ...string) (text, error) {
	all, err := readTexts(dir, files...)
	if err != nil {
		return text{}, err
	}
	tokens, err := m.Tokenize(all, false, false)
	return text{name, tokens}, err
}

// readTexts reads files, one after another.
func readTexts(dir string, files ...string) (string, error) {
	var all strings.Builder
	for _, f := range files {
		path := filepath.Join(dir, f)
		info, err := os.Stat(path)
		if err != nil {
			return "", err
		}
		if !info.Mode().IsRegular() || info.Size() > maxText {
			return "", fmt.Errorf("text %s: must be a file of at most %d MiB", path, maxText>>20)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		all.Write(data)
	}
	return all.String(), nil
}

// streams are n stretches of the text, one after another.
func (t text) streams(m *bridge.Model, n, prompt, steps int) ([]divergence.Stream, error) {
	each := prompt + steps + 1
	if len(t.tokens) < n*each {
		return nil, fmt.Errorf("text %s has %d tokens; %d streams of %d + %d need %d: give a "+
			"longer text, or fewer --streams, --tokens or a smaller --ctx",
			t.name, len(t.tokens), n, prompt, steps, n*each)
	}
	begin, err := m.Tokenize("", true, false) // what the model wants before a text
	if err != nil {
		return nil, err
	}
	var streams []divergence.Stream
	for i := range n {
		part := append([]bridge.Token(nil), t.tokens[i*each:(i+1)*each]...)
		copy(part, begin)
		streams = append(streams, divergence.Stream{Prompt: part[:prompt], Follow: part[prompt:]})
	}
	return streams, nil
}
