package report

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// scored is how a policy did in one task of RULER: a figure of each prompt, and beside it that of
// full attention, NaN where there is none.
type scored struct {
	task      string
	own, full []float64
}

// foundShare is the share that an answer has of what was asked for.
func foundShare(r Record) float64 { return float64(r.Right) / float64(r.Total) }

// unlikelihood is the negative log-likelihood of the right answer, in nats per token.
func unlikelihood(r Record) float64 { return r.NLL }

// scores are those of all tasks that the policy has.
func (s *setup) scores(p *policy, figure func(Record) float64) (all []scored) {
	type prompt struct {
		task   string
		number int
	}
	reference := map[prompt]float64{}
	if full := s.full(); full != nil {
		for _, r := range full.records {
			reference[prompt{r.Text, r.Sample}] = figure(r)
		}
	}
	for _, r := range p.records {
		i := slices.IndexFunc(all, func(t scored) bool { return t.task == r.Text })
		if i < 0 {
			i = len(all)
			all = append(all, scored{task: r.Text})
		}
		of, ok := reference[prompt{r.Text, r.Sample}]
		if !ok {
			of = math.NaN()
		}
		all[i].own, all[i].full = append(all[i].own, figure(r)), append(all[i].full, of)
	}
	return all
}

// mean weighs the tasks the same.
func meanScore(all []scored, of func(scored) []float64) float64 {
	return average(all, func(t scored) float64 {
		return average(of(t),
			func(v float64) float64 { return v })
	})
}

func ownScores(t scored) []float64  { return t.own }
func fullScores(t scored) []float64 { return t.full }

// ofFull is of the prompts that full attention has answered as well.
func ofFull(all []scored) float64 {
	return meanScore(all, func(t scored) []float64 {
		own := slices.Clone(t.own)
		for i, v := range t.full {
			if math.IsNaN(v) {
				own[i] = v
			}
		}
		return own
	}) / meanScore(all, fullScores)
}

// aboveFull is a difference, prompt by prompt.
func aboveFull(all []scored) float64 {
	return meanScore(all, func(t scored) []float64 {
		more := slices.Clone(t.own)
		for i, v := range t.full {
			more[i] -= v
		}
		return more
	})
}

// resampled is f with its 95 % interval, by a bootstrap over the prompts of each task; of single
// prompts there is none.
func resampled(all []scored, f func([]scored) float64) Estimate {
	e := Estimate{f(all), math.NaN(), math.NaN()}
	if !slices.ContainsFunc(all, func(t scored) bool { return len(t.own) > 1 }) {
		return e
	}
	rng := rand.New(rand.NewPCG(16, 2000))
	draw := make([]scored, len(all))
	var draws []float64
	for range resamples {
		for i, t := range all {
			d := scored{own: make([]float64, len(t.own)), full: make([]float64, len(t.own))}
			for k := range d.own {
				from := rng.IntN(len(t.own))
				d.own[k], d.full[k] = t.own[from], t.full[from]
			}
			draw[i] = d
		}
		if v := f(draw); !math.IsNaN(v) {
			draws = append(draws, v)
		}
	}
	e.Lo, e.Hi = ends(draws)
	return e
}

// worst is the task with the lowest score beside that of full attention.
func worst(all []scored) (task string, share float64) {
	share = math.NaN()
	for _, t := range all {
		if v := ofFull([]scored{t}); !math.IsNaN(v) && !math.IsInf(v, 0) && !(v >= share) {
			task, share = t.task, v
		}
	}
	return task, share
}

// inPercent writes an estimate of a share.
func inPercent(e Estimate) string {
	if math.IsNaN(e.Value) {
		return "-"
	}
	if math.IsNaN(e.Lo) {
		return percent(e.Value, 1)
	}
	return fmt.Sprintf("%.1f [%.1f, %.1f]", 100*e.Value, 100*e.Lo, 100*e.Hi)
}

func (s *setup) ruler() *grid {
	g := &grid{Caption: s.title(), Head: []string{"policy", "mean % [95 %]", "of full % [95 %]",
		"NLL - full [95 %]", "worst task, of full %", "KV read %", "tokens/s"}}
	tasks := slices.Clone(s.texts)
	g.Head = append(g.Head, tasks...)
	most := 0
	for _, p := range s.policies {
		all := s.scores(p, foundShare)
		row := []string{p.name, inPercent(resampled(all, meanOwnScore)), "-", "-", "-",
			percent(p.share, 1), figure(1000 / p.ms)}
		if len(all) < len(tasks) {
			row[0] = fmt.Sprintf("%s (%d of %d tasks)", p.name, len(all), len(tasks))
		}
		if !p.full() {
			task, share := worst(all)
			row[2], row[4] = inPercent(resampled(all, ofFull)),
				fmt.Sprintf("%s %s", task, percent(share, 0))
			row[3] = resampled(s.scores(p, unlikelihood), aboveFull).String()
		}
		for _, t := range tasks {
			cell := "-"
			if i := slices.IndexFunc(all, func(a scored) bool { return a.task == t }); i >= 0 {
				most = max(most, len(all[i].own))
				e := wilsonShare(average(all[i].own, func(v float64) float64 { return v }),
					len(all[i].own)).scaled(100)
				cell = fmt.Sprintf("%.0f [%.0f, %.0f]", e.Value, e.Lo, e.Hi)
			}
			row = append(row, cell)
		}
		g.row(row...)
	}
	g.Notes = append(s.inactive(), fmt.Sprintf("Of up to %d prompts of each task. The intervals "+
		"of tasks are those of so many answers that are right or wrong, those of means by a "+
		"bootstrap.", most))
	return g
}

func rulerMet(mean Estimate, worst float64) bool { return mean.Value >= 0.97 && worst >= 0.9 }

// rulerVerdicts say whether our selection keeps what full attention reaches.
func rulerVerdicts(all []*setup) (out []Verdict) {
	for _, s := range all {
		if s.test != "ruler" || s.full() == nil {
			continue
		}
		for _, p := range s.policies {
			if p.full() || p.opt["select"] != "tokens" {
				continue
			}
			scores := s.scores(p, foundShare)
			e := resampled(scores, ofFull)
			task, share := worst(scores)
			if math.IsNaN(e.Value) {
				continue
			}
			v := Verdict{Question: "Does the default selection keep full attention's scores in " +
				"RULER?", Setup: s.title(),
				Goal: "97 % of full attention's mean, and no task below 90 %",
				Met:  rulerMet(e, share) && p.sparse > 0}
			v.Text = fmt.Sprintf("%s: mean %s %% of %s %%, which is %s %% of it; lowest is %s "+
				"with %s %%", p.name, percent(meanScore(scores, ownScores), 1),
				percent(meanScore(scores, fullScores), 1), inPercent(e), cmp.Or(task, "none"),
				percent(share, 0))
			if p.sparse == 0 {
				v.Text += "; it decoded nothing sparsely, so this proves nothing"
			}
			v.Text += "."
			out = append(out, v)
		}
	}
	return out
}
