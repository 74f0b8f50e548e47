package tasks

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Bounds of what is read, far above any public set: a wrong path must not fill the memory.
const (
	maxFile    = 256 << 20
	maxRecord  = 4 << 20
	maxRecords = 200_000
)

// record is a JSON object, or a line of a CSV file, with the place where it stands. Keys are in
// lower case, as the sets differ only in that.
type record struct {
	file   string
	line   int
	fields map[string]json.RawMessage
	cells  []string // a CSV line of a file without a heading
}

// fail says where the record is and what is wrong with it.
func (r record) fail(format string, values ...any) error {
	return fmt.Errorf("%s:%d: %s", r.file, r.line, fmt.Sprintf(format, values...))
}

// readRecords reads a file, or all .json, .jsonl and .csv files of a folder in the order of their
// names. A CSV file has a heading if one of its cells is "question" in any case.
func readRecords(path string) ([]record, error) {
	files := []string{path}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		if files, err = setFiles(path); err != nil {
			return nil, err
		}
	}
	var all []record
	for _, file := range files {
		records, err := readFile(file)
		if err != nil {
			return nil, err
		}
		if all = append(all, records...); len(all) > maxRecords {
			return nil, fmt.Errorf("%s: more than %d items", path, maxRecords)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s holds no items", path)
	}
	return all, nil
}

func setFiles(folder string) ([]string, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, entry := range entries {
		if slices.Contains([]string{".json", ".jsonl", ".csv"},
			strings.ToLower(filepath.Ext(entry.Name()))) && !entry.IsDir() {
			files = append(files, filepath.Join(folder, entry.Name()))
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s holds no .json, .jsonl or .csv file", folder)
	}
	return files, nil
}

func readFile(path string) ([]record, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	tooLarge := fmt.Errorf("%s is larger than %d MiB", path, maxFile>>20)
	if info, err := file.Stat(); err == nil && info.Size() > maxFile {
		return nil, tooLarge
	}
	// The size of a pipe is not known before.
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFile {
		return nil, tooLarge
	}
	return parseFile(path, data)
}

// parseFile chooses the format: CSV by the name, a JSON array by its bracket, else one JSON object
// a line.
func parseFile(path string, data []byte) ([]record, error) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	switch {
	case strings.EqualFold(filepath.Ext(path), ".csv"):
		return parseCSV(path, data)
	case bytes.HasPrefix(bytes.TrimSpace(data), []byte("[")):
		return parseArray(path, data)
	}
	return parseLines(path, data)
}

func parseLines(path string, data []byte) ([]record, error) {
	var records []record
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, maxRecord)
	number := 0
	for lines.Scan() {
		number++
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		if len(records) == maxRecords {
			return nil, fmt.Errorf("%s:%d: more than %d items", path, number, maxRecords)
		}
		r := record{file: path, line: number}
		if err := r.parse(lines.Bytes()); err != nil {
			return nil, err
		}
		records = append(records, r)
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return nil, fmt.Errorf("%s:%d: a line longer than %d MiB", path, number+1, maxRecord>>20)
	}
	return records, lines.Err()
}

// parse reads one JSON object. The bytes are not kept.
func (r *record) parse(object []byte) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(object, &fields); err != nil {
		return r.fail("not a JSON object: %v", err)
	}
	r.fields = make(map[string]json.RawMessage, len(fields))
	for key, value := range fields {
		if string(value) == "null" {
			continue
		}
		r.fields[strings.ToLower(strings.TrimSpace(key))] = value
	}
	return nil
}

func parseArray(path string, data []byte) ([]record, error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	place := lineCounter{data: data, line: 1}
	if _, err := decoder.Token(); err != nil {
		return nil, fmt.Errorf("%s:%d: %w", path, place.at(decoder.InputOffset()), err)
	}
	var records []record
	for decoder.More() {
		if len(records) == maxRecords {
			return nil, fmt.Errorf("%s: more than %d items", path, maxRecords)
		}
		var object json.RawMessage
		err := decoder.Decode(&object)
		r := record{file: path, line: place.at(decoder.InputOffset() - int64(len(object)))}
		if err != nil {
			return nil, r.fail("not valid JSON: %v", err)
		}
		if err := r.parse(object); err != nil {
			return nil, err
		}
		records = append(records, r)
	}
	if _, err := decoder.Token(); err != nil {
		return nil, fmt.Errorf("%s:%d: the array does not end: %w", path,
			place.at(decoder.InputOffset()), err)
	}
	return records, nil
}

// lineCounter tells the line of an offset that only grows.
type lineCounter struct {
	data []byte
	done int64
	line int
}

func (c *lineCounter) at(offset int64) int {
	offset = min(max(offset, c.done), int64(len(c.data)))
	c.line += bytes.Count(c.data[c.done:offset], []byte("\n"))
	c.done = offset
	return c.line
}

func parseCSV(path string, data []byte) ([]record, error) {
	reader := csv.NewReader(bytes.NewReader(data))
	reader.FieldsPerRecord = -1
	reader.LazyQuotes = true // a few lines of MMLU hold bare quotes
	var records []record
	var heading []string
	for {
		cells, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return records, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		line, _ := reader.FieldPos(0)
		if line == 1 && slices.ContainsFunc(cells,
			func(c string) bool { return strings.EqualFold(strings.TrimSpace(c), "question") }) {
			heading = cells
			continue
		}
		if len(records) == maxRecords {
			return nil, fmt.Errorf("%s:%d: more than %d items", path, line, maxRecords)
		}
		records = append(records, record{file: path, line: line, cells: cells,
			fields: named(heading, cells)})
	}
}

// choiceColumn is the name of a column with one choice: choice0, option_a, A.
var choiceColumn = regexp.MustCompile(`^(?:choice|option)?[ _]?(?:[a-z]|[0-9]+)$`)

// named gives the cells of a CSV line the names of the heading, and joins columns with a choice
// each; nil without one.
func named(heading, cells []string) map[string]json.RawMessage {
	if heading == nil {
		return nil
	}
	fields := map[string]json.RawMessage{}
	var choices []string
	for i, cell := range cells {
		if i >= len(heading) {
			break
		}
		name := strings.ToLower(strings.TrimSpace(heading[i]))
		if choiceColumn.MatchString(name) {
			choices = append(choices, cell)
		} else if cell != "" {
			fields[name], _ = json.Marshal(cell)
		}
	}
	if choices != nil {
		fields["choices"], _ = json.Marshal(choices)
	}
	return fields
}

// text returns the first of the keys that holds a string or a number, as text.
func (r record) text(keys ...string) string {
	for _, key := range keys {
		if s := scalar(r.fields[key]); s != "" {
			return s
		}
	}
	return ""
}

// scalar returns a JSON string or number as text, and "" for anything else.
func scalar(value json.RawMessage) string {
	var s string
	if json.Unmarshal(value, &s) == nil {
		return strings.TrimSpace(s)
	}
	var n json.Number
	if json.Unmarshal(value, &n) == nil {
		return n.String()
	}
	return ""
}
