package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/alecthomas/kong"

	"github.com/retroattn/retroattn/bridge"
)

const maxThreads = 512 // of llama.cpp

var cli struct {
	Doctor doctor `cmd:"" help:"Tell what this machine and a model can use of the sparse attention, in seconds."`
}

type doctor struct {
	Model   string `short:"m" type:"path" help:"A GGUF model; of a split one, the first part."`
	Ctx     int    `short:"c" default:"0" help:"Context size in tokens; 0: as the model was trained."`
	Threads int    `short:"t" default:"0" help:"Threads that decode; 0: one per processor."`
	TypeK   string `name:"cache-type-k" default:"f16" help:"As of llama-server."`
	TypeV   string `name:"cache-type-v" default:"f16" help:"As of llama-server."`
	Options string `help:"Options of the library, such as target=quality; the plan chooses the rest."`
	Lib     string `type:"path" help:"Folder that holds libllama; as a rule it is found beside this program."`
}

func main() {
	command := kong.Parse(&cli, kong.Name("retroattn"),
		kong.Description("Sparse decode attention for llama.cpp."))
	if err := command.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "retroattn:", err)
		os.Exit(1)
	}
}

func (d *doctor) Validate() error {
	if d.Threads < 0 || d.Threads > maxThreads {
		return fmt.Errorf("--threads %d: must be 0..%d", d.Threads, maxThreads)
	}
	return nil
}

func (d *doctor) Run() error {
	if d.Threads == 0 {
		d.Threads = min(runtime.NumCPU(), maxThreads)
	}
	say := func(name, format string, args ...any) {
		fmt.Printf("%-11s %s\n", name, fmt.Sprintf(format, args...))
	}
	say("processor", "%s", processor())
	rate := bandwidth(d.Threads)
	say("memory", "%.1f GB/s read by %d threads%s", rate/1e9, d.Threads, free())
	say("huge pages", "%s", hugePages())
	lib, err := d.load()
	if err != nil {
		return err
	}
	say("llama.cpp", "%s, in %s", lib.Version(), lib.Dir())
	version, err := lib.RetroVersion()
	if err != nil {
		return err
	}
	say("library", "libretroattn %s", version)
	if d.Model == "" {
		say("model", "none: name one by -m to hear what of it is served")
		return nil
	}
	m, err := lib.Describe(d.Model, bridge.ContextParams{Ctx: d.Ctx, TypeK: d.TypeK,
		TypeV: d.TypeV})
	if err != nil {
		return err
	}
	return d.model(say, &m, rate)
}

// holdsLlama tells whether libllama is in a folder, whatever characters its name has.
func holdsLlama(dir string) bool {
	entries, _ := os.ReadDir(dir)
	return slices.ContainsFunc(entries, func(e os.DirEntry) bool {
		match, _ := filepath.Match("*llama.[ds]*", e.Name())
		return match
	})
}

// load opens llama.cpp, which lies beside this program or in lib next to its folder.
func (d *doctor) load() (*bridge.Library, error) {
	if d.Lib != "" {
		return bridge.Load(bridge.Paths{Dir: d.Lib})
	}
	program, err := os.Executable()
	if err == nil {
		program, err = filepath.EvalSymlinks(program)
	}
	if err != nil {
		return nil, err
	}
	here := filepath.Dir(program)
	for _, dir := range []string{filepath.Join(here, "..", "lib"), here} {
		if holdsLlama(dir) {
			return bridge.Load(bridge.Paths{Dir: dir})
		}
	}
	return nil, fmt.Errorf("no libllama in %s or lib beside it: name its folder by --lib", here)
}
