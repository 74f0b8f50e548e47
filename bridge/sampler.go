package bridge

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"unsafe"
)

// SamplerParams configures NewSampler. The zero value is greedy: the likeliest token, always. They
// apply in this order: grammar, penalties, top-k, typical, top-p, min-p, temperature.
type SamplerParams struct {
	// logits are divided by it; 0 = take the likeliest token, and TopK, Typical, TopP and MinP do
	// nothing
	Temperature float64
	TopK        int     // keep the likeliest; 0 = all
	TopP        float64 // keep the likeliest that hold this probability together; 0 or 1 = all
	MinP        float64 // keep those at least so likely, relative to the likeliest; 0 = all
	Typical     float64 // keep the most typical that hold this probability together; 0 or 1 = all

	// above 1: less of what was sampled or accepted before, which a prompt is not; 0 or 1 = off
	RepeatPenalty float64
	Frequency     float64 // subtracted from a token's logit for each time that it came before
	Presence      float64 // subtracted once if it came
	RepeatLast    int     // newest tokens that these look at; 0 = 64

	Seed    uint32 // of random numbers; 0 = another one for each sampler, and after each Reset
	Grammar string // in GBNF, with a rule called root; "" = none
}

// randomSeed is LLAMA_DEFAULT_SEED, for which llama.cpp draws one.
const randomSeed = math.MaxUint32

// Sampler chooses tokens from logits. It remembers what it chose, so each sequence needs its own;
// like a context it is for one goroutine at a time.
type Sampler struct {
	model *Model
	chain uintptr
	guard
	grammar uintptr // first in the chain, 0 = none
	drawn   bool    // tokens are, at random
}

func (p SamplerParams) check() error {
	for _, f := range []struct {
		name       string
		value      float64
		low, upper float64
	}{
		{"Temperature", p.Temperature, 0, 100}, {"TopK", float64(p.TopK), 0, math.MaxInt32},
		{"TopP", p.TopP, 0, 1}, {"MinP", p.MinP, 0, 1}, {"Typical", p.Typical, 0, 1},
		{"RepeatPenalty", p.RepeatPenalty, 0, 100}, {"Frequency", p.Frequency, -100, 100},
		{"Presence", p.Presence, -100, 100},
		{"RepeatLast", float64(p.RepeatLast), 0, 1 << 20},
	} {
		if !(f.value >= f.low && f.value <= f.upper) {
			return argError("%s is %v, must be %v..%.0f", f.name, f.value, f.low, f.upper)
		}
	}
	if strings.ContainsRune(p.Grammar, 0) {
		return argError("Grammar contains a NUL")
	}
	return nil
}

// NewSampler returns a sampler for contexts of the model. Close it before the model. A grammar that
// llama.cpp cannot read is an ErrArgument; it prints a syntax error to standard error and not to
// the log.
func (m *Model) NewSampler(params SamplerParams) (*Sampler, error) {
	if err := params.check(); err != nil {
		return nil, err
	}
	release, err := m.useVocab()
	if err != nil {
		return nil, err
	}
	defer release()
	l := m.lib
	s := &Sampler{model: m, drawn: params.Temperature > 0}
	if params.Grammar != "" {
		detail := l.log.capture(func() {
			s.grammar = l.samplerGrammar(m.vocab, params.Grammar,
				"root")
		})
		if s.grammar == 0 {
			return nil, argError("%s (llama.cpp prints syntax errors to standard error)",
				withDetail("Grammar", detail))
		}
	}
	s.chain = l.chainInit(cChainParams{noPerf: true})
	if s.grammar != 0 {
		l.chainAdd(s.chain, s.grammar)
	}
	for _, sampler := range params.samplers(l, m.size) {
		l.chainAdd(s.chain, sampler)
	}
	m.users.Add(1)
	return s, nil
}

// samplers makes what follows the grammar.
func (p SamplerParams) samplers(l *Library, vocab int) (chain []uintptr) {
	if p.RepeatPenalty != 0 && p.RepeatPenalty != 1 || p.Frequency != 0 || p.Presence != 0 {
		repeat, last := p.RepeatPenalty, p.RepeatLast
		if repeat == 0 {
			repeat = 1
		}
		if last == 0 {
			last = 64
		}
		chain = append(chain, l.samplerPenalties(int32(vocab), int32(last), float32(repeat),
			float32(p.Frequency), float32(p.Presence)))
	}
	if p.Temperature == 0 {
		return append(chain, l.samplerGreedy())
	}
	if p.TopK > 0 {
		chain = append(chain, l.samplerTopK(int32(p.TopK)))
	}
	if p.Typical > 0 && p.Typical < 1 {
		chain = append(chain, l.samplerTypical(float32(p.Typical), 1))
	}
	if p.TopP > 0 && p.TopP < 1 {
		chain = append(chain, l.samplerTopP(float32(p.TopP), 1))
	}
	if p.MinP > 0 {
		chain = append(chain, l.samplerMinP(float32(p.MinP), 1))
	}
	seed := p.Seed
	if seed == 0 {
		seed = randomSeed
	}
	return append(chain, l.samplerTemp(float32(p.Temperature)), l.samplerDist(seed))
}

// random tells whether tokens are drawn at random; nil takes the likeliest.
func (s *Sampler) random() bool { return s != nil && s.drawn }

// Clone returns a sampler that chooses what this one would. Close it, too.
func (s *Sampler) Clone() (*Sampler, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	l := s.model.lib
	clone := &Sampler{model: s.model, chain: l.samplerClone(s.chain), drawn: s.drawn}
	if s.grammar != 0 {
		clone.grammar = l.chainGet(clone.chain, 0)
	}
	s.model.users.Add(1)
	return clone, nil
}

// Close frees the sampler. ErrBusy while a call is running in it; a second Close does nothing.
func (s *Sampler) Close() error {
	if s == nil || s.model == nil {
		return nil
	}
	if first, err := s.close(); !first {
		return err
	}
	s.model.lib.samplerFree(s.chain)
	s.chain, s.grammar = 0, 0
	s.model.users.Add(-1)
	return nil
}

func (s *Sampler) enter() error {
	if s == nil || s.model == nil {
		return argError("nil sampler")
	}
	return s.guard.enter()
}

// Reset forgets all tokens and starts the grammar and the random numbers anew.
func (s *Sampler) Reset() error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	s.model.lib.samplerReset(s.chain)
	return nil
}

// Sample chooses from a row of logits, counted as in Context.Logits, and accepts the token. Errors:
// ErrArgument for a row that is not there or a context of another model; logits that are no
// numbers; a grammar that allows no token.
func (s *Sampler) Sample(c *Context, row int) (Token, error) {
	if err := s.enter(); err != nil {
		return -1, err
	}
	defer s.leave()
	if err := c.enter(); err != nil {
		return -1, err
	}
	defer c.leave()
	if c.model != s.model {
		return -1, argError("the sampler is for another model than the context")
	}
	logits, err := c.row(row)
	if err != nil {
		return -1, err
	}
	// llama_sampler_sample does the same, but aborts the process where this returns an error.
	c.candidates = c.candidates[:0]
	for i, v := range logits {
		if v != v {
			return -1, fmt.Errorf("bridge: the logit of token %d is not a number", i)
		}
		c.candidates = append(c.candidates, cTokenData{id: Token(i), logit: v})
	}
	chosen, ok := s.apply(s.chain, c.candidates)
	if !ok {
		return -1, errors.New("bridge: no token is allowed here by the sampler's grammar")
	}
	s.model.lib.samplerAccept(s.chain, chosen)
	return chosen, nil
}

// apply runs a sampler over candidates and returns the one that is selected, or the first where the
// sampler selects none. Not ok: it was ruled out.
func (s *Sampler) apply(sampler uintptr, candidates []cTokenData) (Token, bool) {
	array := cTokenDataArray{data: uintptr(unsafe.Pointer(&candidates[0])),
		size: uint64(len(candidates)), selected: -1}
	var pinner runtime.Pinner
	pinner.Pin(&candidates[0])
	defer pinner.Unpin()
	s.model.lib.samplerApply(sampler, &array)
	i := max(array.selected, 0)
	if array.size == 0 || array.size > uint64(len(candidates)) || i >= int64(array.size) {
		return -1, false
	}
	c := candidates[i]
	return c.id, c.logit > float32(math.Inf(-1)) // false for NaN too
}

// Accept takes in a token that did not come from Sample, such as one of a prompt that the penalties
// or the grammar are to know of. ErrArgument where the grammar does not allow it.
func (s *Sampler) Accept(token Token) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	if !s.model.valid(token) {
		return argError("token %d, the vocabulary has %d", token, s.model.size)
	}
	if s.grammar != 0 {
		if _, ok := s.apply(s.grammar, []cTokenData{{id: token}}); !ok {
			return argError("token %d is not allowed here by the sampler's grammar", token)
		}
	}
	s.model.lib.samplerAccept(s.chain, token)
	return nil
}
