package eval

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/retroattn/retroattn/bridge"
	"github.com/retroattn/retroattn/retro/options"
	"github.com/retroattn/retroattn/tests/divergence"
	"github.com/retroattn/retroattn/tests/lab/eval/report"
	"github.com/retroattn/retroattn/tests/lab/eval/tasks"
	"github.com/retroattn/retroattn/tests/lab/machine"
)

// Command is the command line. What `go run ./build eval` prepares is in the environment.
type Command struct {
	Lib    string `env:"RETRO_PATCHED_DIR" required:"" placeholder:"DIR" help:"Folder of the patched llama.cpp libraries."`
	Retro  string `env:"RETRO_LIB" placeholder:"FILE" help:"libretroattn; else the one in that folder."`
	Model  string `env:"RETRO_MODEL" required:"" placeholder:"FILE" help:"GGUF model."`
	Source string `env:"RETRO_SOURCE" placeholder:"DIR" help:"llama.cpp source, whose documents and code are the texts without --text."`

	Text         []string `placeholder:"FILE" help:"Texts to decode; repeat it for several."`
	Tests        []string `placeholder:"TEST,..." help:"What to do: decode,cache,generate,retrieval,pairs,questions,problems, which is the default without --paper, and ruler,free."`
	Ctx          int      `default:"4096" help:"Tokens of the prompt that texts are decoded after, or go on from."`
	Tokens       int      `default:"256" help:"Tokens decoded after it, in each stream."`
	Streams      int      `default:"2" help:"Stretches of a text, decoded as one batch."`
	Budget       []int    `default:"128,256,512,1024" help:"Budgets of the matrix in tokens, rising."`
	Cache        []string `default:"q8_0,q4_0" help:"Other types of the KV cache."`
	Haystack     []int    `default:"2048,4096,7680" help:"Tokens of the texts in which keys are retrieved."`
	Policy       []string `placeholder:"NAME=OPTIONS" sep:"none" help:"A policy of your own beside the matrix, such as mine=budget=300,window=4; repeat it for several."`
	Only         bool     `help:"Measure nothing but the policies named with --policy."`
	Pairs        string   `placeholder:"FILE" help:"Cases of key-value retrieval as JSONL, each with ordered_kv_records, key and value."`
	Cases        int      `default:"24" help:"How many of them."`
	Items        []string `placeholder:"NAME=PATH" sep:"none" help:"Question sets in place of ours: GSM8K, MMLU or CommonsenseQA as JSON, JSONL or CSV."`
	Exam         []int    `placeholder:"N,..." help:"Questions in one prompt: 15; with --paper 15,30."`
	Exams        int      `default:"1" help:"Prompts of each question set."`
	Problems     string   `placeholder:"FILE" help:"Problems with answers, such as AIME or GPQA, as JSONL; one answer each."`
	AnswerTokens int      `default:"1024" help:"Tokens that may be generated for a problem."`
	Paper        bool     `help:"Also the set-up of the RetroAttention paper: full attention, Quest, Quest with correction, StreamingLLM, and our selection with the same budget, in exams of 15 and 30 questions."`
	Ruler        []int    `default:"4096,8192,16384,32768" help:"Tokens of RULER's prompts."`
	RulerTasks   []string `placeholder:"TASK,..." help:"Some of RULER's tasks; else all 13."`
	Samples      int      `default:"4" help:"Prompts of each of RULER's tasks and lengths."`
	Prompts      int      `default:"20" help:"Prompts that the model goes on from by itself."`
	FreeTokens   int      `default:"1000" help:"Tokens it generates after each."`
	First        int      `default:"1" help:"Number of the first prompt of exams, problems, RULER and free texts, where another run has those before; --exams and the like count those, too."`
	Batch        int      `default:"8" help:"Prompts of exams, problems, RULER and free texts that are decoded as one batch."`
	Threads      int      `default:"0" help:"Threads; 0 is one per processor."`
	GPULayers    int      `default:"0" placeholder:"N" help:"Layers to place on a GPU, --gpu-layers=-1 for all. The KV cache stays in host memory, but that of full attention is on the GPU where prompts are answered."`
	Machine      string   `placeholder:"NAME" help:"Name of this machine in the results, to compare several."`
	Keep         string   `type:"path" placeholder:"DIR" help:"Folder where what a prompt left in the KV cache is kept for the next run: as large as the cache."`
	Quick        bool     `help:"Small sizes, to see whether everything runs: the figures mean little."`

	Out    string `default:"eval-results" type:"path" placeholder:"DIR" help:"Folder for results.jsonl, report.html and its plots. What is there is not measured again."`
	Report bool   `help:"Measure nothing; make the report of the results that are there, such as those of several machines in one file."`
	Fresh  bool   `help:"Measure everything anew, for example after a change to the library."`

	ownPolicies []policy // of Policy
	sets        []named  // of Items
}

// lab is what all experiments share.
type lab struct {
	model     *bridge.Model
	modelName string
	threads   int
	gpu       bool
	last      *contexts // for the next experiment, if it fits
	machine   string
	dir       string
	keep      divergence.Keep
}

// Run measures what is not measured yet.
func (o *Command) Run(ctx context.Context) error {
	err := o.run(ctx, os.Stdout)
	if errors.Is(err, context.Canceled) {
		err = errors.New("interrupted; the same command goes on from here")
	}
	return err
}

func (o *Command) run(ctx context.Context, out io.Writer) error {
	if o.Quick {
		o.small()
	}
	o.complete()
	if err := o.check(); err != nil {
		return err
	}
	s := &runner{out: out, path: filepath.Join(o.Out, "results.jsonl"), done: map[string]bool{}}
	if o.Report {
		if err := s.resume(false); err != nil || len(s.records) == 0 {
			return errors.Join(err, fmt.Errorf("%s holds no results", s.path))
		}
		return o.write(out, s.records, report.Meta{When: today()})
	}
	lib, err := bridge.Load(bridge.Paths{Dir: o.Lib, Retro: o.Retro})
	if err != nil {
		return err
	}
	if _, err := lib.RetroVersion(); err != nil {
		return err
	}
	model, err := lib.LoadModel(o.Model, bridge.ModelParams{GPULayers: o.GPULayers})
	if err != nil {
		return err
	}
	defer model.Close()
	l := &lab{model: model, modelName: filepath.Base(o.Model), threads: o.Threads,
		gpu: o.GPULayers != 0, machine: o.Machine, dir: o.Out,
		keep: divergence.Keep{Dir: o.Keep, Model: filepath.Base(o.Model)}}
	for _, dir := range []string{o.Out, o.Keep} {
		if dir == "" {
			continue
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if err := s.resume(o.Fresh); err != nil {
		return err
	}
	experiments, err := o.experiments(l)
	if err != nil {
		return err
	}
	begun := time.Now()
	err = errors.Join(s.run(ctx, experiments), l.closeContexts())
	if len(s.records) == 0 {
		return cmp.Or(err, errNothing)
	}
	return errors.Join(err, o.write(out, s.records, report.Meta{
		When: today(),
		Machine: fmt.Sprintf("%s, %d processors, %s", machine.Processor(),
			runtime.NumCPU(), runtime.GOARCH),
		Command: "go run ./build " + strings.Join(os.Args[1:], " "),
		Notes: []string{"Model: " + model.Description(),
			"This run took " + clock(time.Since(begun)) + " (minutes:seconds)."},
	}))
}

var errNothing = errors.New("nothing was measured: tests of pairs and problems need --pairs and " +
	"--problems")

// resume reads what an earlier run left.
func (s *runner) resume(fresh bool) error {
	if fresh {
		if err := os.Remove(s.path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		return nil
	}
	records, err := report.Read(s.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	for _, r := range records {
		s.add(r)
	}
	return err
}

func today() string { return time.Now().Format("2 January 2006, 15:04") }

// write shows the results and leaves the report.
func (o *Command) write(out io.Writer, records []report.Record, meta report.Meta) error {
	fmt.Fprintln(out)
	if err := errors.Join(report.Table(out, records), report.PrintVerdicts(out,
		report.Verdicts(records)), report.PrintPredicted(out, records)); err != nil {
		return err
	}
	path := filepath.Join(o.Out, "report.html")
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	meta.Title = "Sparse attention against full attention"
	if err := errors.Join(report.Write(file, records, meta), file.Close(),
		report.WritePlots(filepath.Join(o.Out, "plots"), records)); err != nil {
		return err
	}
	fmt.Fprintf(out, "\nResults: %s\nReport: %s\n", filepath.Join(o.Out, "results.jsonl"), path)
	return nil
}

func (o *Command) small() {
	o.Ctx, o.Tokens, o.Budget, o.Haystack, o.Exam = 768, 33, []int{64, 128, 256}, []int{1024},
		[]int{2}
	o.Ruler, o.Samples, o.Prompts, o.FreeTokens = []int{1024}, 1, 2, 24
	o.Cache = o.Cache[:min(1, len(o.Cache))]
}

// complete fills in what depends on other options.
func (o *Command) complete() {
	if len(o.Tests) == 0 && !o.Paper {
		o.Tests = testNames[:ownTests]
	}
	if len(o.Exam) == 0 {
		o.Exam = []int{15}
		if o.Paper {
			o.Exam = []int{15, 30}
		}
	}
}

// check bounds what comes from outside.
func (o *Command) check() error {
	bad := func(name string, v, lo, hi int) error {
		if v < lo || v > hi {
			return fmt.Errorf("--%s %d: must be %d..%d", name, v, lo, hi)
		}
		return nil
	}
	errs := []error{
		bad("ctx", o.Ctx, 256, 1<<20), bad("tokens", o.Tokens, 16, 1<<16),
		bad("streams", o.Streams, 1, 16), bad("threads", o.Threads, 0, 512),
		bad("exams", o.Exams, 1, 1000), bad("cases", o.Cases, 1, 1000),
		bad("answer-tokens", o.AnswerTokens, 16, 1<<17),
		bad("samples", o.Samples, 1, 1000), bad("prompts", o.Prompts, 1, 1000),
		bad("first", o.First, 1, 1000), bad("free-tokens", o.FreeTokens, 2, 1<<16), bad("batch", o.Batch, 1, 256),
	}
	for i, b := range o.Budget {
		errs = append(errs, bad("budget", b, 32, 1<<20))
		if i > 0 && b <= o.Budget[i-1] {
			errs = append(errs, fmt.Errorf("--budget %d after %d: they must rise", b,
				o.Budget[i-1]))
		}
	}
	if len(o.Budget) == 0 {
		errs = append(errs, errors.New("--budget: name at least one"))
	}
	for _, n := range o.Haystack {
		errs = append(errs, bad("haystack", n, 512, 1<<20))
	}
	for _, n := range o.Ruler {
		errs = append(errs, bad("ruler", n, 1024, 1<<20))
	}
	for _, n := range o.Exam {
		errs = append(errs, bad("exam", n, 1, 200))
	}
	for _, name := range o.RulerTasks {
		if !slices.ContainsFunc(tasks.RulerTasks(),
			func(t tasks.RulerTask) bool { return t.Name == name }) {
			errs = append(errs, fmt.Errorf("--ruler-tasks %s: RULER has none of that name, but "+
				"such as cwe or niah_single_1", name))
		}
	}
	errs = append(errs, o.checkNamed())
	return errors.Join(errs...)
}

// named is NAME=VALUE of the command line.
type named struct{ name, value string }

// checkNamed reads the user's policies and question sets: a name that occurs twice would hide
// another, and options that the library refuses are better known before hours of measurement.
func (o *Command) checkNamed() error {
	policies, err := readNamed("policy", o.Policy)
	sets, err2 := readNamed("items", o.Items)
	o.sets, o.ownPolicies = sets, nil
	for _, p := range policies {
		own := policy{p.name, ownFamily(p.name, p.value), p.value}
		library, _, bad := own.split()
		if bad == nil {
			_, bad = options.Parse(library)
		}
		if bad != nil {
			err = errors.Join(err, fmt.Errorf("--policy %s=%s: %w", p.name, p.value, bad))
		}
		o.ownPolicies = append(o.ownPolicies, own)
	}
	return errors.Join(err, err2)
}

func readNamed(flag string, words []string) (all []named, err error) {
	seen := map[string]bool{}
	for _, word := range words {
		name, value, ok := strings.Cut(word, "=")
		switch {
		case !ok || name == "" || value == "":
			return nil, fmt.Errorf("--%s %s: write NAME=VALUE", flag, word)
		case seen[name]:
			return nil, fmt.Errorf("--%s %s: there are two of that name, and a name ends at "+
				"the first =", flag, word)
		}
		seen[name] = true
		all = append(all, named{name, value})
	}
	return all, nil
}
