// Command header writes the counters of package stats into a C header, in place of the fields of
// struct retro_stats.
package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/retroattn/retroattn/retro/stats"
)

var fields = regexp.MustCompile(
	`(?s)(struct retro_stats \{\n.*?uint32_t n_cell;[^\n]*\n).*?(\n\};)`)

// update puts the counters into the header's text.
func update(header string) (string, error) {
	if len(fields.FindAllString(header, -1)) != 1 {
		return "", fmt.Errorf("struct retro_stats, with n_cell, must be in the header once")
	}
	var lines []string
	for _, f := range stats.Fields() {
		lines = append(lines, fmt.Sprintf("    %-27s /* %s */", "uint64_t "+f.Name+";", f.Help))
	}
	return fields.ReplaceAllString(header, "${1}"+strings.Join(lines, "\n")+"${2}"), nil
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("%d arguments: give the path of the header", len(args))
	}
	text, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	updated, err := update(string(text))
	if err != nil {
		return err
	}
	return os.WriteFile(args[0], []byte(updated), 0o644)
}
