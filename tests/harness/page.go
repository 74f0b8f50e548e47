package harness

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Page is where llama-server's web page was built, with what drives a browser; without it the test
// is skipped.
func Page(t *testing.T) string {
	t.Helper()
	page := os.Getenv("RETRO_PAGE")
	if page == "" {
		t.Skip("llama-server was built without its web page: install npm, and run it by go run ./build test")
	}
	return page
}

// Asked is what a browser saw of one question.
type Asked struct {
	Texts  []string // of the answer, as it grew
	Text   string   // the answer in the end, and the figures below it
	Tip    string   // what pointing at ours shows
	Errors []string // of the page's scripts
}

// browsers are what Debian, Ubuntu and Google call it.
var browsers = []string{"chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"}

// AskPage opens a server's web page in a browser without a window, and asks a question there.
func AskPage(t *testing.T, url, question string) (seen Asked) {
	t.Helper()
	page, browser := Page(t), ""
	for _, name := range browsers {
		if path, err := exec.LookPath(name); err == nil && browser == "" {
			browser = path
		}
	}
	if browser == "" {
		t.Skip("needs a browser: install chromium-headless-shell")
	}
	cmd := exec.CommandContext(t.Context(), "node", "../testdata/page.mjs",
		filepath.Join(page, "playwright-core", "index.mjs"), browser, url, question)
	cmd.SysProcAttr = withParent()
	out, err := cmd.Output()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		out = failed.Stderr
	}
	require.NoError(t, err, "%s", out)
	require.NoError(t, json.Unmarshal(out, &seen), "%s", out)
	return seen
}
