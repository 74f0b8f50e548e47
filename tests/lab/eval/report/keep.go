package report

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// keptFiles are the files of lines that the documentation rests on, by test. RULER and pairs have thousands.
var keptFiles = map[string]string{"decode": "decode.jsonl", "questions": "questions.jsonl",
	"problems": "questions.jsonl",
	"free":     "free.jsonl", "ruler": "ruler.jsonl.gz",
	"pairs": "pairs.jsonl.gz", "pairs-sparse": "pairs.jsonl.gz"}

// keep adds the lines of a file to those in a folder, in place of others with the same key.
func keep(dir, path string) error {
	more, err := Read(path)
	if err != nil {
		return err
	}
	for test, name := range keptFiles {
		of := slices.DeleteFunc(slices.Clone(more), func(r Record) bool {
			return r.Test != test || r.Error != ""
		})
		if len(of) == 0 {
			continue
		}
		kept := filepath.Join(dir, name)
		old, err := readLines(kept)
		if err != nil {
			return err
		}
		if err := writeLines(kept, merge(old, of)); err != nil {
			return err
		}
	}
	return nil
}

// merge has the last of records with the same key, in the place of the first.
func merge(records ...[]Record) (all []Record) {
	at := map[string]int{}
	for _, r := range slices.Concat(records...) {
		i, seen := at[r.Key()]
		if !seen {
			i = len(all)
			at[r.Key()] = i
			all = append(all, r)
		}
		all[i] = r
	}
	return all
}

// readLines is Read of a file that may be packed by gzip.
func readLines(path string) ([]Record, error) {
	if !strings.HasSuffix(path, ".gz") {
		return Read(path)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	unpacked, err := gzip.NewReader(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	data, err := io.ReadAll(unpacked)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return parse(path, data)
}

func writeLines(path string, records []Record) error {
	var text bytes.Buffer
	for _, r := range records {
		line, err := r.compact()
		if err != nil {
			return err
		}
		text.Write(append(line, '\n'))
	}
	if !strings.HasSuffix(path, ".gz") {
		return os.WriteFile(path, text.Bytes(), 0o644)
	}
	var packed bytes.Buffer
	w, _ := gzip.NewWriterLevel(&packed, gzip.BestCompression) // the level is one
	if _, err := w.Write(text.Bytes()); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return os.WriteFile(path, packed.Bytes(), 0o644)
}

// compact is a line of six digits, two for single tokens, without what was not measured, and
// without the answer, since texts may be somebody's.
func (r Record) compact() ([]byte, error) {
	for _, v := range r.figures() {
		*v = rounded(*v, 6)
	}
	r.Repeated, r.Answer = rounded(r.Repeated, 6), ""
	r.KLTokens = slices.Clone(r.KLTokens)
	for i, v := range r.KLTokens {
		r.KLTokens[i] = float32(rounded(float64(v), 2))
	}
	data, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return nil, err
	}
	for key, v := range fields {
		if string(v) == "null" {
			delete(fields, key)
		}
	}
	return json.Marshal(fields)
}

func rounded(v float64, digits int) float64 {
	if math.IsNaN(v) {
		return v
	}
	r, _ := strconv.ParseFloat(strconv.FormatFloat(v, 'g', digits, 64), 64) // what it wrote
	return r
}
