package speed

import (
	"errors"
	"fmt"
	"io"
	"net/rpc"
	"net/rpc/jsonrpc"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"slices"
	"syscall"
	"time"

	"github.com/retroattn/retroattn/bridge"
	"github.com/retroattn/retroattn/retro/stats"
	"github.com/retroattn/retroattn/tests/lab/machine"
)

// A process holds one llama.cpp, so this program starts itself twice as a worker, and asks the two
// in turns.

// stateFD is the file that both workers share: whoever makes a deep cache writes it there, and both
// load it.
const stateFD = 3

// room is how many cells a context has beyond the depth: the tokens of a run, and those before the
// clock starts.
const room = 512

// Worker is what the parent calls, a method at a time.
type Worker struct {
	lib    *bridge.Library
	model  *bridge.Model
	slots  map[string]*bridge.Context
	tokens []bridge.Token
	shared *os.File
	batch  *bridge.Batch
}

// WorkerCommand makes this program a worker.
type WorkerCommand struct{}

// Run answers until the parent closes the pipe.
func (WorkerCommand) Run() error {
	signal.Ignore(os.Interrupt, syscall.SIGTERM) // the parent decides
	runtime.LockOSThread()                       // OpenMP keeps threads for each thread that calls
	// a collection would take a processor: it is done before a run
	debug.SetGCPercent(-1)
	server := rpc.NewServer()
	w := &Worker{slots: map[string]*bridge.Context{}, shared: os.NewFile(stateFD, "state"),
		batch: bridge.NewBatch(1)}
	if err := server.Register(w); err != nil {
		return err
	}
	codec := jsonrpc.NewServerCodec(pipe{os.Stdin, os.Stdout})
	for {
		if err := server.ServeRequest(codec); errors.Is(err, io.EOF) ||
			errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// pipe is the two ends of a conversation.
type pipe struct {
	io.Reader
	io.WriteCloser
}

// Start is what a worker needs to know first.
type Start struct {
	Dir, Retro, Model, Text string
	GPULayers               int
}

// About is what it says of itself.
type About struct {
	Version, Retro, Model string
	Patched               bool
	Trained, Tokens       int
}

// Start loads llama.cpp, the model and the text.
func (w *Worker) Start(s Start, a *About) (err error) {
	if w.lib, err = bridge.Load(bridge.Paths{Dir: s.Dir, Retro: s.Retro}); err != nil {
		return err
	}
	if w.model, err = w.lib.LoadModel(s.Model,
		bridge.ModelParams{GPULayers: s.GPULayers}); err != nil {
		return err
	}
	if w.tokens, err = w.model.Tokenize(s.Text, true, false); err != nil {
		return err
	}
	if len(w.tokens) < 16 {
		return fmt.Errorf("the text has %d tokens: name a longer one", len(w.tokens))
	}
	*a = About{Version: w.lib.Version(), Model: w.model.Description(), Patched: w.lib.HasRetro(),
		Trained: w.model.TrainedCtx(), Tokens: len(w.tokens)}
	if a.Patched {
		a.Retro, err = w.lib.RetroVersion()
	}
	return err
}

// token is the text's at a position; a text that ends begins again.
func (w *Worker) token(pos int) bridge.Token { return w.tokens[pos%len(w.tokens)] }

// Open is a context to be made; one of the same name is closed before.
type Open struct {
	Slot, Type    string
	Seqs, Threads int
	Depth         int  // of each sequence
	GPUKV         bool // the cache may be on a GPU
}

// Open makes a context with room for the depth and a run. Cells is how many it has.
func (w *Worker) Open(o Open, cells *int) error {
	if err := w.Close(o.Slot, new(bool)); err != nil {
		return err
	}
	c, err := w.context(o, false)
	if err != nil {
		return err
	}
	w.slots[o.Slot], *cells = c, c.Cells()
	return nil
}

func (w *Worker) context(o Open, unified bool) (*bridge.Context, error) {
	each := (o.Depth + room + 255) / 256 * 256
	if !unified {
		each *= o.Seqs
	}
	return w.model.NewContext(bridge.ContextParams{Ctx: each, Seqs: o.Seqs, Threads: o.Threads,
		Unified:   unified,
		FlashAttn: bridge.FlashOn, TypeK: o.Type, TypeV: o.Type, HostKV: !o.GPUKV})
}

// Close frees a context, if there is one of that name.
func (w *Worker) Close(slot string, _ *bool) error {
	c := w.slots[slot]
	delete(w.slots, slot)
	defer debug.FreeOSMemory()
	return c.Close()
}

func (w *Worker) slot(name string) (*bridge.Context, error) {
	if c := w.slots[name]; c != nil {
		return c, nil
	}
	return nil, fmt.Errorf("no context %q is open", name)
}

// Policy is how to attend from now on: with the library and options, or as llama.cpp does.
type Policy struct {
	Slot, Options string
	On            bool
}

// Policy switches the library. The reply is the line of its plan, if one was asked for: the context
// must be empty then.
func (w *Worker) Policy(p Policy, plan *string) error {
	defer machine.Idle()
	c, err := w.slot(p.Slot)
	if err != nil {
		return err
	}
	if !p.On {
		return c.DisableRetro()
	}
	if err := c.EnableRetro(p.Options); err != nil {
		return err
	}
	*plan = c.RetroPlan()
	return nil
}

// Run is a measurement of decoding.
type Run struct {
	Slot    string
	Depth   int     // tokens that are in each sequence, and again afterwards
	Period  int     // the tokens decoded are a multiple of it
	Seconds float64 // about how long
	Draft   int     // most tokens of a draft; 0: none, the text's tokens are decoded one by one
}

// Ran is what came out.
type Ran struct {
	FirstNS int64 // the first token of each sequence, when a policy may build what it needs
	NS      int64 // the Steps after some more
	Steps   int
	Stats   *stats.Stats // what the library did in them; nil if it was off
	Drafts  bridge.Drafts
	Extra   uint64 // bytes that it holds beside the cache
	RSS     uint64 // bytes of this process in memory
}

// The least and most tokens of each sequence in a run.
const minSteps, maxSteps = 4, 128

// Run decodes the text's next tokens, one of each sequence at a time, and takes them out again.
func (w *Worker) Run(r Run, ran *Ran) error {
	defer machine.Idle()
	c, err := w.slot(r.Slot)
	if err != nil {
		return err
	}
	if r.Draft > 0 {
		return w.lossless(c, r, ran)
	}
	pos := r.Depth
	steps := func(n int) (time.Duration, error) {
		begun := time.Now()
		for range n {
			if err := w.step(c, pos); err != nil {
				return 0, err
			}
			pos++
		}
		return time.Since(begun), nil
	}
	runtime.GC()
	first, err := steps(1)
	if err != nil {
		return err
	}
	warm := max(2, r.Period)
	took, err := steps(warm)
	if err != nil {
		return err
	}
	ran.Steps = stepsFor(took/time.Duration(warm), r.Period, r.Seconds)
	before, on, err := counted(c)
	if err != nil {
		return err
	}
	took, err = steps(ran.Steps)
	if err != nil {
		return err
	}
	ran.FirstNS, ran.NS, ran.RSS = int64(first), int64(took), machine.Resident()
	if on {
		after, _, err := counted(c)
		if err != nil {
			return err
		}
		ran.Extra = after.SummaryBytes + after.RingBytes
		done := after.Since(before)
		ran.Stats = &done
	}
	for seq := range c.Seqs() {
		err = errors.Join(err, c.SeqRemove(seq, r.Depth, -1))
	}
	return err
}

// stepsFor is how many steps take about so long: whole periods, in the bounds.
func stepsFor(step time.Duration, period int, seconds float64) int {
	n := int(seconds / max(step.Seconds(), 1e-6))
	n = min(max(n, minSteps), maxSteps)
	return max(1, n/period) * period
}

// step decodes a token of each sequence, and reads its logits as a host would.
func (w *Worker) step(c *bridge.Context, pos int) error {
	w.batch.Clear()
	for seq := range c.Seqs() {
		w.batch.Add(w.token(pos), pos, seq, true)
	}
	if err := c.Decode(w.batch); err != nil {
		return err
	}
	for seq := range c.Seqs() {
		if _, err := c.Logits(seq); err != nil {
			return err
		}
	}
	return nil
}

func counted(c *bridge.Context) (s stats.Stats, on bool, err error) {
	s, err = c.RetroStats()
	if errors.Is(err, bridge.ErrRetroOff) || errors.Is(err, bridge.ErrRetroAbsent) {
		return s, false, nil
	}
	return s, err == nil, err
}

// Dense is a pass through the model at next to no context.
type Dense struct {
	Type                string
	Seqs, Rows, Threads int // Rows tokens of each sequence, one of which has logits
}

const denseTime = 400 * time.Millisecond

// Dense replies with the median time of a pass in nanoseconds. Each row is a sequence of its own,
// of one token.
func (w *Worker) Dense(d Dense, ns *int64) error {
	defer machine.Idle()
	rows := d.Seqs * d.Rows
	c, err := w.context(Open{Type: d.Type, Seqs: rows, Threads: d.Threads}, true)
	if err != nil {
		return err
	}
	defer c.Close()
	w.batch.Clear()
	for row := range rows {
		w.batch.Add(w.token(row), 0, row, row < d.Seqs)
	}
	var times []int64
	for begun := time.Now(); len(times) < 5 || time.Since(begun) < denseTime; {
		start := time.Now()
		if err := c.Decode(w.batch); err != nil {
			return err
		}
		if _, err := c.Logits(d.Seqs - 1); err != nil {
			return err
		}
		times = append(times, int64(time.Since(start)))
		if err := c.MemoryClear(); err != nil {
			return err
		}
	}
	slices.Sort(times[1:]) // the first reserves memory
	*ns = times[1:][len(times[1:])/2]
	return nil
}
