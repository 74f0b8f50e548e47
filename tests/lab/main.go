package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"github.com/retroattn/retroattn/tests/lab/bench"
	"github.com/retroattn/retroattn/tests/lab/eval"
	"github.com/retroattn/retroattn/tests/lab/eval/report"
	"github.com/retroattn/retroattn/tests/lab/speed"
	"github.com/retroattn/retroattn/tests/lab/synth"
)

var cli struct {
	Eval    eval.Command        `cmd:"" help:"Measure quality: policies of sparse attention against full attention. An interrupted run goes on where it was."`
	Decode  speed.Command       `cmd:"" help:"Measure decoding by stock llama.cpp and by this project, in turns."`
	Kernels bench.Command       `cmd:"" help:"Measure the kernels against what the processor can do, and against ggml."`
	Docs    report.DocsCommand  `cmd:"" help:"Write the plots and tables of docs/ from the lines in docs/results."`
	Synth   synth.Command       `cmd:"" help:"Write a llama model with random weights, for measurements of speed."`
	Worker  speed.WorkerCommand `cmd:"" hidden:"" help:"One of the two processes of decode."`
}

func main() {
	command := kong.Parse(&cli, kong.Name("lab"), kong.UsageOnError(),
		kong.Vars{"policies": speed.Names()},
		kong.Description("Measures the quality and the speed of sparse attention."))
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	ctx, stop := signal.NotifyContext(context.Background(), signals...)
	// A second one, not of the same key press, ends this at once.
	context.AfterFunc(ctx, func() { time.AfterFunc(time.Second, stop) })
	command.BindTo(ctx, (*context.Context)(nil))
	err := command.Run()
	if errors.Is(err, context.Canceled) {
		err = errors.New("interrupted")
	}
	if err != nil {
		name, _, _ := strings.Cut(command.Command(), " ")
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
}
