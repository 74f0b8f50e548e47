package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
)

var cli struct {
	Verbose bool      `help:"Show what the tools print."`
	Fetch   fetchCmd  `cmd:"" help:"Get the llama.cpp source and the default model, checked against their hashes."`
	Patch   patchCmd  `cmd:"" help:"Apply the patch series to a llama.cpp checkout of your own."`
	Lib     libCmd    `cmd:"" help:"Build libretroattn only, in a folder of its own, not beside the programs of all."`
	All     allCmd    `cmd:"" help:"Build libretroattn and the patched llama.cpp."`
	Dist    distCmd   `cmd:"" help:"Pack an archive that installs libretroattn and the patched llama.cpp."`
	Rebase  rebaseCmd `cmd:"" help:"Tell which hunks of the patch series fail on another version of llama.cpp."`
	Demo    demoCmd   `cmd:"" help:"Build everything and ask a model about a long text, with and without libretroattn."`
	Test    testCmd   `cmd:"" help:"Build everything and run all tests."`
	Eval    evalCmd   `cmd:"" passthrough:"" help:"Measure quality: policies of sparse attention against full attention, on a model and texts."`
	Bench   benchCmd  `cmd:"" help:"Measure speed."`
	Docs    docsCmd   `cmd:"" passthrough:"" help:"Write the plots and tables of docs/ from the lines in docs/results."`
}

// app is what every command works with.
type app struct {
	ctx     context.Context
	root    string // of the checkout
	cache   *cache
	pins    pins
	verbose bool
	wish    pageWish
	out     io.Writer
}

func main() {
	command := kong.Parse(&cli, kong.Name("build"), kong.UsageOnError(),
		kong.Description("Builds, shows and tests libretroattn. The usual ones: demo, test."))
	// The first signal ends the children and cleans up, a later one ends this program at once. Not
	// a prompt second: some senders signal a process and then its group.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, func() { time.AfterFunc(time.Second, stop) })
	a, err := newApp(ctx, cli.Verbose)
	if err == nil {
		err = command.Run(a)
	}
	if err == nil {
		return
	}
	if ctx.Err() != nil {
		err = errors.New("interrupted")
	}
	if !errors.Is(err, errSaid) {
		fmt.Fprintln(os.Stderr, "build:", err)
	}
	os.Exit(1)
}

func newApp(ctx context.Context, verbose bool) (*app, error) {
	folder, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	a := &app{ctx: ctx, verbose: verbose, out: os.Stdout}
	if a.root, err = moduleRoot(folder); err != nil {
		return nil, err
	}
	if a.pins, err = loadPins(a.root); err != nil {
		return nil, err
	}
	a.cache, err = openCache(ctx, a.root, tell)
	return a, err
}

// tell says why nothing happens, also to those who take the output to a file or a variable.
func tell(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

func (a *app) say(format string, args ...any) { fmt.Fprintf(a.out, format+"\n", args...) }

var moduleLine = regexp.MustCompile(`(?m)^module (\S*/)?retroattn\s*$`)

func moduleRoot(folder string) (string, error) {
	for dir := folder; ; dir = filepath.Dir(dir) {
		text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && moduleLine.Match(text) {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("%s is not inside the retroattn checkout: change into it first",
				folder)
		}
	}
}
