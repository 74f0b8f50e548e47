package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Before Go 1.27 each call from a thread of the host's receives from a closed channel, and so takes
// a lock that all threads share (https://github.com/golang/go/issues/77522). A receive that does not
// block takes none.
const (
	lockedReceive = "\t\t<-main_init_done\n"
	quietReceive  = "\t\tselect {\n\t\tcase <-main_init_done:\n\t\tdefault:\n" +
		"\t\t\t<-main_init_done\n\t\t}\n"
	mendedReceive = "mainInitDone.Load()"
)

// quietRuntime writes into dir what makes `go build` compile Go's runtime with that change, and
// returns the flag for it; none where Go has mended it, or with a word where that cannot be told.
func (a *app) quietRuntime(dir string) ([]string, error) {
	root, err := output(command(a.ctx, a.root, "go", "env", "GOROOT"))
	if err != nil {
		return nil, err
	}
	file := filepath.Join(root, "src", "runtime", "cgocall.go")
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("the source of Go's runtime: %w", err)
	}
	changed := strings.Replace(string(text), lockedReceive, quietReceive, 1)
	if changed == string(text) {
		if !strings.Contains(changed, mendedReceive) {
			a.say("Calls of many threads may wait for a lock, as build/runtime.go does not know %s: "+
				"build with Go 1.26.", file)
		}
		return nil, nil
	}
	to, overlay := filepath.Join(dir, "cgocall.go"), filepath.Join(dir, "overlay.json")
	list, err := json.Marshal(map[string]map[string]string{"Replace": {file: to}})
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(to, []byte(changed), 0o644); err != nil {
		return nil, err
	}
	return []string{"-overlay", overlay}, os.WriteFile(overlay, list, 0o644)
}
