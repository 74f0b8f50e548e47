package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

type rebaseCmd struct {
	To    string `required:"" placeholder:"PATH" help:"A checkout of another version of llama.cpp; it is only read."`
	Write bool   `help:"Where everything applies, write patches/ anew, with the lines of that version."`
}

func (cmd rebaseCmd) Run(a *app) error {
	if err := need("git"); err != nil {
		return err
	}
	s, err := loadSeries(a.root)
	if err != nil {
		return err
	}
	to, err := filepath.Abs(cmd.To)
	if err != nil {
		return err
	}
	if !exists(filepath.Join(to, "include", "llama.h")) {
		return fmt.Errorf("--to is %s, which has no include/llama.h: name a checkout of llama.cpp",
			to)
	}
	temp, err := os.MkdirTemp("", "retroattn-rebase-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	if there, err := s.unapplies(a.ctx, to, filepath.Join(temp, "reverse")); err != nil || there {
		return firstError(err, fmt.Errorf("the patches are already applied in %s: name a checkout without them", to))
	}
	trials, err := s.try(a.ctx, to, filepath.Join(temp, "trial"))
	if err != nil {
		return err
	}
	if failed := report(a, trials); failed > 0 {
		if cmd.Write {
			a.say("Nothing was written.")
		}
		a.say("In a git checkout of that version: git am --3way %s, settle the conflicts, and make the "+
			"patches anew by git format-patch, as CONTRIBUTING.md shows.",
			filepath.Join(a.root, "patches", "*.patch"))
		return errSaid
	}
	if !cmd.Write {
		return nil
	}
	if err := s.rewrite(a.ctx, to, filepath.Join(temp, "rewrite"),
		filepath.Join(a.root, "patches")); err != nil {
		return err
	}
	a.say("Wrote %d patches. Change the version in third_party/pins.json, too, and run the tests.",
		len(s.patches))
	return nil
}

func firstError(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// trial is what became of one patch's changes to one file.
type trial struct {
	patch, file    string
	hunks, shifted int      // shifted: that apply at other lines
	failed         []string // headers of the hunks that do not apply
	reason         string   // why none does: such as a missing file
}

// try applies each patch as far as it goes to the files of base, in the new folder scratch. What
// fails in one patch is missing in the next, which may then fail for that reason.
func (s series) try(ctx context.Context, base, scratch string) ([]trial, error) {
	if err := s.copyTouched(base, scratch); err != nil {
		return nil, err
	}
	var trials []trial
	for _, patch := range s.patches {
		text, err := os.ReadFile(patch)
		if err != nil {
			return nil, err
		}
		for _, part := range splitPatch(string(text)) {
			t, err := tryFile(ctx, scratch, part)
			if err != nil {
				return nil, err
			}
			t.patch = filepath.Base(patch)
			trials = append(trials, t)
		}
	}
	return trials, nil
}

// splitPatch returns the changes to each file.
func splitPatch(text string) []string {
	var parts []string
	starts := diffLine.FindAllStringIndex(text, -1)
	for i, start := range starts {
		end := len(text)
		if i+1 < len(starts) {
			end = starts[i+1][0]
		}
		parts = append(parts, text[start[0]:end])
	}
	return parts
}

var (
	hunkLine    = regexp.MustCompile(`(?m)^@@ -.*$`)
	shiftedLine = regexp.MustCompile(`(?m)^Hunk #\d+ succeeded at`)
)

func tryFile(ctx context.Context, scratch, part string) (trial, error) {
	t := trial{file: diffLine.FindStringSubmatch(part)[2],
		hunks: len(hunkLine.FindAllString(part, -1))}
	apply := git(ctx, scratch, "apply", "--reject", "--verbose", "--whitespace=nowarn", "-")
	apply.Stdin = strings.NewReader(part)
	text, err := apply.CombinedOutput()
	t.shifted = len(shiftedLine.FindAll(text, -1))
	if err == nil || ctx.Err() != nil {
		return t, ctx.Err()
	}
	rejected := filepath.Join(scratch, t.file+".rej")
	if hunks, err := os.ReadFile(rejected); err == nil {
		t.failed = hunkLine.FindAllString(string(hunks), -1)
		return t, os.Remove(rejected)
	}
	t.failed, t.reason = hunkLine.FindAllString(part, -1), "no hunk applies"
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "error: "+t.file+": "); ok {
			t.reason = strings.TrimSpace(rest)
		}
	}
	return t, nil
}

// report prints what failed and returns how many hunks did.
func report(a *app, trials []trial) int {
	hunks, shifted, failed := 0, 0, 0
	patch := ""
	for _, t := range trials {
		hunks, shifted, failed = hunks+t.hunks, shifted+t.shifted, failed+len(t.failed)
		if len(t.failed) > 0 && t.patch != patch {
			patch = t.patch
			a.say("%s", patch)
		}
		if t.reason != "" {
			a.say("  %s: %s (hunks: %d)", t.file, t.reason, len(t.failed))
			continue
		}
		for _, header := range t.failed {
			a.say("  %s:%s  %s", t.file, hunkStart(header), header)
		}
	}
	a.say("%d hunks, %d apply at other lines, %d do not apply.", hunks, shifted, failed)
	return failed
}

// hunkStart is the line of the original file at which a hunk begins.
func hunkStart(header string) string {
	line, _, _ := strings.Cut(strings.TrimPrefix(header, "@@ -"), ",")
	line, _, _ = strings.Cut(line, " ")
	return line
}

// rewrite makes the patches anew from base, with their messages, authors and dates.
func (s series) rewrite(ctx context.Context, base, scratch, to string) error {
	if err := s.copyTouched(base, scratch); err != nil {
		return err
	}
	steps := [][]string{
		{"init", "-q"}, {"add", "-A", "-f", "."}, {"commit", "-q", "--allow-empty", "-m", "base"},
		append([]string{"am", "-q", "--whitespace=nowarn"}, s.patches...),
		{"format-patch", "-q", "--zero-commit", "--no-numbered", "--no-signature", "-o", "made",
			fmt.Sprintf("HEAD~%d", len(s.patches))},
	}
	for _, step := range steps {
		cmd := git(ctx, scratch, append([]string{"-c", "user.name=rebase", "-c",
			"user.email=rebase@invalid", "-c", "core.abbrev=7", "-c", "commit.gpgsign=false"},
			step...)...)
		// the user's diff settings
		cmd.Env = append(cmd.Env, "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1")
		if _, err := output(cmd); err != nil {
			return fmt.Errorf("git %s: %w", step[0], err)
		}
	}
	made, err := filepath.Glob(filepath.Join(scratch, "made", "*.patch"))
	if err != nil {
		return err
	}
	for _, old := range s.patches {
		if err := os.Remove(old); err != nil {
			return err
		}
	}
	for _, patch := range made {
		if err := copyFile(patch, filepath.Join(to, filepath.Base(patch))); err != nil {
			return err
		}
	}
	return nil
}
