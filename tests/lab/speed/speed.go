package speed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/retroattn/retroattn/tests/lab/eval/tasks"
)

// Command is the command line. What `go run ./build bench decode` prepares is in the environment.
type Command struct {
	Lib   string `env:"RETRO_PATCHED_DIR" required:"" placeholder:"DIR" help:"Folder of the patched llama.cpp libraries."`
	Retro string `env:"RETRO_LIB" placeholder:"FILE" help:"libretroattn; else the one in that folder."`
	Stock string `env:"RETRO_STOCK_DIR" placeholder:"DIR" help:"Folder of the stock llama.cpp libraries; else the patched ones are used with the feature off."`
	Model string `env:"RETRO_MODEL" required:"" placeholder:"FILE" help:"GGUF model."`
	Text  string `placeholder:"FILE" help:"Text to fill caches with, and to decode; else one of ours."`

	Depths    []int    `placeholder:"N" help:"Tokens in each sequence before the clock starts: 0 to 131072."`
	Seqs      []int    `placeholder:"N" help:"Numbers of sequences."`
	Types     []string `placeholder:"TYPE" help:"Types of the KV cache, such as f16,q8_0."`
	Policies  []string `sep:"none" placeholder:"NAME" help:"What to compare with stock: names of ${policies}, or NAME=OPTIONS of your own; repeat it for several."`
	Runs      int      `default:"3" help:"Rounds, in each of which every policy has a run."`
	Seconds   float64  `default:"1.5" help:"About how long a run is."`
	Threads   int      `default:"0" help:"Threads; 0 tries which number is best for stock."`
	Draft     int      `default:"32" help:"Most tokens of a draft, of policies whose names begin with lossless."`
	Prefill   int      `default:"2048" help:"Tokens of the prompt that is processed with and without the feature; 0 leaves it out."`
	Fill      int      `default:"4096" help:"Tokens of the text that are processed for a cache; a deeper one repeats them."`
	GPULayers int      `name:"gpu-layers" default:"0" help:"Layers on a GPU; more than there are is all. The KV cache is in RAM then, and stock is also measured with it on the GPU."`
	Prompt    bool     `help:"Measure prompts (512 tokens at depths 4096 and 16384) and the verification of 8 drafts (8192 and 32768) instead, which are exact."`
	By        string   `default:"cpu" enum:"cpu,device,plan" help:"Who attends to these beside a GPU: cpu, device, or by a plan: drafts can be left to either."`
	Long      bool     `help:"All types, sequences and depths that fit in memory."`
	Quick     bool     `help:"Tiny, to try the command: the numbers mean nothing."`

	JSON  string `name:"json" placeholder:"FILE" help:"Write a JSON line for each result to FILE; - is stdout, and the tables then go to stderr."`
	Plot  string `placeholder:"FILE.svg" help:"Draw tokens/s over depth."`
	Cache string `type:"path" placeholder:"DIR" help:"Folder for the states of filled caches, which the next run need not make again. Default: in the user's cache folder."`
}

// Names are the policies that --policies takes by name.
func Names() string { return names(policies) }

// Help is shown below the flags.
func (*Command) Help() string {
	return `Beyond --fill tokens the caches repeat their text. Without --depths, --seqs and --types:
F16 at all depths, Q8_0 at some, and 4 and 16 sequences at 4k: some ten minutes with a
model of 135M on two cores.`
}

// Run measures, and says what came out.
func (o *Command) Run(ctx context.Context) error { return o.run(ctx, os.Stdout) }

func (o *Command) run(ctx context.Context, out io.Writer) error {
	if o.Quick {
		o.small()
	}
	if err := o.check(); err != nil {
		return err
	}
	chosen, err := choosePolicies(o.Policies)
	if err != nil {
		return err
	}
	if o.GPULayers != 0 {
		chosen = slices.Insert(chosen, 1, policy{stockGPUName, ""})
	}
	text := tasks.Text(64 << 10)
	if o.Text != "" {
		data, err := os.ReadFile(o.Text)
		if err != nil {
			return err
		}
		text = string(data)
	}
	b, err := newRunner(ctx, o, text, out)
	if err != nil {
		return err
	}
	defer b.close()
	if o.Prompt {
		return b.runPrompts()
	}
	return b.run(matrix(o.Types, o.Seqs, o.Depths, o.Long, chosen))
}

// small leaves what was asked for alone, as far as it is small.
func (o *Command) small() {
	o.Runs, o.Seconds, o.Fill, o.Prefill = min(o.Runs, 2), 0.1, min(o.Fill, 512),
		min(o.Prefill, 256)
	if len(o.Depths) == 0 {
		o.Depths = []int{0, 2048}
	}
}

// check bounds what comes from outside, and completes it.
func (o *Command) check() error {
	bad := func(name string, v, lo, hi int) error {
		if v < lo || v > hi {
			return fmt.Errorf("--%s %d: must be %d..%d", name, v, lo, hi)
		}
		return nil
	}
	errs := []error{bad("runs", o.Runs, 1, 1000), bad("threads", o.Threads, 0, 512),
		bad("prefill", o.Prefill, 0, 1<<20),
		bad("fill", o.Fill, 64, 1<<20), bad("draft", o.Draft, 1, 64),
		bad("gpu-layers", o.GPULayers, 0, 1<<16)}
	for _, n := range o.Depths {
		errs = append(errs, bad("depths", n, 0, 1<<24))
	}
	for _, n := range o.Seqs {
		errs = append(errs, bad("seqs", n, 1, 256))
	}
	if !(o.Seconds > 0 && o.Seconds <= 600) {
		errs = append(errs, fmt.Errorf("--seconds %v: must be above 0, and at most 600", o.Seconds))
	}
	if o.Stock == "" {
		o.Stock = o.Lib
	}
	for _, dir := range []*string{&o.Lib, &o.Stock} { // the workers must agree on what is the same
		real, err := filepath.EvalSymlinks(*dir)
		if err != nil {
			errs = append(errs, fmt.Errorf("folder of libraries: %w", err))
			continue
		}
		*dir = real
	}
	var err error
	if o.Cache == "" {
		o.Cache, err = cacheDir()
	}
	return errors.Join(append(errs, err)...)
}
