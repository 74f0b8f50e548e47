package speed

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"github.com/retroattn/retroattn/retro/stats"
)

// figure is a number that may not be known: NaN, and null in JSON.
type figure float64

func (f figure) known() bool { return !math.IsNaN(float64(f)) && !math.IsInf(float64(f), 0) }

func (f figure) MarshalJSON() ([]byte, error) {
	if !f.known() {
		return []byte("null"), nil
	}
	return json.Marshal(float64(f))
}

func (f *figure) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		*f = unknown
		return nil
	}
	return json.Unmarshal(data, (*float64)(f))
}

var unknown = figure(math.NaN())

// Result is a line: a policy in a cell. Times are milliseconds of a step, which decodes a token of
// each sequence.
type Result struct {
	Test    string `json:"test"`
	KV      string `json:"type"`
	Seqs    int    `json:"seqs"`
	Depth   int    `json:"depth"`
	Policy  string `json:"policy"`
	Options string `json:"options"`
	Plan    string `json:"plan,omitempty"`
	Runs    int    `json:"runs"`
	Steps   int    `json:"steps"` // over all runs

	TokS    figure `json:"tok_s"` // of all sequences together: median, least and most
	TokSMin figure `json:"tok_s_min"`
	TokSMax figure `json:"tok_s_max"`
	Ratio   figure `json:"ratio"` // to stock, of the medians

	StepMS figure `json:"step_ms"` // median
	// what thread 0 spent in the library; for stock, the step less the dense pass
	AttendMS figure `json:"attend_ms"`
	DenseMS  figure `json:"dense_ms"` // a pass of as many rows through stock at next to no context
	RestMS   figure `json:"rest_ms"`  // step less the two: calls, copies, barriers
	// the first step after the policy is switched on, which builds summaries
	FirstMS figure `json:"first_ms"`

	Sparse figure `json:"sparse"` // share of tokens with something left out
	// bytes read, summaries included, of those that full attention reads
	KVShare  figure `json:"kv_share"`
	Accepted figure `json:"accepted"` // share of drafts
	KVGBps   figure `json:"kv_gbps"`  // while attending
	BWShare  figure `json:"bw_share"` // of the read bandwidth

	Extra figure `json:"extra"` // bytes beside the KV cache, of those in it
	RSS   uint64 `json:"rss"`   // of the process, in bytes

	Note  string `json:"note,omitempty"`
	Error string `json:"error,omitempty"`
}

func (b *runner) blank(c cell, p policy) Result {
	u := unknown
	return Result{Test: "decode", KV: c.kv, Seqs: c.seqs, Depth: c.depth, Policy: p.name,
		Options: p.options, Runs: b.o.Runs,
		TokS: u, TokSMin: u, TokSMax: u, Ratio: u, StepMS: u, AttendMS: u, DenseMS: u, RestMS: u,
		FirstMS: u,
		Sparse:  u, KVShare: u, Accepted: u, KVGBps: u, BWShare: u, Extra: u}
}

// evaluate says what the runs of a cell mean.
func (b *runner) evaluate(c cell, variants []*variant) ([]Result, error) {
	var results []Result
	for _, t := range variants {
		r := b.blank(c, t.policy)
		r.Plan = t.plan
		switch {
		case t.failure != nil || t.stock():
		case t.lossless():
			t.failure = proofLossless(c, t, &r)
		default:
			t.failure = proof(c, t, &r)
		}
		if t.failure != nil {
			r.Error = t.failure.Error()
		} else if err := b.figures(c, t, &r); err != nil {
			return nil, err
		}
		results = append(results, r)
	}
	for i := range results {
		results[i].Ratio = results[i].TokS / results[0].TokS // unknown if either is
	}
	return results, nil
}

// sum adds up what the library counted.
func sum(runs []Ran) (s stats.Stats, steps int) {
	for _, r := range runs {
		steps += r.Steps
		if r.Stats != nil {
			s.Tokens += r.Stats.Tokens
			s.SparseTokens += r.Stats.SparseTokens
			s.RewrittenTokens += r.Stats.RewrittenTokens
			s.KVReadBytes += r.Stats.KVReadBytes
			s.KVFullBytes += r.Stats.KVFullBytes
			s.ScanBytes += r.Stats.ScanBytes
			s.AttentionNS += r.Stats.AttentionNS
		}
	}
	return s, steps
}

// proof refuses figures that are not of what they are said to be.
func proof(c cell, t *variant, r *Result) error {
	s, steps := sum(t.runs)
	if int(s.Tokens) != steps*c.seqs {
		return fmt.Errorf("the library decoded %d of %d tokens", s.Tokens, steps*c.seqs)
	}
	if s.SparseTokens > 0 {
		return nil
	}
	switch {
	case mustSkip(t.parsed, c.depth):
		return fmt.Errorf("not sparse: nothing was left out of %d tokens", c.depth)
	case c.depth > t.parsed.MinCtx && t.name != denseName:
		r.Note = fmt.Sprintf("everything is read, as the budget of %v tokens holds it",
			t.parsed.Budget)
	}
	return nil
}

// figures fills in what the runs took.
func (b *runner) figures(c cell, t *variant, r *Result) error {
	var rates, steps, attends, firsts []float64
	for _, run := range t.runs {
		rates = append(rates, float64(run.Steps*c.seqs)/(float64(run.NS)/1e9))
		steps = append(steps, float64(run.NS)/float64(run.Steps))
		firsts = append(firsts, float64(run.FirstNS))
		if run.Stats != nil {
			attends = append(attends, float64(run.Stats.AttentionNS)/float64(run.Steps))
		}
		r.RSS = max(r.RSS, run.RSS)
	}
	s, n := sum(t.runs)
	r.Steps = n
	r.TokS, r.TokSMin, r.TokSMax = figure(median(rates)), figure(slices.Min(rates)),
		figure(slices.Max(rates))
	step := median(steps)
	r.StepMS, r.FirstMS = figure(step/1e6), figure(median(firsts)/1e6)
	dense, err := b.dense(c, t, s.RewrittenTokens > 0)
	if err != nil {
		return err
	}
	r.DenseMS = dense / 1e6
	if t.stock() {
		attend := figure(step) - dense
		r.AttendMS = max(0, attend) / 1e6
		if c.depth > 0 && attend > 0 { // at depth 0 it is the difference of two equals
			bytes := b.perToken[c.kv] * float64(c.seqs*(c.depth+n/len(t.runs)/2))
			r.KVShare, r.KVGBps = 1, figure(bytes)/attend
		}
	} else {
		r.AttendMS = figure(median(attends) / 1e6)
		r.RestMS = r.StepMS - r.AttendMS - r.DenseMS
		r.Sparse = figure(s.SparseTokens) / figure(s.Tokens)
		r.KVShare = figure(s.KVReadBytes+s.ScanBytes) / figure(s.KVFullBytes)
		r.KVGBps = figure(s.KVReadBytes+s.ScanBytes) / figure(s.AttentionNS)
		cells := (max(1, c.depth) + room + 255) / 256 * 256 * c.seqs
		r.Extra = figure(t.runs[0].Extra) / figure(b.perToken[c.kv]*float64(cells))
	}
	if t.name != stockGPUName {
		r.BWShare = r.KVGBps * 1e9 / figure(b.bandwidth)
	}
	return nil
}

// dense is the time of a stock pass of as many rows as a step of the policy takes, on average over
// its period.
func (b *runner) dense(c cell, t *variant, rewrites bool) (figure, error) {
	if t.lossless() {
		return unknown, nil
	}
	rows := []int{1}
	if rewrites {
		rows = rowsOf(t.parsed)
	}
	total := figure(0)
	for _, n := range rows {
		if c.seqs*n > maxTiles { // each row needs a sequence
			return unknown, nil
		}
		ns, err := b.pass(c.kv, c.seqs, n)
		if err != nil {
			return unknown, err
		}
		total += figure(ns)
	}
	return total / figure(len(rows)), nil
}

// Setup is what all results have in common.
type Setup struct {
	Test      string  `json:"test"`
	Machine   string  `json:"machine"`
	Model     string  `json:"model"`
	Llama     string  `json:"llama"`
	Retro     string  `json:"retro"`
	Patched   bool    `json:"stock_is_patched"` // the feature is off in it
	Threads   int     `json:"threads"`
	GPULayers int     `json:"gpu_layers"`
	Bandwidth float64 `json:"read_gbps"`
	Fill      int     `json:"fill"` // tokens of text in a cache before it repeats them
	Quick     bool    `json:"quick"`
}

func (b *runner) setup() Setup {
	return Setup{"setup", describe(), b.stock.about.Model, b.stock.about.Version,
		b.ours.about.Retro,
		b.o.Stock == b.o.Lib,
		b.threads, b.o.GPULayers, b.bandwidth / 1e9, b.o.Fill, b.o.Quick}
}
