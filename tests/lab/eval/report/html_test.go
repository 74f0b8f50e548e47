package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func page(t *testing.T, records []Record) string {
	var b bytes.Buffer
	require.NoError(t, Write(&b, records, Meta{Title: "Quality <1>", When: "today",
		Machine: "two cores", Command: "go run ./build eval", Notes: []string{"a & b"}}))
	return b.String()
}

// whole is the page of all synthetic records, made once.
func whole(t *testing.T) string {
	if wholePage == "" {
		wholePage = page(t, synth())
	}
	return wholePage
}

var wholePage string

var svgElement = regexp.MustCompile(`(?s)<svg.*?</svg>`)

func requireXML(t *testing.T, text string) {
	d := xml.NewDecoder(strings.NewReader(text))
	for {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		require.NoError(t, err)
	}
}

func TestPage(t *testing.T) {
	text := whole(t)
	require.NotContains(t, text, "NaN")
	require.NotContains(t, text, "ZgotmplZ")
	require.Contains(t, text, "<title>Quality &lt;1&gt;</title>")
	require.Contains(t, text, "notes &lt;b&gt;&amp;&lt;/b&gt;")
	require.NotContains(t, text, "<b>")
	require.Contains(t, text, "must be 1..16 &amp; &lt;whole&gt;")

	// Nothing is fetched: addresses are names of XML spaces, or within the page.
	for _, address := range regexp.MustCompile(`(xmlns(:\w+)?="|href="|src="|url\()?\w*(https?:|//)[^"]*`).FindAllString(text, -1) {
		require.Regexp(t, `^xmlns(:xlink)?="http://www\.w3\.org/`, address)
	}
	for _, link := range regexp.MustCompile(`href="#([^"]+)"`).FindAllStringSubmatch(text, -1) {
		require.Equal(t, 1, strings.Count(text, `id="`+link[1]+`"`), link[1])
	}
	require.NotRegexp(t, `<(script|link|img|iframe)`, text)
}

func TestPlots(t *testing.T) {
	plots := svgElement.FindAllString(whole(t), -1)
	require.Len(t, plots, 3*3+5+2)
	for _, p := range plots {
		requireXML(t, p)
		require.NotRegexp(t, `NaN|Inf`, p)
		require.NotContains(t, p, "<svg width") // fills the page's
	}
	for _, f := range synthFamilies {
		require.Contains(t, plots[0], ">"+f.name+"</text>")
	}
	require.Contains(t, plots[0], ">KV bytes read, % of full attention</text>")
	require.Contains(t, plots[1], ">time per token, ms</text>")
	require.Contains(t, plots[2], ">ours w2 256</text>")
	require.Contains(t, plots[9], ">16384</text>")
	require.Contains(t, plots[14], ">quest+retro 512</text>")
	require.Regexp(t, `textLength="[0-9.]+"[^>]*>ours w1</text>`, plots[0])
}

// A report of part of the tests, of nothing, or of one policy is a report too.
func TestPageOfLittle(t *testing.T) {
	require.NotContains(t, page(t, nil), "<svg")
	require.Len(t, svgElement.FindAllString(page(t, synthTasks()), -1), 7)
	only := synthetic[1:2]
	require.Len(t, svgElement.FindAllString(page(t, only), -1), 3)
	require.NotContains(t, page(t, synthetic[:1]), "<svg") // full attention alone
	failed := []Record{{Test: "decode", Policy: "x", Error: "why"}}
	require.Contains(t, page(t, failed), "why")
	empty := Record{Test: "decode", Policy: "x", Options: "window=1", KL: math.NaN(),
		KLLo: math.NaN(), KLHi: math.NaN(), TokS: math.NaN()}
	require.NotContains(t, page(t, []Record{empty}), "NaN")
	require.NotContains(t, table(t, []Record{empty, {Test: "needle", Policy: "y"}}), "NaN")
}

func TestTicks(t *testing.T) {
	for _, span := range []float64{0.1, 0.4, 1, 2, 3, 6} {
		ticks := logTicks(-2.3, -2.3+span)
		require.GreaterOrEqual(t, len(ticks), 2, span)
		require.LessOrEqual(t, len(ticks), 12, span)
	}
	require.Equal(t, "0.005", logTicks(-2.31, -1.7)[0].Label)
	require.Equal(t, "0.8", logTicks(-0.1, 0.1)[0].Label)
	var labels []string
	for _, tick := range evenTicks(-3, 256) {
		labels = append(labels, tick.Label)
	}
	require.Equal(t, []string{"0", "50", "100", "150", "200", "250"}, labels)
}

// A page of families with one budget each, as those of the cache types are.
func TestPageOfOneBudget(t *testing.T) {
	seen := map[string]bool{}
	var some []Record
	for _, r := range synth() {
		if r.Test != "decode" || seen[r.Family+r.Text] {
			continue
		}
		seen[r.Family+r.Text] = true
		some = append(some, r)
	}
	text := page(t, some)
	require.Contains(t, text, "KL over position")
	require.NotContains(t, text, "NaN")
}
