package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"strings"
)

// Record is one line of results.jsonl: what one policy did on one text or task.
// A figure that was not measured is NaN here and null in the file.
type Record struct {
	// decode (after a long prompt), generate (after a short one), free (after a long prompt, the
	// model's own text), needle and passkey ("-sparse": the question is decoded sparsely too),
	// ruler, questions, problems
	Test   string `json:"test"`
	Policy string `json:"policy"` // short name, unique within a test: "tokens w2 512"
	// policies that differ only in budget, the points of one curve: "tokens w2"
	Family  string `json:"family"`
	Options string `json:"options"` // what the library was given; "" is full attention
	Model   string `json:"model"`
	Text    string `json:"text"`
	KV      string `json:"kv"`     // type of the KV cache
	Ctx     int    `json:"ctx"`    // tokens of the prompt
	Tokens  int    `json:"tokens"` // decoded, over all streams
	// stretches of the text, each with its prompt, decoded as one batch
	Streams int `json:"streams"`

	// from full attention, nats per token; KLLo to KLHi is its 95 % interval
	KL   float64 `json:"kl"`
	KLLo float64 `json:"kl_lo"`
	KLHi float64 `json:"kl_hi"`
	NLL  float64 `json:"nll"`  // of the given tokens, nats per token
	Top1 float64 `json:"top1"` // share of tokens with full attention's most likely token
	// KV bytes read, summaries included, of those full attention reads
	KVShare float64 `json:"kv_share"`
	// share of the attention that the pages read hold; <= 0 is not measured
	Mass     float64 `json:"mass"`
	Exposure float64 `json:"exposure"` // pages seen when leaving the window, per page selected
	TokS     float64 `json:"tok_s"`    // tokens decoded per second, over all streams

	// With these two a figure proves that it comes from sparse, and from corrected, attention.
	SparseTokens    uint64 `json:"sparse_tokens"`
	CorrectedTokens uint64 `json:"corrected_tokens"`

	// KLTokens is the KL of every token, streams one after another, each Tokens/Streams
	// long; nil for tasks and full attention.
	KLTokens []float32 `json:"kl_tokens,omitempty"`

	Depth float64 `json:"depth,omitempty"` // of the needle in the prompt, 0 to 1
	// number of the prompt among those of the text or task
	Sample  int    `json:"sample,omitempty"`
	N       int    `json:"n,omitempty"`        // questions per prompt
	Total   int    `json:"total,omitempty"`    // answers that there are
	Right   int    `json:"right,omitempty"`    // answers that are right
	Same    int    `json:"same,omitempty"`     // answers that are those of full attention
	RightAt string `json:"right_at,omitempty"` // by question number, 1 or 0: right
	SameAt  string `json:"same_at,omitempty"`  // and as full attention

	Answer string `json:"answer,omitempty"` // what was said, where that is short

	// Of a text that goes on by itself: its first tokens that are those of the text under full
	// attention
	Common int `json:"common,omitempty"`
	// share of its tokens that end four which were there before
	Repeated float64 `json:"repeated,omitempty"`

	Machine string `json:"machine,omitempty"` // its name, where several are compared
	Plan    string `json:"plan,omitempty"`    // what a plan chose, in its own words

	Error string `json:"error,omitempty"` // why this policy could not run
}

// SetKL stores the KL of every token, and the mean and interval that follow.
func (r *Record) SetKL(tokens []float32) {
	r.KLTokens = tokens
	r.KL, r.KLLo, r.KLHi = Interval(tokens, r.Streams)
}

// Unmeasured returns r without figures.
func (r Record) Unmeasured() Record {
	for _, v := range r.figures() {
		*v = math.NaN()
	}
	return r
}

// Full says whether this is full attention, the reference.
func (r *Record) Full() bool { return r.Options == "" }

// decodes says whether the test decodes a given text, so that there is a KL.
func (r *Record) decodes() bool { return r.Test == "decode" || r.Test == "generate" }

// Key tells what was to be measured: a record with the same key need not be measured again. Of a
// text the decoded length counts, of a task it depends on the answer, and prompts may be tried in
// any batch.
func (r *Record) Key() string {
	tokens, streams := r.Tokens, r.Streams
	if !r.decodes() {
		tokens, streams = 0, 0
	}
	return fmt.Sprintf("%q %q %q %q %q %q ctx=%d tokens=%d streams=%d depth=%g n=%d sample=%d",
		r.Test, r.Policy, r.Options, r.Model, r.Text, r.KV, r.Ctx, tokens, streams, r.Depth, r.N,
		r.Sample) + r.on()
}

// on names the machine, if it has a name.
func (r *Record) on() string {
	if r.Machine == "" {
		return ""
	}
	return ", on " + r.Machine
}

// figures are what may be unmeasured, by the key in the file.
func (r *Record) figures() map[string]*float64 {
	return map[string]*float64{
		"kl": &r.KL, "kl_lo": &r.KLLo, "kl_hi": &r.KLHi, "nll": &r.NLL, "top1": &r.Top1,
		"kv_share": &r.KVShare,
		"mass":     &r.Mass, "exposure": &r.Exposure, "tok_s": &r.TokS,
	}
}

type plain Record // without the methods

// MarshalJSON writes figures that were not measured as null.
func (r Record) MarshalJSON() ([]byte, error) {
	if r.Mass <= 0 {
		r.Mass = math.NaN()
	}
	var unmeasured []string
	for key, v := range r.figures() {
		if math.IsNaN(*v) || math.IsInf(*v, 0) {
			unmeasured = append(unmeasured, key)
			*v = 0
		}
	}
	data, err := json.Marshal(plain(r))
	if err != nil || len(unmeasured) == 0 {
		return data, err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return nil, err
	}
	for _, key := range unmeasured {
		fields[key] = json.RawMessage("null")
	}
	return json.Marshal(fields)
}

// UnmarshalJSON reads null, and what is not there, as NaN.
func (r *Record) UnmarshalJSON(data []byte) error {
	*r = Record{}.Unmeasured() // null leaves it so
	return json.Unmarshal(data, (*plain)(r))
}

// Append adds a line to the file and waits until it is on disk. A line that an
// interrupt tore is cut off first.
func Append(path string, r Record) (err error) {
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	end, err := lastLineEnd(f)
	if err != nil {
		return err
	}
	if err := f.Truncate(end); err != nil {
		return err
	}
	if _, err := f.WriteAt(append(line, '\n'), end); err != nil {
		return err
	}
	return f.Sync()
}

// lastLineEnd is the offset after the last newline.
func lastLineEnd(f *os.File) (int64, error) {
	end, err := f.Seek(0, io.SeekEnd)
	buf := make([]byte, 64<<10)
	for err == nil && end > 0 {
		start := max(0, end-int64(len(buf)))
		part := buf[:end-start]
		if _, err = f.ReadAt(part, start); err != nil {
			break
		}
		if i := bytes.LastIndexByte(part, '\n'); i >= 0 {
			return start + int64(i) + 1, nil
		}
		end = start
	}
	return 0, err
}

// Read returns the records of the file, none if it does not exist. Of lines with the
// same key the last counts; a torn last line does not.
func Read(path string) ([]Record, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return parse(path, data)
}

func parse(path string, data []byte) ([]Record, error) {
	var records []Record
	index := map[string]int{}
	lines := strings.Split(string(data), "\n")
	for i, line := range lines[:len(lines)-1] {
		if strings.TrimSpace(line) == "" {
			continue
		}
		var r Record
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, i+1, err)
		}
		at, seen := index[r.Key()]
		if !seen {
			at = len(records)
			index[r.Key()] = at
			records = append(records, r)
		}
		records[at] = r
	}
	return records, nil
}
