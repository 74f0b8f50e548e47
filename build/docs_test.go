package main

import (
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/retro/options"
)

// pages are the texts for users, by their path from the root of the checkout.
func pages(t *testing.T) map[string]string {
	names, err := filepath.Glob("../docs/*.md")
	require.NoError(t, err)
	texts := map[string]string{}
	for _, name := range append(names, "../README.md", "../CONTRIBUTING.md") {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		texts[strings.TrimPrefix(name, "../")] = string(text)
	}
	require.Greater(t, len(texts), 8)
	return texts
}

func TestReadmeIsOnePage(t *testing.T) {
	assert.LessOrEqual(t, strings.Count(pages(t)["README.md"], "\n"), 120)
}

var (
	link    = regexp.MustCompile(`\]\(([^)#]*)(#[^)]*)?\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	slugged = regexp.MustCompile(`[^a-z0-9 -]`)
)

func anchors(text string) []string {
	var names []string
	for _, m := range heading.FindAllStringSubmatch(text, -1) {
		names = append(names, "#"+strings.ReplaceAll(slugged.ReplaceAllString(strings.ToLower(m[1]),
			""), " ", "-"))
	}
	return names
}

func TestLinksLeadSomewhere(t *testing.T) {
	texts := pages(t)
	for name, text := range texts {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			to, anchor := filepath.Join(filepath.Dir(name), m[1]), m[2]
			if strings.HasPrefix(m[1], "http") {
				continue
			}
			if m[1] == "" {
				to = name
			}
			assert.FileExists(t, filepath.Join("..", to), "%s links to %s", name, m[0])
			if anchor != "" {
				assert.Contains(t, anchors(texts[to]), anchor, "%s links to %s", name, m[0])
			}
		}
	}
}

var (
	shownCommand = regexp.MustCompile("go run \\./build ([a-z][^`#\\n]*)")
	flagUsed     = regexp.MustCompile(`--retro-[a-z-]+`)
)

// Commands that are shown are ones that the program takes. The flags of eval and bench are checked
// in tests/lab.
func TestCommandsShownExist(t *testing.T) {
	n := 0
	for name, text := range pages(t) {
		for _, m := range shownCommand.FindAllStringSubmatch(text, -1) {
			line := strings.TrimRight(regexp.MustCompile(`[,.;:)|(].*$`).ReplaceAllString(strings.TrimSpace(m[1]), ""), " ")
			args := strings.Fields(line)
			if strings.ToUpper(args[len(args)-1]) == args[len(args)-1] && len(args) > 1 {
				args[len(args)-1] = "x" // a placeholder
			}
			n++
			t.Run(name+": "+line, func(t *testing.T) {
				if strings.Contains(line, "--deb") && runtime.GOOS != "linux" {
					t.Skipf("on %s no package for Debian can be made", runtime.GOOS)
				}
				grammar := cli
				parser, err := kong.New(&grammar,
					kong.Exit(func(int) { t.Fatalf("%s: %s ends the program", name, line) }))
				require.NoError(t, err)
				_, err = parser.Parse(args)
				assert.NoError(t, err, "%s shows go run ./build %s", name, m[1])
			})
		}
	}
	assert.Greater(t, n, 8)
}

func TestFlagsShownExist(t *testing.T) {
	patches, err := filepath.Glob("../patches/*.patch")
	require.NoError(t, err)
	known := ""
	for _, p := range patches {
		text, err := os.ReadFile(p)
		require.NoError(t, err)
		known += string(text)
	}
	for name, text := range pages(t) {
		for _, flag := range flagUsed.FindAllString(text, -1) {
			assert.Contains(t, known, `"`+flag+`"`, "%s names %s", name, flag)
		}
	}
}

// allOptions are the keys of an options string.
func allOptions(t *testing.T) []string {
	_, err := options.Parse("no=1")
	_, list, ok := strings.Cut(err.Error(), "options are ")
	require.True(t, ok)
	return strings.Split(list, ", ")
}

// Every option has a row, and every row is one.
func TestOptionsShown(t *testing.T) {
	var shown []string
	row := regexp.MustCompile("(?m)^\\|[^|`]*(?:`--[^|]*)?\\|? ?`([a-z_]+)` \\|")
	for _, m := range row.FindAllStringSubmatch(pages(t)["docs/options.md"], -1) {
		shown = append(shown, m[1])
	}
	assert.ElementsMatch(t, allOptions(t), shown)
}

// The programs' help names every option: those without a flag of their own at --retro-opts.
func TestOptionsInHelp(t *testing.T) {
	patches, err := filepath.Glob("../patches/0002-*.patch")
	require.NoError(t, err)
	require.Len(t, patches, 1)
	text, err := os.ReadFile(patches[0])
	require.NoError(t, err)
	_, help, _ := strings.Cut(string(text), `"--retro-opts"`)
	help, _, ok := strings.Cut(help, "set_env")
	require.True(t, ok)
	words := regexp.MustCompile(`[a-z_]+`).FindAllString(help, -1)
	for _, name := range allOptions(t) {
		if !strings.Contains(string(text), `"`+name+`=" + value`) {
			assert.Contains(t, words, name)
		}
	}
}
