package bridge

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/tests/harness"
)

// The programs' drafts, which are C++, are as long as ours, whatever comes of them. That none pays
// is said once, and not where there must be some.
func TestDraftsOfThePatches(t *testing.T) {
	program := patchDrafter(t)
	for _, c := range []truth{
		{0, 1, 0.6, nil}, {0, 1, 0.9, map[int]float64{3: 0.5, 40: 0.2}}, {0, 1, 0.97, nil},
		{5, 1, 0.7, nil}, {5, 1, 0.9, map[int]float64{2: 1, 3: 1}}, {5, 1, 0.98, nil},
		{1, 1, 0.98, nil}, {32, 1, 0.97, nil}, {33, 1, 0.95, nil}, {64, 1, 0.95, nil},
		{1, 0.9, 0.98, nil}, {0, 0.95, 0.99, nil}, {5, 0.9, 0.99, nil}, {5, 0.5, 0.95, nil},
		{0, 0, 1, nil},
	} {
		for _, least := range []int{0, 2} {
			compareDrafts(t, program, c, least)
		}
	}
}

func compareDrafts(t *testing.T, program string, c truth, least int) {
	const most = 32
	d := untried(least, most, c.here)
	cmd := exec.CommandContext(t.Context(), program,
		strings.Fields(fmt.Sprint(int(1e6*sparseStep), c.here, least, most))...)
	var said strings.Builder
	cmd.Stderr = &said
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	rng, lengths := rand.New(rand.NewPCG(1, 2)), map[int]int{}
	for i := range 1000 {
		until, theirs := 0, 0
		for until < most && rng.Float64() < c.sure {
			until++
		}
		_, err := fmt.Fprintln(in, until)
		require.NoError(t, err)
		n, _, _ := c.draft(d, until)
		_, err = fmt.Fscan(out, &theirs)
		require.NoError(t, err)
		require.Equal(t, n, theirs, "%v, draft %d after %v", c, i, lengths)
		lengths[n]++
		us, accepted := int(1e6*(c.verified(n)+c.late[i])), 0
		for accepted < n && rng.Float64() < c.accepted {
			accepted++
		}
		_, err = fmt.Fprintln(in, us, accepted)
		require.NoError(t, err)
		d.exact[n+1].add(cost(us) / 1e6)
		if n > 0 {
			d.count(n, accepted)
		}
	}
	t.Logf("%v, at least %d: %v", c, least, lengths)
	require.NoError(t, in.Close())
	require.NoError(t, cmd.Wait())
	times := strings.Count(said.String(), "drafts do not pay")
	switch {
	case least > 0:
		require.Zero(t, times, said.String())
	case c.rate(c.best(most)) < 1.1*c.rate(0): // drafters want as much
		require.Equal(t, 1, times, said.String())
	default: // it may seem so at first
		require.LessOrEqual(t, times, 1, said.String())
	}
}

// patchDrafter builds what the patches draft with.
func patchDrafter(t *testing.T) string {
	cxx := harness.CXX(t)
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip(err)
	}
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	// Paths of patches are of this folder, not of a checkout around it or of a calling hook.
	env := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "GIT_") })
	env = append(env, "GIT_CEILING_DIRECTORIES="+filepath.Dir(dir))
	here, err := filepath.Abs("..")
	require.NoError(t, err)
	patches, err := filepath.Glob(filepath.Join(here, "patches", "0002-*.patch"))
	require.NoError(t, err)
	apply := exec.CommandContext(t.Context(), "git",
		append([]string{"apply", "--include=common/speculative-retro.*"}, patches...)...)
	apply.Dir, apply.Env = dir, env
	text, err := apply.CombinedOutput()
	require.NoError(t, err, "%s", text)
	for _, header := range []string{"common", "llama", "log", "sampling", "speculative"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "common", header+".h"), nil, 0o644))
	}
	cxx.Run(t, "-std=c++17", "-I"+dir, "-o", filepath.Join(dir, "draft"),
		filepath.Join(here, "tests", "testdata", "draft.cpp"))
	return filepath.Join(dir, "draft")
}
