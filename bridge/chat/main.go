package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/retroattn/retroattn/bridge"
)

type flags struct {
	Lib     string  `required:"" help:"Folder that holds libllama, as \"go run ./build all\" prints it."`
	Model   string  `required:"" short:"m" help:"A GGUF model with a chat template."`
	System  string  `help:"What the model is to keep to."`
	Ctx     int     `default:"8192" short:"c" help:"Context size in tokens."`
	Threads int     `default:"0" short:"t" help:"0: one per processor."`
	Predict int     `default:"0" short:"n" help:"Most tokens of a reply; 0: as many as fit."`
	Retro   *string `placeholder:"K=V,..." help:"Sparse attention with these options, \"\" for the defaults."`
	Target  string  `help:"Sparse attention with options chosen by measuring, for speed, balanced or quality."`
	Temp    float64 `default:"0.7" help:"Temperature; 0: always the likeliest token."`
	TopK    int     `default:"40"`
	TopP    float64 `default:"0.95"`
	Repeat  float64 `default:"1.1" help:"Repeat penalty; 1: none."`
	Seed    uint32  `default:"0" help:"0: another one each time."`
}

func main() {
	var f flags
	kong.Parse(&f, kong.Name("chat"), kong.Description("Talks with a model."))
	if err := f.run(); err != nil {
		fmt.Fprintln(os.Stderr, "chat:", err)
		os.Exit(1)
	}
}

func (f *flags) run() error {
	lib, err := bridge.Load(bridge.Paths{Dir: f.Lib})
	if err != nil {
		return err
	}
	model, err := lib.LoadModel(f.Model, bridge.ModelParams{})
	if err != nil {
		return err
	}
	defer model.Close()
	c, err := model.NewContext(bridge.ContextParams{Ctx: f.Ctx, Threads: f.Threads})
	if err != nil {
		return err
	}
	defer c.Close()
	if err := f.enable(c); err != nil {
		return err
	}
	sampler, err := model.NewSampler(bridge.SamplerParams{
		Temperature: f.Temp, TopK: f.TopK, TopP: f.TopP, RepeatPenalty: f.Repeat, Seed: f.Seed,
	})
	if err != nil {
		return err
	}
	defer sampler.Close()
	chat, err := c.NewChat(0, f.System)
	if err != nil {
		return err
	}
	return talk(chat, bridge.GenerateOptions{MaxTokens: f.Predict, Sampler: sampler})
}

// enable switches sparse attention on if a flag asks for it.
func (f *flags) enable(c *bridge.Context) error {
	if f.Retro == nil && f.Target == "" {
		return nil
	}
	var options []string
	if f.Retro != nil {
		options = append(options, *f.Retro)
	}
	if f.Target != "" {
		options = append(options, "target="+f.Target)
	}
	if err := c.EnableRetro(strings.Join(options, ",")); err != nil {
		return err
	}
	if plan := c.RetroPlan(); plan != "" {
		fmt.Println(plan)
	}
	return nil
}

// talk answers lines until there are no more.
func talk(chat *bridge.Chat, opt bridge.GenerateOptions) error {
	in := bufio.NewReader(os.Stdin)
	for {
		fmt.Print("> ")
		line, err := in.ReadString('\n')
		if err != nil && line == "" {
			fmt.Println()
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if line = strings.TrimRight(line, "\r\n"); line == "" {
			continue
		}
		if err := answer(chat, line, opt); err != nil {
			return err
		}
	}
}

// answer streams a reply. A signal ends the reply and not the program; at the prompt nothing
// catches it.
func answer(chat *bridge.Chat, line string, opt bridge.GenerateOptions) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	reply, err := chat.Send(ctx, line, opt, func(piece string) bool { fmt.Print(piece); return true })
	switch {
	case errors.Is(err, context.Canceled):
		fmt.Print(" [interrupted]")
	case errors.Is(err, bridge.ErrTooLong):
		chat.Reset()
		fmt.Printf("[%v; what was said is forgotten]\n", err)
		return nil
	case err != nil:
		return err
	}
	fmt.Printf("\n[%d + %d tokens, %.1f tokens/s", reply.Prompt, len(reply.Tokens),
		float64(len(reply.Tokens))/max(reply.Time.Seconds(), 1e-9))
	if reply.Retro != nil {
		fmt.Printf("; %v", reply.Retro)
	}
	fmt.Println("]")
	return nil
}
