package report

import (
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
)

// model of the synthetic records: what a family's KL, bytes and time would be.
type synthFamily struct {
	name, options string // options get ",budget=N"
	kl            func(budget float64) float64
	bytes, ms     float64 // factors
}

var synthFamilies = []synthFamily{
	{"ours w1", "select=tokens,window=1", power(0.074), 1, 1},
	{"ours w2", "select=tokens,window=2", power(0.069), 1, 1.9},
	{"ours w8c8", "select=tokens,window=8,period=8", power(0.0695), 1.01, 1.3},
	{"ours w8c8 cb", "select=tokens,window=8,period=8,correct_budget=2048", power(0.053), 1.25,
		1.35},
	{"ours w1 p8", "select=tokens,window=1,page=8", power(0.04), 1.1, 1.02},
	{"ours w1 s16", "select=tokens,window=1,summary_bits=16", power(0.0738), 1.25, 1.05},
	{"quest", "select=minmax,window=1", power(0.15), 1.05, 1},
	{"quest+retro", "select=minmax,window=2", power(0.14), 1.05, 1.9},
	{"oracle", "select=oracle,window=1", power(0.029), 0.95, 1},
	{"streaming", "select=streaming,window=1", func(float64) float64 { return 0.29 }, 0, 0.7},
}

func power(at256 float64) func(float64) float64 {
	return func(budget float64) float64 { return at256 * math.Pow(budget/256, -0.85) }
}

// synthKL are correlated, skewed tokens: the passage is common to all policies, a
// smaller part is the policy's own.
func synthKL(mean float64, text, policy string, streams, tokens int) []float32 {
	common, own := rng(text), rng(text+policy)
	var out []float32
	var a, b float64
	for i := range streams * tokens {
		a = 0.8*a + 0.6*common.NormFloat64()
		b = 0.5*b + 0.3*own.NormFloat64()
		grows := 0.8 + 0.4*float64(i%tokens)/float64(tokens)
		out = append(out, float32(mean*grows*math.Exp(a+b-0.56)))
	}
	return out
}

func rng(seed string) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(seed))
	return rand.New(rand.NewPCG(h.Sum64(), 7))
}

// synth is a laboratory's worth of records.
func synth() []Record { return slices.Clone(laboratory()) }

var laboratory = sync.OnceValue(func() []Record {
	var out []Record
	for _, kv := range []string{"f16", "q8_0"} {
		for _, text := range []string{"prose", "code", "notes <b>&</b>"} {
			out = append(out, synthDecode("decode", kv, text)...)
		}
	}
	out = append(out, synthDecode("generate", "f16", "story")...)
	return append(out, synthTasks()...)
})

func synthDecode(test, kv, text string) []Record {
	const streams, tokens = 2, 256
	base := Record{Test: test, Model: "SmolLM2-135M", Text: text, KV: kv, Ctx: 4096,
		Tokens: streams * tokens, Streams: streams}
	full := base
	full.Policy, full.Family, full.NLL, full.Top1, full.KVShare, full.Exposure, full.TokS = "full",
		"full", 2.3, 1, 1, 1, 31
	out := []Record{full}
	for _, f := range synthFamilies {
		for _, budget := range []int{128, 256, 512, 1024} {
			r := base
			r.Policy, r.Family = fmt.Sprintf("%s %d", f.name, budget), f.name
			r.Options = fmt.Sprintf("%s,budget=%d", f.options, budget)
			if f.name == "streaming" {
				r.Policy, budget = f.name, 0
			}
			mean := f.kl(float64(max(budget, 1)))
			r.SetKL(synthKL(mean, text+kv, r.Policy, streams, tokens))
			r.NLL, r.Top1 = 2.3+mean/3, 1-math.Sqrt(mean)/4
			r.KVShare = 0.035 + f.bytes*float64(budget)/4096 + 0.02
			r.Mass, r.Exposure = 1-0.3*mean, 1.3
			r.TokS = 1000 / (f.ms * (8 + float64(budget)/300))
			r.SparseTokens, r.CorrectedTokens = uint64(r.Tokens), uint64(r.Tokens)
			out = append(out, r)
			if f.name == "streaming" {
				break
			}
		}
	}
	failed := base
	failed.Policy, failed.Family, failed.Options = "broken 256", "broken", "window=99"
	failed.Error = "option window=99: must be 1..16 & <whole>"
	return append(out, failed)
}

func synthTasks() (out []Record) {
	policies := []struct {
		policy, family, options string
		skill                   float64
	}{
		{"full", "full", "", 0.97}, {"ours w2 512", "ours w2", "select=tokens,window=2,budget=512",
			0.95},
		{"quest 512", "quest", "select=minmax,window=1,budget=512", 0.7},
		{"quest+retro 512", "quest+retro", "select=minmax,window=2,budget=512", 0.8},
		{"streaming", "streaming", "select=streaming,window=1", 0.15},
	}
	for _, p := range policies {
		r := Record{Model: "SmolLM2-135M", KV: "f16", Policy: p.policy, Family: p.family,
			Options: p.options, Streams: 1,
			Tokens: 40, KVShare: 0.12, Mass: 0, Exposure: 1.2, TokS: 70, SparseTokens: 40,
			CorrectedTokens: 40, Text: "log"}
		r.KL, r.NLL = math.NaN(), math.NaN()
		for _, ctx := range []int{2048, 4096, 8192, 16384} {
			for _, depth := range []float64{0.1, 0.3, 0.5, 0.7, 0.9} {
				n := r
				n.Test, n.Ctx, n.Depth, n.Total = "needle", ctx, depth, 5
				g := rng(fmt.Sprint(p.policy, ctx, depth))
				for range n.Total {
					if g.Float64() < p.skill-0.1*float64(ctx)/16384 {
						n.Right++
						n.Same++
					}
				}
				out = append(out, n)
			}
		}
		for _, test := range []string{"questions", "problems"} {
			q := r
			q.Test, q.Ctx, q.Total, q.Right, q.Same = test, 6000, 40, int(p.skill*36),
				int(p.skill*40)
			out = append(out, q)
		}
	}
	return out
}
