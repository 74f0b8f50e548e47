package harness

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const SoakTop = 8 // most likely tokens that an answer tells of each step

// Request is a request, always the same.
type Request struct {
	Kind    string
	Prompt  []int
	Predict int
	More    map[string]any // further fields of the request
	Alone   Reply
}

// Likely is a token that might come.
type Likely struct {
	ID      int
	Logprob float64
}

// Step is a token of an answer and what else might have come.
type Step struct {
	ID      int
	Logprob float64
	Top     []Likely `json:"top_logprobs"`
}

// logprob is that of a token, or, of one that is not among the likely, the least that is known to
// be more.
func (s Step) logprob(id int) float64 {
	for _, p := range s.Top {
		if p.ID == id {
			return p.Logprob
		}
	}
	return s.Top[len(s.Top)-1].Logprob
}

// Reply is what came of a request: an answer, whole or up to where it was cancelled, or a refusal.
type Reply struct {
	Steps     []Step
	End       string // "limit", "truncated", "cancelled", or the type of an error
	Message   string // of the error, after its code
	Predicted int
	Timings   Timings
}

// Bounds are what an answer in company may differ from the same alone, as the rows of a batch
// choose the kernels.
type Bounds struct {
	Step float64 // log-probability of one token
	Mean float64 // in the mean of all tokens of all answers
}

// LanguageBounds are those of a language model. Stock llama.cpp differs, too: in a shared cache by
// 0.04 in the mean and 0.5 at most, and two answers of three part in the end. This project's was
// 0.007, 0.5, and one of six. Another request's answer is off by several.
var LanguageBounds = Bounds{Step: 1.5, Mean: 0.05}

// Difference is how far the steps of one answer are from those of another.
type Difference struct {
	Steps      int
	Sum, Worst float64
}

func (d *Difference) add(x float64) {
	d.Steps, d.Sum, d.Worst = d.Steps+1, d.Sum+x, max(d.Worst, x)
}

// Differs compares an answer with the one given alone: the tokens' probabilities as long as both
// say the same, and where they part, how much less likely each finds what the other says. From
// there on they answer different questions.
func Differs(alone, got Reply) (d Difference, err error) {
	for i, g := range got.Steps {
		if i == len(alone.Steps) {
			return d, errors.New("it goes on where alone it ended")
		}
		a := alone.Steps[i]
		// what is no number comes as null, read as 0
		if len(g.Top) != SoakTop || g.Top[SoakTop-1].Logprob >= 0 {
			return d, fmt.Errorf("token %d has no probabilities: %v", i, g)
		}
		if g.ID != a.ID {
			d.add(max(a.Logprob-a.logprob(g.ID), g.Logprob-g.logprob(a.ID)))
			return d, nil
		}
		d.add(math.Abs(a.Logprob - g.Logprob))
	}
	if got.End != "cancelled" && (got.End != alone.End || got.Predicted != alone.Predicted ||
		len(got.Steps) != len(alone.Steps)) {
		return d, fmt.Errorf("it ended after %d tokens (%s) in %d pieces, alone after %d (%s) in %d",
			got.Predicted, got.End, len(got.Steps), alone.Predicted, alone.End, len(alone.Steps))
	}
	return d, nil
}

// Ask sends a request and reads the answer as it comes. After so many pieces (none: never) it hangs
// up; so it does when the context is done.
func (q *Request) Ask(ctx context.Context, url string, pieces int) (r Reply, err error) {
	ctx, hangUp := context.WithCancel(ctx)
	defer hangUp()
	fields := map[string]any{"prompt": q.Prompt, "n_predict": q.Predict, "temperature": 0,
		"cache_prompt": false,
		"ignore_eos":   true, "stream": true, "n_probs": SoakTop}
	maps.Copy(fields, q.More)
	answer, err := Open(ctx, url+"/completion", fields)
	if err != nil {
		return r, err
	}
	defer answer.Body.Close()
	type failure struct {
		Code          int
		Type, Message string
	}
	if answer.StatusCode != http.StatusOK {
		var f struct{ Error failure }
		data, err := io.ReadAll(answer.Body)
		if err == nil {
			err = json.Unmarshal(data, &f)
		}
		r.End, r.Message = f.Error.Type, fmt.Sprintf("%d: %s", f.Error.Code, f.Error.Message)
		return r, err
	}
	lines := bufio.NewScanner(answer.Body)
	for lines.Buffer(nil, 1<<24); lines.Scan(); {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		var piece struct {
			Steps           []Step `json:"completion_probabilities"`
			Stop, Truncated bool
			StopType        string `json:"stop_type"`
			Predicted       int    `json:"tokens_predicted"`
			Timings         Timings
			Error           *failure
		}
		if err := json.Unmarshal([]byte(data), &piece); err != nil {
			// a line that the context has cut off comes, too
			return r, cmp.Or(ctx.Err(), fmt.Errorf("%w in %s", err, data))
		}
		r.Steps, r.Predicted, r.Timings = append(r.Steps, piece.Steps...), piece.Predicted,
			piece.Timings
		switch {
		case piece.Error != nil:
			r.End, r.Message = piece.Error.Type,
				fmt.Sprintf("%d: %s", piece.Error.Code, piece.Error.Message)
			return r, nil
		case piece.Stop && piece.Truncated:
			r.End = "truncated"
			return r, nil
		case piece.Stop:
			r.End = piece.StopType
			return r, nil
		}
		if pieces--; pieces == 0 {
			r.End = "cancelled"
			return r, nil
		}
	}
	return r, cmp.Or(lines.Err(), io.ErrUnexpectedEOF)
}

// Must is the answer to a request, to its end.
func (q *Request) Must(t *testing.T, url string) Reply {
	t.Helper()
	r, err := q.Ask(t.Context(), url, 0)
	require.NoError(t, err)
	require.Empty(t, r.Message)
	require.Equal(t, q.Predict, r.Predicted)
	return r
}
