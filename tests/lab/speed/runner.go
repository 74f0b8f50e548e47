package speed

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/retroattn/retroattn/tests/lab/bench"
	"github.com/retroattn/retroattn/tests/lab/machine"
)

// The workers' contexts. Stock may have two.
const ramSlot, gpuSlot = "ram", "gpu"

// runner is a whole run.
type runner struct {
	ctx  context.Context
	o    *Command
	out  io.Writer
	json *json.Encoder // nil: no file
	file *os.File

	shared      *os.File // see stateFD
	made        Make     // what is in it
	stock, ours *remote
	plans       string // folder of what the library chose, with a GPU
	text, model string // what caches are made from
	threads     int
	bandwidth   float64            // bytes a second
	bases       map[string]Base    // by type
	perToken    map[string]float64 // bytes of KV, by type
	passes      map[[2]int]float64 // nanoseconds of a dense pass, by sequences and rows of each

	results []Result
	prefill *Prefill
}

func newRunner(ctx context.Context, o *Command, text string, out io.Writer) (*runner, error) {
	b := &runner{ctx: ctx, o: o, out: out, text: text, bases: map[string]Base{},
		perToken: map[string]float64{}, passes: map[[2]int]float64{}}
	err := b.start()
	if err != nil {
		b.close()
	}
	return b, err
}

func (b *runner) start() (err error) {
	switch {
	case b.o.JSON == "-":
		b.out, b.json = os.Stderr, json.NewEncoder(os.Stdout)
	case b.o.JSON != "":
		if b.file, err = os.Create(b.o.JSON); err != nil {
			return err
		}
		b.json = json.NewEncoder(b.file)
	}
	if b.json != nil {
		b.json.SetEscapeHTML(false) // goals are >= and <=
	}
	if b.model, err = identity(b.o.Model); err != nil {
		return fmt.Errorf("--model: %w", err)
	}
	if b.plans, err = os.MkdirTemp("", "retroattn-plans-"); err != nil {
		return err
	}
	if b.shared, err = sharedFile(); err != nil {
		return fmt.Errorf("no file for the workers to share: %w", err)
	}
	s := Start{Dir: b.o.Stock, Model: b.o.Model, Text: b.text, GPULayers: b.o.GPULayers}
	if b.stock, err = startWorker(b.ctx, "stock", b.shared, s); err != nil {
		return err
	}
	s.Dir, s.Retro = b.o.Lib, b.o.Retro
	if b.ours, err = startWorker(b.ctx, "retro", b.shared, s); err != nil {
		return err
	}
	if !b.ours.about.Patched {
		return fmt.Errorf("--lib %s: its libllama has no retroattn patch, or there is no "+
			"libretroattn: build it with go run ./build all", b.o.Lib)
	}
	return nil
}

func (b *runner) close() {
	b.stock.close()
	b.ours.close()
	for _, f := range []*os.File{b.shared, b.file} {
		if f != nil {
			f.Close()
		}
	}
	if b.plans != "" {
		os.RemoveAll(b.plans)
	}
}

func (b *runner) say(format string, args ...any) { fmt.Fprintf(b.out, format+"\n", args...) }

// note is for those who wait.
func (b *runner) note(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

// record writes a JSON line.
func (b *runner) record(line any) error {
	if b.json == nil {
		return nil
	}
	if err := b.json.Encode(line); err != nil {
		return fmt.Errorf("writing %s: %w", b.o.JSON, err)
	}
	return nil
}

// run measures the cells, and says what came out.
func (b *runner) run(cells []cell) error {
	begun := time.Now()
	b.introduce()
	if err := b.fillBases(cells); err != nil {
		return err
	}
	cells = b.fitting(cells)
	if len(cells) == 0 {
		return errors.New("nothing fits in memory: name smaller --depths or --seqs")
	}
	if err := b.chooseThreads(cells[0].kv); err != nil {
		return err
	}
	var err error
	b.bandwidth, err = bench.ReadBandwidth(b.ctx, b.threads, b.o.Quick)
	if err != nil {
		return err
	}
	b.say("Read bandwidth of %s: %.1f GB/s", count(b.threads, "thread"), b.bandwidth/1e9)
	if err := b.record(b.setup()); err != nil {
		return err
	}
	if err := b.measurePrefill(cells[0].kv); err != nil {
		return err
	}
	err = b.all(cells)
	goals := checkGoals(b.results, b.prefill)
	b.say("\nGoals (F16 and 1 sequence unless said; ratios are of medians):")
	writeGoals(b.out, goals)
	for _, g := range goals {
		err = errors.Join(err, b.record(g))
	}
	if b.o.Plot != "" {
		err = errors.Join(err, writePlot(b.o.Plot, b.results))
	}
	b.say("This took %s.", clock(time.Since(begun)))
	if n := failures(b.results); n > 0 && err == nil {
		err = fmt.Errorf("%s could not be measured; see above", count(n, "line"))
	}
	return err
}

func failures(results []Result) (n int) {
	for _, r := range results {
		if r.Error != "" {
			n++
		}
	}
	return n
}

func (b *runner) introduce() {
	b.say("%s\n%s; llama.cpp %s; libretroattn %s", describe(), b.stock.about.Model,
		b.stock.about.Version, b.ours.about.Retro)
	if b.o.Stock == b.o.Lib {
		b.say("Stock is the patched build with the feature off: --stock names an unpatched one.")
	}
	if b.o.Quick {
		b.say("--quick: the numbers mean nothing.")
	}
}

// fillBases makes sure that the text is processed once for each type.
func (b *runner) fillBases(cells []cell) error {
	deepest := 1
	for _, c := range cells {
		deepest = max(deepest, c.depth)
	}
	tokens := max(64, min(b.o.Fill, deepest))
	for _, c := range cells {
		if _, done := b.bases[c.kv]; done {
			continue
		}
		key := baseKey(b.model, b.stock.about.Version, c.kv, tokens, b.o.GPULayers, b.text)
		base := Base{Type: c.kv, Tokens: tokens, Threads: cmp.Or(b.o.Threads,
			min(runtime.NumCPU(), 512)), Path: basePath(b.o.Cache, key), Key: key}
		b.note("Filling a cache of %s with %d tokens, unless an earlier run did ...", c.kv, tokens)
		var made Based
		if err := b.stock.call("Base", base, &made); err != nil {
			return err
		}
		b.bases[c.kv], b.perToken[c.kv] = base, float64(made.Bytes)/float64(tokens)
	}
	return nil
}

// fitting leaves out what would not fit in memory.
func (b *runner) fitting(cells []cell) (fit []cell) {
	memory := machine.FreeMemory()
	for _, c := range cells {
		need := memoryFor(c, b.perToken[c.kv])
		if memory == 0 || need <= memory {
			fit = append(fit, c)
			continue
		}
		why := fmt.Sprintf("needs %s of memory, %s are free", gib(need), gib(memory))
		b.say("Left out: %s, which %s.", c, why)
		_ = b.record(map[string]any{"test": "left_out", "type": c.kv, "seqs": c.seqs,
			"depth": c.depth, "why": why})
	}
	return fit
}

// memoryFor is what a cell needs: two caches, what the library holds beside its one, and the state
// that they are loaded from; or, before, a cache, its state and the file of that. Some room is for
// the buffers of computing.
func memoryFor(c cell, perToken float64) uint64 {
	const buffers = 1 << 30
	one := perToken * float64(c.depth+room)
	return uint64(max(2.1*one*float64(c.seqs)+one, 3*one)) + buffers
}

// chooseThreads tries stock at next to no depth and at that of a base.
func (b *runner) chooseThreads(kv string) error {
	if b.threads = b.o.Threads; b.threads > 0 {
		return nil
	}
	choices := threadChoices(min(runtime.NumCPU(), 512))
	b.threads = choices[0]
	if len(choices) == 1 {
		return nil
	}
	base := b.bases[kv]
	if err := b.make(cell{kv: kv, seqs: 1, depth: base.Tokens}); err != nil {
		return err
	}
	var speeds []float64
	for _, n := range choices {
		rates, err := b.tryThreads(cell{kv: kv, seqs: 1, depth: base.Tokens}, n)
		if err != nil {
			return err
		}
		b.say("Stock with %s: %s tokens/s at depth 0, %s at %d", count(n, "thread"),
			digits(figure(rates[0])), digits(figure(rates[1])), base.Tokens)
		speeds = append(speeds, rates[1])
	}
	b.threads = bestThreads(choices, speeds)
	b.say("So all use %s.", count(b.threads, "thread"))
	return b.stock.call("Close", ramSlot, new(bool))
}

// tryThreads is the speed of stock at next to no depth and at that of the cell: the better of two
// runs, since other load only slows down, and with all threads the most.
func (b *runner) tryThreads(c cell, threads int) (rates [2]float64, err error) {
	if err := b.open(b.stock, ramSlot, c, threads); err != nil {
		return rates, err
	}
	for i, depth := range []int{0, c.depth} {
		if err := b.fill(b.stock, ramSlot, depth); err != nil {
			return rates, err
		}
		for range 2 {
			var ran Ran
			if err := b.stock.call("Run", Run{Slot: ramSlot, Depth: max(1, depth), Period: 1,
				Seconds: b.o.Seconds / 2}, &ran); err != nil {
				return rates, err
			}
			rates[i] = max(rates[i], float64(ran.Steps)/(float64(ran.NS)/1e9))
		}
	}
	return rates, nil
}

// make lets the shared file hold a sequence of a cell.
func (b *runner) make(c cell) error {
	m := Make{Base: b.bases[c.kv], Depth: c.depth, Streams: c.seqs}
	if b.made == m {
		return nil
	}
	b.made = Make{}
	if err := b.stock.call("Make", m, new(int)); err != nil {
		return err
	}
	b.made = m
	return nil
}

// forget takes what make made out of memory.
func (b *runner) forget() error {
	b.made = Make{}
	return b.shared.Truncate(0)
}

// open makes a worker's context for a cell.
func (b *runner) open(r *remote, slot string, c cell, threads int) error {
	return r.call("Open", Open{Slot: slot, Type: c.kv, Seqs: c.seqs, Threads: threads,
		Depth: max(1, c.depth), GPUKV: slot == gpuSlot}, new(int))
}

// fill puts what make made into a context's sequences, or only the token that begins a text.
func (b *runner) fill(r *remote, slot string, depth int) error {
	if depth == 0 {
		return r.call("Process", Process{Slot: slot, Tokens: 1}, new(int64))
	}
	return r.call("Load", slot, new(bool))
}

// Prefill is how fast a prompt is processed.
type Prefill struct {
	Test   string    `json:"test"`
	KV     string    `json:"type"`
	Tokens int       `json:"tokens"`
	Stock  []float64 `json:"stock_tok_s"`
	Ours   []float64 `json:"ours_tok_s"`
	Ratio  float64   `json:"ratio"` // of the medians
}

// measurePrefill processes a prompt from empty in turns, with the feature on in one of them.
func (b *runner) measurePrefill(kv string) error {
	p := &Prefill{Test: "prefill", KV: kv, Tokens: b.o.Prefill}
	if p.Tokens == 0 {
		return nil
	}
	b.note("Processing a prompt of %d tokens, %d times each ...", p.Tokens, b.o.Runs)
	for _, r := range []*remote{b.stock, b.ours} {
		if err := b.open(r, ramSlot, cell{kv: kv, seqs: 1, depth: p.Tokens},
			b.threads); err != nil {
			return err
		}
	}
	if err := b.ours.call("Policy", Policy{Slot: ramSlot, On: true}, new(string)); err != nil {
		return err
	}
	for _, r := range []*remote{b.stock, b.ours} { // the first batch of a context reserves memory
		if err := r.call("Process", Process{Slot: ramSlot, Tokens: min(p.Tokens, 64)},
			new(int64)); err != nil {
			return err
		}
	}
	turn := func(r *remote, rates *[]float64) error {
		var ns int64
		err := r.call("Process", Process{Slot: ramSlot, Tokens: p.Tokens}, &ns)
		*rates = append(*rates, float64(p.Tokens)/(float64(ns)/1e9))
		return err
	}
	for range b.o.Runs {
		if err := errors.Join(turn(b.stock, &p.Stock), turn(b.ours, &p.Ours)); err != nil {
			return err
		}
	}
	p.Ratio = median(p.Ours) / median(p.Stock)
	b.prefill = p
	b.say("Prompt of %d tokens: stock %s, with the feature on %s tokens/s: %.3f x",
		p.Tokens, spread(p.Stock), spread(p.Ours), p.Ratio)
	return b.record(p)
}

func median(x []float64) float64 {
	s := slices.Sorted(slices.Values(x))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}
