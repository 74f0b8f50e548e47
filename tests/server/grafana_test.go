package server

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/tests/harness"
)

// source is where Grafana takes data from.
type source struct{ Type, UID string }

// dashboard is what we use of Grafana's format; other fields are an error.
type dashboard struct {
	Title, UID, Description, Refresh, Timezone string
	Tags                                       []string
	SchemaVersion, Version, GraphTooltip       int
	Editable                                   bool
	Time                                       struct{ From, To string }
	Annotations                                struct{ List []any }
	Templating                                 struct {
		List []struct {
			Name, Label, Type, Definition string
			Query, Current                any
			Datasource                    source
			IncludeAll, Multi             bool
			Refresh, Sort                 int
		}
	}
	Panels []struct {
		ID                       int
		Type, Title, Description string
		Datasource               source
		GridPos                  struct{ X, Y, W, H int }
		FieldConfig              struct {
			Defaults struct {
				Unit     string
				Min, Max *float64
			}
			Overrides []any
		}
		Options map[string]any
		Targets []struct {
			RefID, Expr, LegendFormat string
			Datasource                source
		}
	}
}

var metricName = regexp.MustCompile(`llamacpp:([a-z_]+)`)

// Each metric that the dashboard asks for is one that a server has, and its panels are where they
// can be seen.
func TestDashboard(t *testing.T) {
	text, err := os.ReadFile("../../docs/grafana.json")
	require.NoError(t, err)
	var d dashboard
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	require.NoError(t, decoder.Decode(&d))
	variables := "$__rate_interval"
	for _, v := range d.Templating.List {
		variables += " $" + v.Name
		require.Contains(t, []string{"datasource", "query"}, v.Type)
	}
	taken, ids := map[[2]int]string{}, map[int]bool{}
	for _, p := range d.Panels {
		require.False(t, ids[p.ID], "panel %d is there twice", p.ID)
		ids[p.ID] = true
		require.Contains(t, []string{"timeseries", "stat"}, p.Type)
		require.Contains(t, []string{"percentunit", "none", "Bps", "bytes"},
			p.FieldConfig.Defaults.Unit)
		require.NotEmpty(t, p.Description, p.Title)
		require.LessOrEqual(t, p.GridPos.X+p.GridPos.W, 24, p.Title)
		for x := range p.GridPos.W {
			for y := range p.GridPos.H {
				at := [2]int{p.GridPos.X + x, p.GridPos.Y + y}
				require.Empty(t, taken[at], "%s is there, too", p.Title)
				taken[at] = p.Title
			}
		}
		require.NotEmpty(t, p.Targets, p.Title)
		refs := map[string]bool{}
		for _, target := range p.Targets {
			require.Equal(t, source{"prometheus", "${datasource}"}, target.Datasource)
			require.False(t, refs[target.RefID], target.RefID)
			refs[target.RefID] = true
			for _, v := range regexp.MustCompile(`\$\w+`).FindAllString(target.Expr, -1) {
				require.Contains(t, strings.Fields(variables), v)
			}
		}
	}

	has := metrics(t, harness.Serve(t, 1, "--metrics"))
	asked := metricName.FindAllStringSubmatch(string(text), -1)
	require.Greater(t, len(asked), 20)
	for _, m := range asked {
		assert.Contains(t, has, m[1])
	}
	for _, shown := range []string{"retro_kv_read_bytes_total", "retro_kept_mass_total",
		"retro_corrected_tokens_total", "tokens_predicted_total"} {
		assert.Contains(t, string(text), "llamacpp:"+shown)
	}
}
