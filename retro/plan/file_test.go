package plan

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/retro/failure"
	"github.com/retroattn/retroattn/retro/options"
)

// newCase is six layers of three KV heads.
func newCase(t testing.TB, text string) *Case {
	c := &Case{Asked: parsed(t, text), Threads: 2, Cells: 6000, Rows: 8, Model: "6 layers",
		Kernels: "none"}
	for range 6 {
		c.Layers = append(c.Layers, Layer{KVHeads: 3})
	}
	return c
}

// Every way that a plan comes about, and that it is refused.
func TestPlanFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "below", "plan.json")
	open := func(text string) *Case { return newCase(t, text) }

	// Made once, then used as it is.
	first := open("plan=" + path)
	o, err := first.Known()
	require.NoError(t, err)
	require.False(t, o.Done)
	made, err := first.from(dear, Host{})
	require.NoError(t, err)
	require.Contains(t, made.Line, "written to "+path)
	again, err := open("plan=" + path).Known()
	require.NoError(t, err)
	require.True(t, again.Done)
	require.Contains(t, again.Line, "as "+path+" says")
	require.Equal(t, made.Options, again.Options)
	kept, err := open("plan=" + path + ",window=4,budget=333").Known()
	require.NoError(t, err)
	require.True(t, kept.Done)
	require.Equal(t, options.Choice{Budget: 333, Window: 4, Period: 1}, kept.Options.Choice())
	all, err := open("plan=" + path + ",window=4,budget=333,period=2").Known()
	require.NoError(t, err)
	require.True(t, all.Done)
	require.Equal(t, "plan: budget 333, window 4, period 2 (all of it was set, so that "+path+
		" is not used)", all.Line)

	good, err := os.ReadFile(path)
	require.NoError(t, err)
	f, err := decode(good)
	require.NoError(t, err)
	require.Equal(t, good, f.encode())
	refuse := func(data []byte, c *Case, want string) {
		t.Helper()
		require.NoError(t, os.WriteFile(path, data, 0o644))
		_, err := c.Known()
		require.ErrorIs(t, err, failure.Argument)
		require.ErrorContains(t, err, path)
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "remove it")
		after, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, data, after, "never overwritten")
	}
	change := func(change func(*Case)) *Case {
		c := open("plan=" + path)
		change(c)
		return c
	}
	same := open("plan=" + path)
	refuse(good, change(func(c *Case) { c.Model = "5 layers" }),
		"was made for a model with 6 layers, this one has 5 layers")
	refuse(good, change(func(c *Case) { c.Cells = 5000 }),
		"was made for a context of 6000 tokens, this one has 5000")
	refuse(good, change(func(c *Case) { c.Threads = 1 }), "was made for 2 threads, this is 1")
	refuse(good, open("plan="+path+",target=speed"), "was made for target=balanced, not for speed")
	refuse(bytes.Replace(good, []byte(`"version": 5`), []byte(`"version": 6`), 1), same,
		"is of version 6")
	f.Plan.Window = 99
	refuse(f.encode(), same, "window=99")
	f.Plan.Window = 9
	refuse(f.encode(), same, "window=9: the rows of the host's steps and memory allow 8, set window=8 or less")
	damage := [][]byte{{}, []byte("{}"), []byte("budget=512"), good[:len(good)/2],
		append(bytes.Clone(good), "{}"...),
		bytes.Replace(good, []byte(`"far"`), []byte(`"fat"`), 1),
		bytes.Repeat([]byte(" "), maxFile+1)}
	for i := 0; i < len(good)-1; i += 7 {
		b := bytes.Clone(good)
		b[i] ^= 1
		if !bytes.Contains(b, []byte(`"version": 5`)) {
			continue
		}
		damage = append(damage, b)
	}
	for _, b := range damage {
		refuse(b, same, "is damaged")
	}

	// A cached plan that does not fit is measured again and replaced.
	require.NoError(t, os.WriteFile(path, damage[2], 0o644))
	for _, text := range []string{"target=balanced", "target=speed", "target=speed,window=2"} {
		text += ",plan_cache=" + path
		c := open(text)
		o, err := c.Known()
		require.NoError(t, err)
		require.False(t, o.Done, text)
		made, err := c.from(dear, Host{})
		require.NoError(t, err)
		require.NotContains(t, made.Line, "not kept")
		known, err := open(text).Known()
		require.NoError(t, err)
		require.True(t, known.Done, text)
		require.Contains(t, known.Line, "measured in an earlier run")
		require.Equal(t, made.Options, known.Options)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, entries, 1, "temporary files are gone")

	// What cannot be written is a note for a cache and an error for a plan.
	o, err = open("plan_cache=/proc/none/plan,target=speed").from(dear, Host{})
	require.NoError(t, err)
	require.Contains(t, o.Line, "not kept: ")
	_, err = open("plan=/proc/none/plan").from(dear, Host{})
	require.ErrorContains(t, err, "plan /proc/none/plan cannot be written")
}

// FuzzPlanFile holds that what a file says, also one with the right checksum, is refused or
// leaves valid options, and that what is read is written again as it was.
func FuzzPlanFile(f *testing.F) {
	c := newCase(f, "target=balanced")
	good := file{Format: fileFormat, Version: fileVersion, Shape: c.shape(), Made: c.made(),
		Measured: dear, Plan: dear.decide(&c.Asked, c.Rows)}
	f.Add(good.encode(), false)
	for _, choice := range []options.Choice{{Budget: 64, Window: 99, Period: 1},
		{Budget: 1e300, Window: 1, Period: 1}, {Budget: -1, Window: 2, Period: 2},
		{Window: 16, Period: -5}, {}} {
		bad := good
		bad.Plan.Choice = choice
		f.Add(bad.encode(), true)
	}
	f.Add([]byte(`{"format":"retroattn-plan","version":3}`), true)
	f.Fuzz(func(t *testing.T, data []byte, seal bool) {
		if seal {
			var p file
			_ = json.Unmarshal(data, &p)
			p.Format, p.Version, p.Shape = fileFormat, fileVersion, c.shape()
			data = p.encode()
		}
		p, err := decode(data)
		if err != nil {
			return
		}
		again, err := decode(p.encode())
		require.NoError(t, err)
		require.Equal(t, p, again)
		o, err := c.apply(&p)
		if err != nil {
			return
		}
		require.NoError(t, o.Check())
		require.LessOrEqual(t, o.Window, c.Rows)
		require.NotEmpty(t, c.outcome(&p, o, "").Line)
		_, err = options.Parse(o.String())
		require.NoError(t, err)
	})
}
