package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"
)

// documentSize, in bytes, gives about 3600 tokens of the default model's vocabulary: two cores have
// read it twice, and answered, in half a minute.
const documentSize = 14000

type demoCmd struct {
	Model    string `placeholder:"PATH" help:"A GGUF model of your own instead of the small default one."`
	Text     string `placeholder:"PATH" help:"A text file of your own instead of the invented ship's log."`
	Question string `placeholder:"STR" help:"What to ask about the text."`
	Tokens   int    `default:"64" help:"How many tokens to generate (default ${default})."`
	Threads  int    `help:"Threads of llama.cpp (default: its own choice)."`
}

// conversation is what the demo asks, of which model.
type conversation struct {
	model    string
	name     string
	prompt   string
	question string
	context  int
}

func (cmd demoCmd) Run(a *app) error {
	if cmd.Tokens < 1 {
		return fmt.Errorf("--tokens is %d: give at least 1", cmd.Tokens)
	}
	if cmd.Threads < 0 {
		return fmt.Errorf("--threads is %d: give at least 1, or leave it out", cmd.Threads)
	}
	c, err := cmd.conversation(a.pins.Model) // refuse before minutes of building
	if err != nil {
		return err
	}
	patched, _, err := a.everything()
	if err != nil {
		return err
	}
	if c.model == "" {
		if c.model, err = a.defaultModel(); err != nil {
			return err
		}
	}
	a.say("\nModel: %s\nText: %s, about %d tokens\nQuestion: %s", filepath.Base(c.model), c.name,
		estimateTokens(c.prompt), c.question)
	a.say("The model goes on for %d tokens even when its answer is complete, so that the speeds compare.", cmd.Tokens)
	a.say("\nWith libretroattn (llama-cli --retro-attn):")
	with, err := cmd.ask(a, patched, c, "--retro-attn")
	if err != nil {
		return err
	}
	a.say("\nThe same without it, for comparison:")
	without, err := cmd.ask(a, patched, c)
	if err != nil {
		return err
	}
	printComparison(a, with, without)
	return with.active()
}

func (cmd demoCmd) conversation(pin modelPin) (conversation, error) {
	c := conversation{model: cmd.Model, name: "an invented ship's log",
		question: firstOf(cmd.Question, defaultQuestion)}
	text := document(documentSize)
	if cmd.Text != "" {
		content, err := os.ReadFile(cmd.Text)
		if err != nil {
			return c, fmt.Errorf("--text: %w", err)
		}
		text, c.name, c.question = string(content), cmd.Text, firstOf(cmd.Question, textQuestion)
	}
	if !utf8.ValidString(text) || strings.TrimSpace(text) == "" {
		return c, fmt.Errorf("--text %s is empty or not UTF-8: name a plain text file", cmd.Text)
	}
	c.prompt = strings.TrimSpace(text) + "\n\n" + strings.TrimSpace(c.question)
	tokens := estimateTokens(c.prompt)
	if c.model != "" {
		if _, err := os.Stat(c.model); err != nil {
			return c, fmt.Errorf("--model: %w", err)
		}
		const step = 1024
		c.context = (tokens*13/10 + cmd.Tokens + step - 1) / step * step
		return c, nil
	}
	c.context = pin.Context
	if tokens+cmd.Tokens > pin.Context {
		return c, fmt.Errorf("the text is about %d tokens long and %d are to be generated, but %s was trained for %d: shorten the text, or name a model for longer contexts with --model",
			tokens, cmd.Tokens, pin.Name, pin.Context)
	}
	return c, nil
}

// estimateTokens is made for prose: a token has about 4 letters of English, or is one character of
// other scripts.
func estimateTokens(text string) int {
	letters, others := 0, 0
	for _, r := range text {
		if r < utf8.RuneSelf {
			letters++
		} else {
			others++
		}
	}
	return letters/4 + others
}

// ask runs one turn of llama-cli and shows its answer as it comes.
func (cmd demoCmd) ask(a *app, patched native, c conversation, extra ...string) (result, error) {
	temp, err := os.MkdirTemp("", "retroattn-demo-")
	if err != nil {
		return result{}, err
	}
	defer os.RemoveAll(temp)
	file := filepath.Join(temp, "prompt.txt")
	if err := os.WriteFile(file, []byte(c.prompt), 0o600); err != nil {
		return result{}, err
	}
	// --simple-io: without it llama-cli writes to the terminal behind our back.
	// --ignore-eos: speeds compare only over the same number of tokens.
	args := []string{"-m", c.model, "-f", file, "-st", "-c", fmt.Sprint(c.context), "-n",
		fmt.Sprint(cmd.Tokens),
		"--temp", "0", "--simple-io", "--no-escape", "--color", "off", "--ignore-eos"}
	if cmd.Threads > 0 {
		args = append(args, "-t", fmt.Sprint(cmd.Threads))
	}
	begun := time.Now()
	p := newProgress(a.out, "Reading the text", 0)
	defer p.end()
	reply := newAnswer(a.out, c.prompt, func() {
		p.end()
		a.say("(the text was read in %s)", seconds(time.Since(begun)))
	})
	var complaint strings.Builder
	run := command(a.ctx, temp, patched.bin("llama-cli"), append(args, extra...)...)
	run.Stdout, run.Stderr = reply, &complaint
	if a.verbose {
		a.say("%s", run)
		run.Stderr = os.Stderr
	}
	before := busyNow()
	err = run.Run()
	after := busyNow()
	p.end()
	a.say("")
	if err != nil {
		return result{}, fmt.Errorf("llama-cli failed: %w; it said:\n%s", err,
			lastLines(reply.all.String()+"\n"+complaint.String(), 15))
	}
	r, err := parseResult(reply.all.String())
	r.others = before.others(after, run.ProcessState.UserTime()+run.ProcessState.SystemTime())
	if err != nil && complaint.Len() > 0 {
		err = errors.Join(err, errors.New(lastLines(complaint.String(), 5)))
	}
	return r, err
}

func printComparison(a *app, with, without result) {
	a.say("")
	table := tabwriter.NewWriter(a.out, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "tokens per second\twith\twithout\tratio\t")
	row := func(name string, x, y float64) {
		ratio := "-"
		if y > 0 {
			ratio = fmt.Sprintf("%.2f", x/y)
		}
		fmt.Fprintf(table, "%s\t%.1f\t%.1f\t%s\t\n", name, x, y, ratio)
	}
	row("generation", with.generation, without.generation)
	row("prompt", with.prompt, without.prompt)
	table.Flush()
	if note := othersNote(with.others, without.others); note != "" {
		a.say("%s", note)
	}
	if with.retro != "" {
		a.say("libretroattn: %s", with.retro)
	}
}
