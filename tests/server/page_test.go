package server

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retroattn/retroattn/tests/harness"
)

// The web page of llama-server answers as the answer comes, and tells how fast, and how much of the
// KV cache was read: what the server's own figures say. Without the feature it tells nothing of it.
func TestPage(t *testing.T) {
	harness.Slow(t)
	// so many that a fast server does not answer between two looks at the page
	speed := regexp.MustCompile(`(?m)^300 tokens\n(\d+min( \d+s)?|[\d.]+s)\n[\d.]+ t/s$`)
	share := regexp.MustCompile(`(?m)^([1-9]\d\.\d)% of KV read$`)
	for name, args := range map[string][]string{
		"on": {"--retro-attn", "--retro-budget", "32", "--retro-window", "2", "--retro-period", "1",
			"--retro-min-ctx", "64", "--retro-opts", "local=16"},
		"off": nil,
	} {
		t.Run(name, func(t *testing.T) {
			server := harness.StartServer(t, 1, append(args, "-n", "300", "--ignore-eos", "--seed", "1")...)
			seen := harness.AskPage(t, server.URL, harness.LongPrompt(t)[:600])
			require.Empty(t, seen.Errors)
			require.Greater(t, len(seen.Texts), 1, "the text came at once: %q", seen.Texts)
			last := seen.Texts[len(seen.Texts)-1]
			require.Less(t, len(seen.Texts[0]), len(last), "%q", seen.Texts)
			require.Contains(t, seen.Text, last)
			require.Regexp(t, speed, seen.Text)
			if name == "off" {
				require.NotContains(t, strings.ToLower(seen.Text), "of kv")
				return
			}
			require.Regexp(t, share, seen.Text)
			require.Equal(t, "Keys and values read (299 of 299 tokens sparse)", seen.Tip)
		})
	}
}
