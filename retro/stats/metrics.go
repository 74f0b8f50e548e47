package stats

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync/atomic"
	"unsafe"
)

// millionths ends the help of a counter whose unit is 1e-6: metrics have base units.
const millionths = ", in millionths"

// metrics calls f with each counter and figure that a monitor wants, by a name that ends in its
// unit, and in _total if it only grows.
func (s Stats) metrics(f func(name, kind, help string, value float64)) {
	for i, field := range fields {
		value, name, help, kind := float64(s.words()[i]), field.Name, field.Help, "gauge"
		if ns, ok := strings.CutSuffix(name, "_ns"); ok {
			name, value = ns+"_seconds", value/1e9
		}
		if whole, ok := strings.CutSuffix(help, millionths); ok {
			help, value = whole, value/1e6
		}
		if !field.Held {
			name, kind = name+"_total", "counter"
		}
		f("retro_"+name, kind, help, value)
	}
	v := reflect.ValueOf(s.Figures())
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if name := field.Tag.Get("metric"); name != "" {
			value := v.Field(i).Convert(reflect.TypeFor[float64]()).Float()
			f("retro_"+name, "gauge", field.Tag.Get("help"), value)
		}
	}
}

// Metrics writes counters and figures in the text format of Prometheus, names beginning with
// prefix.
func (s Stats) Metrics(prefix string) string {
	var b strings.Builder
	s.metrics(func(name, kind, help string, value float64) {
		name = prefix + name
		fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
		fmt.Fprintf(&b, "%s %s\n", name, strconv.FormatFloat(value, 'g', -1, 64))
	})
	return b.String()
}

// Totals sum what several engines count, and are read by any goroutine at any time. The zero value
// is ready.
type Totals struct {
	words [unsafe.Sizeof(Stats{}) / 8]atomic.Uint64
}

// Add adds what an engine has counted since an earlier reading, which is 0 the first time. What it
// held then is replaced by what it holds now.
func (t *Totals) Add(before, now *Stats) {
	from, to := before.words(), now.words()
	for i := range t.words {
		if d := to[i] - from[i]; d != 0 { // what is held may be less, which wraps around
			t.words[i].Add(d)
		}
	}
}

// Close takes away what an engine held that is no more; what it has counted stays.
func (t *Totals) Close(last *Stats) {
	now := *last
	for i, f := range fields {
		if f.Held {
			now.words()[i] = 0
		}
	}
	t.Add(last, &now)
}

// Stats is the sums.
func (t *Totals) Stats() (s Stats) {
	for i := range t.words {
		s.words()[i] = t.words[i].Load()
	}
	return s
}

// String is the metrics as a JSON object, as an expvar.Var must write it.
func (t *Totals) String() string {
	all := map[string]float64{}
	t.Stats().metrics(func(name, _, _ string, value float64) { all[name] = value })
	text, err := json.Marshal(all)
	if err != nil {
		panic(err) // they are finite numbers
	}
	return string(text)
}
