package divergence

import (
	"encoding/binary"
	"math"
	"os"

	"github.com/retroattn/retroattn/bridge"
)

// verdict is what there is to say about one prediction.
type verdict struct {
	kl, nll float64
	same    bool // the most likely token is that of full attention
	buf     []float32
}

// compare judges the logits of a policy by the log-probabilities of full attention.
func (v *verdict) compare(full, logits []float32, next bridge.Token) {
	norm := logSum(logits)
	v.kl = divergence(full, 0, logits, norm)
	v.nll = norm - float64(logits[next])
	v.same = bridge.Argmax(full) == bridge.Argmax(logits)
}

// KL is the Kullback-Leibler divergence, in nats, of a prediction from that of full attention, both
// as logits.
func KL(full, logits []float32) float64 {
	return divergence(full, logSum(full), logits, logSum(logits))
}

// NLL is the negative log-likelihood of a token, in nats, given the logits.
func NLL(logits []float32, token bridge.Token) float64 {
	return logSum(logits) - float64(logits[token])
}

// divergence is KL, given the logarithm of the sum of each's exponentials.
func divergence(full []float32, fullNorm float64, logits []float32, norm float64) float64 {
	kl := 0.0
	for i, x := range full {
		p := float64(x) - fullNorm
		kl += math.Exp(p) * (p - (float64(logits[i]) - norm))
	}
	return max(0, kl) // rounding
}

// logProbs is dst = log softmax(logits).
func logProbs(logits, dst []float32) {
	norm := logSum(logits)
	for i, x := range logits {
		dst[i] = float32(float64(x) - norm)
	}
}

// logSum is the logarithm of the sum of the exponentials.
func logSum(x []float32) float64 {
	top := math.Inf(-1)
	for _, v := range x {
		top = max(top, float64(v))
	}
	sum := 0.0
	for _, v := range x {
		sum += math.Exp(float64(v) - top)
	}
	return top + math.Log(sum)
}

// rows keeps rows of numbers in a file without a name: those of a long text and a large vocabulary
// are gigabytes.
type rows struct {
	file  *os.File
	size  int  // of a row
	whole bool // all rows are there
}

func newRows(dir string, size int) (*rows, error) {
	file, err := os.CreateTemp(dir, "full-attention-*")
	if err != nil {
		return nil, err
	}
	return &rows{file: file, size: size}, os.Remove(file.Name())
}

func (r *rows) put(i int, x []float32) error {
	raw := make([]byte, 0, 4*r.size)
	for _, v := range x {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
	}
	_, err := r.file.WriteAt(raw, int64(i)*int64(4*r.size))
	return err
}

func (r *rows) get(i int, x []float32) error {
	raw := make([]byte, 4*r.size)
	if _, err := r.file.ReadAt(raw, int64(i)*int64(4*r.size)); err != nil {
		return err
	}
	for j := range x {
		x[j] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*j:]))
	}
	return nil
}

func (r *rows) close() error {
	if r == nil {
		return nil
	}
	return r.file.Close()
}
