package llama

import (
	"runtime"
	"slices"

	"github.com/retroattn/retroattn/bridge"
)

// drafts is n tokens of a sequence with logits, of which the last few are taken back.
func (w *writer) drafts(seq, n, rejected int) {
	w.prefill(seq, n)
	w.flagged(true)
	if rejected > 0 {
		w.remove(seq, rejected)
	}
}

// part is n tokens of each sequence in one batch, in turns or one sequence after another, none of
// them with logits.
func (w *writer) parts(n int, inTurns bool, seqs ...int) {
	var b []token
	for i := range n * len(seqs) {
		s := seqs[i/n]
		if inTurns {
			s = seqs[i%len(seqs)]
		}
		b = append(b, w.next(s, false))
	}
	w.script = append(w.script, op{Batch: b})
}

// op is one call: a batch of tokens, or a change to positions P0..P1-1 (-1: to
// the end) of a sequence.
type op struct {
	Batch                  []token `json:",omitempty"`
	Change                 string  `json:",omitempty"` // "remove", "copy" (to To), "add" (Delta)
	Seq, P0, P1, To, Delta int
}

type token struct {
	Token    bridge.Token
	Pos, Seq int
	Logits   bool `json:",omitempty"`
}

// script drives a context: the same calls on any build.
type script []op

func (s script) rows() int {
	n := 0
	for _, o := range s {
		for _, t := range o.Batch {
			if t.Logits {
				n++
			}
		}
	}
	return n
}

// play runs the script and returns a copy of the logits of each token that asked for them.
func (s script) play(ctx *bridge.Context) ([][]float32, error) {
	// OpenMP keeps threads for each thread that calls; one that changed between
	// calls would leave pools of them behind, spinning.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var rows [][]float32
	for _, o := range s {
		var err error
		switch o.Change {
		case "remove":
			err = ctx.SeqRemove(o.Seq, o.P0, o.P1)
		case "copy":
			err = ctx.SeqCopy(o.Seq, o.To, o.P0, o.P1)
		case "add":
			err = ctx.SeqAdd(o.Seq, o.P0, o.P1, o.Delta)
		}
		if err != nil {
			return nil, err
		}
		if o.Change != "" {
			continue
		}
		b := bridge.NewBatch(len(o.Batch))
		for _, t := range o.Batch {
			b.Add(t.Token, t.Pos, t.Seq, t.Logits)
		}
		if err := ctx.Decode(b); err != nil {
			return nil, err
		}
		for i, t := range o.Batch {
			if !t.Logits {
				continue
			}
			x, err := ctx.Logits(i)
			if err != nil {
				return nil, err
			}
			rows = append(rows, append([]float32(nil), x...))
		}
	}
	return rows, nil
}

// writer builds scripts: it knows how far each sequence is and takes tokens from a text.
type writer struct {
	text []bridge.Token
	at   map[int]int
	script
}

func newWriter(text []bridge.Token) *writer { return &writer{text: text, at: map[int]int{}} }

func (w *writer) next(seq int, logits bool) token {
	pos := w.at[seq]
	w.at[seq]++
	return token{Token: w.text[(pos+97*seq)%len(w.text)], Pos: pos, Seq: seq, Logits: logits}
}

// prefill is n tokens at once; the last one's logits are read.
func (w *writer) prefill(seq, n int) {
	var b []token
	for i := range n {
		b = append(b, w.next(seq, i == n-1))
	}
	w.script = append(w.script, op{Batch: b})
}

// decode is n steps of one token for each sequence.
func (w *writer) decode(n int, seqs ...int) {
	for range n {
		var b []token
		for _, s := range seqs {
			b = append(b, w.next(s, true))
		}
		w.script = append(w.script, op{Batch: b})
	}
}

// mixed is n tokens of a new sequence and one of each other in one batch, in that order or the
// other way round.
func (w *writer) mixed(first bool, seq, n int, seqs ...int) {
	var steps, prompt []token
	for _, s := range seqs {
		steps = append(steps, w.next(s, true))
	}
	for i := range n {
		prompt = append(prompt, w.next(seq, i == n-1))
	}
	if first {
		steps, prompt = prompt, steps
	}
	w.script = append(w.script, op{Batch: append(steps, prompt...)})
}

func (w *writer) remove(seq, n int) {
	w.at[seq] -= n
	w.script = append(w.script, op{Change: "remove", Seq: seq, P0: w.at[seq], P1: -1})
}

// copy makes a sequence equal to another.
func (w *writer) copy(from, to int) {
	w.at[to] = w.at[from]
	w.script = append(w.script, op{Change: "copy", Seq: from, To: to, P0: -1, P1: -1})
}

// shift takes n tokens from position p on out of a sequence and closes the gap.
func (w *writer) shift(seq, p, n int) {
	w.at[seq] -= n
	w.script = append(w.script, op{Change: "remove", Seq: seq, P0: p, P1: p + n},
		op{Change: "add", Seq: seq, P0: p + n, P1: -1, Delta: -n})
}

// shifts tells whether positions move.
func (s script) shifts() bool {
	return slices.ContainsFunc(s, func(o op) bool { return o.Change == "add" })
}

// oneSequence and threeSequences are the scripts that most tests play.
func oneSequence(text []bridge.Token) script {
	w := newWriter(text)
	w.prefill(0, 600)
	w.decode(24, 0)
	return w.script
}

// threeSequences start at different times; two lose their tails and go on.
func threeSequences(text []bridge.Token) script {
	w := newWriter(text)
	w.prefill(0, 300)
	w.decode(5, 0)
	w.prefill(1, 200)
	w.decode(6, 0, 1)
	w.prefill(2, 40)
	w.decode(8, 0, 1, 2)
	w.remove(0, 3)
	w.remove(1, 5)
	w.decode(3, 0)
	w.decode(9, 0, 1, 2)
	return w.script
}

// editedSequences share a prefix, part in the middle of decoding, and lose tokens
// in the middle of their contexts; in the end even shared ones, which in a
// unified cache leaves several cells with one position.
func editedSequences(text []bridge.Token) script {
	w := newWriter(text)
	w.prefill(0, 300)
	w.decode(6, 0)
	w.copy(0, 1)
	w.decode(8, 0, 1)
	w.prefill(2, 200)
	w.decode(5, 2)
	w.shift(2, 40, 90)
	w.decode(8, 0, 1, 2)
	w.shift(0, 40, 90)
	w.decode(6, 0, 1)
	w.decode(6, 2)
	return w.script
}

// mixedSequences decode while prompts of others arrive, one of them in parts.
func mixedSequences(text []bridge.Token) script {
	w := newWriter(text)
	w.prefill(1, 150)
	w.decode(6, 1)
	w.mixed(true, 0, 100, 1)
	w.decode(5, 0, 1)
	w.mixed(false, 3, 40, 1, 0)
	w.mixed(true, 3, 530, 0, 1) // more than a micro-batch
	w.decode(4, 3, 0, 1)
	w.mixed(true, 2, 50, 3, 1) // 1 and 3 are no neighbours, and 0 waits
	w.decode(8, 0, 1, 2, 3)
	return w.script
}

func (s script) decoded() (n int) {
	for _, o := range s {
		if o.Change == "" && (len(o.Batch) <= 4) {
			n += len(o.Batch)
		}
	}
	return n
}

// flagged says of the last batch which of its tokens are for output.
func (w *writer) flagged(logits bool) {
	batch := w.script[len(w.script)-1].Batch
	for i := range batch {
		batch[i].Logits = logits
	}
}

// renumber makes a script of sequences 0 and 1 one of to[0] and to[1].
func (s script) renumber(to ...int) script {
	var out script
	for _, o := range s {
		o.Batch = append([]token(nil), o.Batch...)
		for i := range o.Batch {
			o.Batch[i].Seq = to[o.Batch[i].Seq]
		}
		out = append(out, o)
	}
	return out
}
