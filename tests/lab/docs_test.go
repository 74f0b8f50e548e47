package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/tests/lab/speed"
)

var shownCommand = regexp.MustCompile("go run \\./build (eval|bench (?:decode|prompt|kernels))([^`#\n]*)")

// Commands that the documentation shows are ones that the laboratory takes.
func TestCommandsShownExist(t *testing.T) {
	for _, name := range []string{"RETRO_PATCHED_DIR", "RETRO_MODEL"} {
		t.Setenv(name, ".")
	}
	pages, err := filepath.Glob("../../docs/*.md")
	require.NoError(t, err)
	n := 0
	for _, page := range append(pages, "../../README.md", "../../CONTRIBUTING.md") {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		joined := regexp.MustCompile(`\\\n\s*`).ReplaceAllString(string(text), "")
		for _, m := range shownCommand.FindAllStringSubmatch(joined, -1) {
			args := []string{strings.TrimPrefix(m[1], "bench ")}
			if args[0] == "prompt" {
				args = []string{"decode", "--prompt"}
			}
			grammar := cli
			parser, err := kong.New(&grammar, kong.Vars{"policies": speed.Names()},
				kong.Exit(func(int) { t.Fatalf("%s: %s ends the program", page, m[0]) }))
			require.NoError(t, err)
			flags := strings.Fields(regexp.MustCompile(`[,;:)(|].*$`).ReplaceAllString(m[2], ""))
			if len(flags) > 0 && flags[len(flags)-1] == "--help" {
				continue
			}
			_, err = parser.Parse(append(args, flags...))
			require.NoError(t, err, "%s shows %s", page, m[0])
			n++
		}
	}
	require.Greater(t, n, 5)
}
