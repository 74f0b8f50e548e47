package main

import (
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
)

// result is what llama-cli says about a turn.
type result struct {
	prompt, generation float64 // tokens per second
	// the library's statistics, without brackets; empty if there were none
	retro  string
	others float64 // processors that other programs used meanwhile
}

var (
	speedLine  = regexp.MustCompile(`^\[ Prompt: ([0-9.]+) t/s \| Generation: ([0-9.]+) t/s \]`)
	retroLine  = regexp.MustCompile(`^\[ Retro: (.*) \]\s*$`)
	sparseText = regexp.MustCompile(`(\d+) of (\d+) tokens sparse`)
)

func parseResult(text string) (result, error) {
	var r result
	found := false
	for line := range strings.Lines(text) {
		if m := speedLine.FindStringSubmatch(line); m != nil {
			found = true
			r.prompt, _ = strconv.ParseFloat(m[1], 64)
			r.generation, _ = strconv.ParseFloat(m[2], 64)
		}
		if m := retroLine.FindStringSubmatch(line); m != nil {
			r.retro = m[1]
		}
	}
	if !found {
		return r, fmt.Errorf("llama-cli ended without its line of timings; it said:\n%s",
			lastLines(text, 15))
	}
	return r, nil
}

// active tells whether the library took part; a run that silently fell back to stock attention must
// not pass for one.
func (r result) active() error {
	if r.retro == "" {
		return fmt.Errorf("the feature was not active: llama-cli printed no statistics of libretroattn")
	}
	m := sparseText.FindStringSubmatch(r.retro)
	if m == nil {
		return fmt.Errorf("it is unknown whether the feature was active: the statistics %q do not say how many tokens were sparse", r.retro)
	}
	if n, _ := strconv.Atoi(m[1]); n == 0 {
		return fmt.Errorf("the feature was not active: none of %s tokens was sparse; a short text is read whole, so give one of some thousand words", m[2])
	}
	return nil
}

// answer is the standard output of llama-cli. It keeps all of it, and passes on the answer alone:
// what follows the echo of the prompt, up to the line of timings.
type answer struct {
	to    io.Writer
	echo  string // how llama-cli repeats the prompt
	begin func() // called before the first byte of the answer

	all    strings.Builder
	passed int // how much of all has been passed on or left out
	state  int
}

const (
	beforeEcho = iota
	beforeAnswer
	inAnswer
	afterAnswer
)

func newAnswer(to io.Writer, prompt string, begin func()) *answer {
	const limit = 500 // of llama-cli
	echo := prompt
	if len(prompt) > limit {
		echo = prompt[:limit] + " ... (truncated)"
	}
	return &answer{to: to, echo: "\n> " + echo + "\n", begin: begin}
}

func (a *answer) Write(p []byte) (int, error) {
	a.all.Write(p)
	text := a.all.String()
	if a.state == beforeEcho {
		if i := strings.Index(text, a.echo); i >= 0 {
			a.state, a.passed = beforeAnswer, i+len(a.echo)
		}
	}
	if a.state == beforeAnswer {
		rest := strings.TrimLeft(text[a.passed:], "\n")
		if a.passed = len(text) - len(rest); rest != "" {
			a.state = inAnswer
			a.begin()
		}
	}
	if a.state == inAnswer {
		end, last := answerEnd(text[a.passed:])
		if last {
			a.state = afterAnswer
		}
		if _, err := io.WriteString(a.to, text[a.passed:a.passed+end]); err != nil {
			return 0, err
		}
		a.passed += end
	}
	return len(p), nil
}

// answerEnd says how much of text surely belongs to the answer, and whether the line of timings
// follows.
func answerEnd(text string) (end int, last bool) {
	const timings = "[ Prompt: "
	if i := strings.Index(text, "\n"+timings); i >= 0 {
		return len(strings.TrimRight(text[:i], "\n")), true
	}
	// What may yet become the line of timings has to wait, with the newlines before it.
	if i := strings.LastIndex(text, "\n"); i >= 0 && strings.HasPrefix(timings, text[i+1:]) {
		return len(strings.TrimRight(text[:i], "\n")), false
	}
	return len(text), false
}
