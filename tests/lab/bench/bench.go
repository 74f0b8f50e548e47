package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"runtime"
	"slices"
	"time"

	"github.com/retroattn/retroattn/kernels"
)

// Command is the command line. What `go run ./build bench kernels` prepares is in the environment.
type Command struct {
	JSON    string         `name:"json" placeholder:"FILE" help:"Write a JSON line for each result to FILE; - is stdout, and the tables then go to stderr."`
	Filter  *regexp.Regexp `placeholder:"REGEXP" help:"Measure only what has a matching name; --list prints the names."`
	Threads []int          `default:"1,2" help:"Numbers of threads."`
	Runs    int            `default:"11" help:"Runs of each measurement."`
	List    bool           `help:"Print the names of the measurements and stop."`
	Stock   string         `env:"RETRO_STOCK_DIR" placeholder:"DIR" help:"Folder of the stock llama.cpp libraries, for its ggml."`
	NoGGML  bool           `name:"no-ggml" help:"Do not compare with ggml, which needs a built llama.cpp."`
	Quick   bool           `hidden:"" help:"Tiny sizes and short runs, to try the command itself: the numbers mean nothing."`
}

func (Command) Help() string {
	return `Kernels: dot and acc over K or V; attend, which is dot, softmax and acc in blocks of 256 tokens;
rows, which is the same for many rows, by tiles that are converted once for all; scan over 8-bit
page summaries (of F16 ones it is dot), and scan4 over means and spreads in 4 bits; codes, the
estimates of all tokens of pages by residual codes of 1 (r1) and 2 bits; topk of 65536 scores;
gather, which is attend over 512 tokens chosen out of 32768; dense, the engine with exact attention
in the shape of SmolLM2 (8192 tokens, 9 heads on 3, size 64).

Run by default, in about 9 minutes on two cores:

  attend      memory  every type, head size (64, 128, 256), rows (1, 3, 8, 24) and number of threads
              L3      f16 and q8_0, head sizes 64 and 128, 3 rows, every number of threads
  gather      memory  f16 and q8_0, head sizes 64 and 128, 1 and 3 rows, every number of threads
  rows        memory  every type, head size, number of threads, and 24 and 64 rows
  dot, acc    memory  every type, head size and rows with the first number of threads, else 3 rows
              L2      every type, head size and rows with the first number of threads
              L3      f16 and q8_0, head sizes 64 and 128, 3 rows
  scan(4)     memory and L2, every head size, 1, 3 and 8 rows
  codes       memory and L2, every head size, 1 and 2 bits, 1, 3, 6, 8 and 24 rows
  topk        the best 16 and 256, against sorting a copy
  dense       f16, q8_0 and q4_0, every number of threads

A working set is memory (four times the L3 cache or more, used in rotation, so that nothing is
found in a cache), L3 (a quarter of it) or L2 (half of one thread's). Cells hold the rows of 4
heads side by side, as in llama.cpp's cache.

GB/s are bytes of K and V per time. For attend and gather a bare read of the same rows in the same
order is measured, too: that is all that memory gives of what does not lie together. What is
compared (the kernel, a plain read of the same bytes, ggml's flash attention on the same tensors)
takes turns. GB/s and GFLOP/s are the medians of the runs; shares and ratios compare the best runs,
since other load only ever slows down. The share of the multiply-add peak can exceed 1 for quantised
types, which multiply in 8 bits. ggml runs in this process. Its OpenMP threads spin for a while
after each call; the measurement goes on once the process uses no processor time.`
}

func (cmd *Command) Validate() error {
	if cmd.Runs < 1 || cmd.Runs > 1000 {
		return fmt.Errorf("--runs %d: must be 1..1000", cmd.Runs)
	}
	for _, n := range cmd.Threads {
		if n < 1 || n > 1024 {
			return fmt.Errorf("--threads %d: must be 1..1024", n)
		}
	}
	return nil
}

// Run measures, and says what came out.
func (cmd *Command) Run(ctx context.Context) error {
	if cmd.JSON == "-" {
		return cmd.run(ctx, os.Stderr)
	}
	return cmd.run(ctx, os.Stdout)
}

func (cmd *Command) run(ctx context.Context, out io.Writer) error {
	cases := cmd.cases()
	if len(cases) == 0 {
		return errors.New("no measurement has such a name and number of threads; --list prints " +
			"the names")
	}
	if cmd.List {
		for _, c := range cases {
			fmt.Fprintln(out, c)
		}
		return nil
	}
	if v := os.Getenv("RETRO_ISA"); v != "" {
		fmt.Fprintf(os.Stderr, "RETRO_ISA=%s is set: measuring the %s kernels.\n", v, kernels.ISA())
	}
	lines, err := createLines(cmd.JSON)
	if err != nil {
		return err
	}
	return errors.Join(cmd.measure(ctx, cases, out, lines), lines.Close())
}

func (cmd *Command) measure(ctx context.Context, cases []workload, out, lines io.Writer,
) (err error) {
	b := newBench(ctx, cmd.Threads, cmd.Runs, cmd.Quick)
	defer b.close()
	if !cmd.NoGGML && slices.ContainsFunc(cases, workload.hasGGML) {
		if b.ggml, err = loadGGML(cmd.Stock); err != nil {
			return fmt.Errorf("%w; --no-ggml measures without it", err)
		}
	}
	// The measuring goroutine is member 0 of every team of threads.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	line, err := b.peaks()
	if err != nil {
		return err
	}
	fmt.Fprintln(out, line)
	results, err := b.all(cases, lines)
	writeTables(out, results)
	return err
}

// cases is the plan, cut down to what was asked for and can be run here.
func (cmd *Command) cases() []workload {
	var threads []int
	for _, n := range cmd.Threads {
		if slices.Contains(threads, n) {
			continue
		}
		if n > runtime.NumCPU() {
			fmt.Fprintf(os.Stderr, "Leaving out %d threads: there are %d processors.\n", n,
				runtime.NumCPU())
			continue
		}
		threads = append(threads, n)
	}
	cmd.Threads = threads
	cases := workloads(threads)
	if cmd.Filter == nil {
		return cases
	}
	return slices.DeleteFunc(cases,
		func(c workload) bool { return !cmd.Filter.MatchString(c.String()) })
}

// createLines opens the file for JSON lines, before anything takes time.
func createLines(name string) (io.WriteCloser, error) {
	switch name {
	case "":
		return nopCloser{io.Discard}, nil
	case "-":
		return nopCloser{os.Stdout}, nil
	}
	return os.Create(name)
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

// sayEvery is how often those who wait are told how long it takes.
const sayEvery = 10 * time.Second

// all measures the cases one after the other; what it has is returned even when it cannot go on.
func (b *bench) all(cases []workload, lines io.Writer) ([]result, error) {
	total := 0.0
	for _, c := range cases {
		total += c.weight()
	}
	encoder := json.NewEncoder(lines)
	var results []result
	begun, said, done := time.Now(), time.Now(), 0.0
	for i, c := range cases {
		r, err := b.measure(c)
		if err != nil {
			return results, fmt.Errorf("%s: %w", c, err)
		}
		results = append(results, r)
		if err := encoder.Encode(r); err != nil {
			return results, fmt.Errorf("writing JSON: %w", err)
		}
		done += c.weight()
		if last := i+1 == len(cases); !last && time.Since(said) >= sayEvery {
			said = time.Now()
			left := time.Duration(float64(time.Since(begun)) * (total - done) / done)
			fmt.Fprintf(os.Stderr, "%d of %d measured, about %s left.\n", i+1, len(cases),
				left.Round(time.Second))
		}
	}
	return results, nil
}

func (b *bench) measure(c workload) (result, error) {
	switch c.kernel {
	case "attend", "rows":
		return b.attend(c)
	case "gather":
		return b.gather(c)
	case "dot", "acc":
		return b.stream(c)
	case "scan", "scan4", "codes":
		return b.scan(c)
	case "topk":
		return b.topk(c)
	}
	return b.dense(c)
}
