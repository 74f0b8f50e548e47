package speed

import (
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// table shows the results of a type and number of sequences.
func (b *runner) table(c cell) {
	b.say("\nKV cache %s, %s, %s. Times are ms of a step, which decodes a token of each sequence.",
		c.kv, count(c.seqs, "sequence"), count(b.threads, "thread"))
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "depth\tpolicy\ttok/s min/median/max\ttimes "+
		"stock\tattention\tdense\trest\tfirst\tKV read\tGB/s\tof bandwidth\tbeside KV\tRSS\t")
	var notes []string
	depth := -1
	for _, r := range b.results {
		if r.KV != c.kv || r.Seqs != c.seqs {
			continue
		}
		if depth >= 0 && r.Depth != depth {
			fmt.Fprintln(w, strings.Repeat("\t", 13))
		}
		depth = r.Depth
		at := r.Policy + " at " + depthName(r.Depth)
		for _, note := range []string{r.Note, r.Plan} {
			if note != "" {
				notes = append(notes, at+": "+note)
			}
		}
		if r.Error != "" {
			notes = append(notes, at+": FAILED: "+r.Error)
			fmt.Fprintf(w, "%s\t%s\tfailed%s\n", depthName(r.Depth), r.Policy,
				strings.Repeat("\t", 11))
			continue
		}
		fmt.Fprintln(w, strings.Join(r.row(), "\t")+"\t")
	}
	w.Flush()
	for line := range strings.Lines(text.String()) {
		b.say("%s", strings.TrimRight(line, " \n"))
	}
	for _, note := range notes {
		b.say("%s", note)
	}
}

func (r Result) row() []string {
	return []string{depthName(r.Depth), r.Policy, digits(r.TokSMin) + " / " + digits(r.TokS) +
		" / " + digits(r.TokSMax), fixed(r.Ratio, "%.2f"),
		fixed(r.AttendMS, "%.2f"), fixed(r.DenseMS, "%.2f"), fixed(r.RestMS, "%.2f"),
		fixed(r.FirstMS, "%.1f"),
		fixed(r.KVShare*100, "%.1f %%"), fixed(r.KVGBps, "%.1f"), fixed(r.BWShare*100, "%.0f %%"),
		fixed(r.Extra*100, "%.1f %%"), gib(r.RSS)}
}

// digits writes three of them, without an exponent.
func digits(f figure) string {
	if !f.known() {
		return "-"
	}
	switch {
	case f >= 100:
		return fixed(f, "%.0f")
	case f >= 10:
		return fixed(f, "%.1f")
	}
	return fixed(f, "%.2f")
}

func fixed(f figure, format string) string {
	if !f.known() {
		return "-"
	}
	return fmt.Sprintf(format, float64(f))
}

// spread is the least, median and most of some rates.
func spread(rates []float64) string {
	low, high := rates[0], rates[0]
	for _, r := range rates {
		low, high = min(low, r), max(high, r)
	}
	return digits(figure(low)) + " / " + digits(figure(median(rates))) + " / " +
		digits(figure(high))
}

func gib(bytes uint64) string {
	return strconv.FormatFloat(float64(bytes)/(1<<30), 'f', 1, 64) + " GiB"
}

// clock writes minutes and seconds.
func clock(d time.Duration) string {
	s := int(d.Round(time.Second).Seconds())
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}
