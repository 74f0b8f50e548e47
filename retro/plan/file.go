package plan

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/retroattn/retroattn/retro/failure"
	"github.com/retroattn/retroattn/retro/options"
)

// fileVersion changes with the format and with the meaning of anything in it.
const fileVersion = 5

const maxFile = 1 << 16 // bytes

// shape is what a plan file must have been made for to be used.
type shape struct {
	Threads int `json:"threads"`
	Cells   int `json:"cells"`
	// Device says that such as a GPU computes dense layers.
	Device bool `json:"device"`
	// Layers describes the attention layers: a text for people, the first layer and
	// a hash of all.
	Layers string `json:"layers"`
}

// file is the file, JSON. Sum is the SHA-256 of the file with an empty Sum, in
// the form that encode gives it.
type file struct {
	Format  string `json:"format"`
	Version int    `json:"version"`
	Shape   shape  `json:"shape"`
	// Made is what else the choice depends on; a cached plan must agree in it.
	Made     string   `json:"made"`
	Plan     decision `json:"plan"`
	Host     Host     `json:"host"`
	Measured measured `json:"measured"`
	Sum      string   `json:"sha256"`
}

const fileFormat = "retroattn-plan"

func (c *Case) shape() shape {
	return shape{Threads: c.Threads, Cells: c.Cells, Device: c.Device, Layers: c.Model}
}

func (f file) encode() []byte {
	f.Sum = ""
	data, err := json.MarshalIndent(&f, "", "  ")
	if err != nil {
		panic(err) // numbers and strings only
	}
	sum := sha256.Sum256(data)
	f.Sum = hex.EncodeToString(sum[:])
	data, _ = json.MarshalIndent(&f, "", "  ")
	return append(data, '\n')
}

// readFile reads and checks a file. The error is for people, without its name;
// fs.ErrNotExist when there is none.
func readFile(path string) (f file, err error) {
	var data []byte
	in, err := os.Open(path)
	if err == nil {
		defer in.Close()
		data, err = io.ReadAll(io.LimitReader(in, maxFile+1))
	}
	if err != nil {
		return f, fmt.Errorf("cannot be read (%w)", bare(err))
	}
	return decode(data)
}

func decode(data []byte) (f file, err error) {
	damaged := errors.New("is damaged or no plan of libretroattn")
	var head struct {
		Format  string
		Version int
	}
	if len(data) > maxFile || json.Unmarshal(data, &head) != nil || head.Format != fileFormat {
		return f, damaged
	}
	if head.Version != fileVersion {
		return f, fmt.Errorf("is of version %d, this libretroattn reads version %d", head.Version,
			fileVersion)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if d.Decode(&f) != nil || !bytes.Equal(bytes.TrimSpace(data), bytes.TrimSpace(f.encode())) {
		return f, damaged
	}
	return f, nil
}

// differs says what the shapes differ in, "" if in nothing.
func (s shape) differs(now shape) string {
	switch {
	case s.Layers != now.Layers:
		return fmt.Sprintf("was made for a model with %s, this one has %s", s.Layers, now.Layers)
	case s.Cells != now.Cells:
		return fmt.Sprintf("was made for a context of %d tokens, this one has %d", s.Cells,
			now.Cells)
	case s.Threads != now.Threads:
		return fmt.Sprintf("was made for %d threads, this is %d", s.Threads, now.Threads)
	case s.Device && !now.Device:
		return "was made for a host with a device such as a GPU, this has none"
	case now.Device && !s.Device:
		return "was made for a host without a device such as a GPU, this has one"
	}
	return ""
}

// apply takes the choice of a file, where it is valid for this case.
func (c *Case) apply(f *file) (o options.Options, err error) {
	if d := f.Shape.differs(c.shape()); d != "" {
		return o, errors.New(d)
	}
	if target := c.Asked.Planning.Target; target != options.NoTarget &&
		target.String() != f.Plan.Target {
		return o, fmt.Errorf("was made for target=%s, not for %v", f.Plan.Target, target)
	}
	if !slices.ContainsFunc([]options.Target{options.Speed, options.Balanced, options.Quality},
		func(t options.Target) bool { return t.String() == f.Plan.Target }) {
		return o, fmt.Errorf("has the unknown target %q", f.Plan.Target)
	}
	if n := f.Host.Threads; n < 0 || n > c.Threads {
		return o, fmt.Errorf("has %d threads for steps, of %d", n, c.Threads)
	}
	if n := f.Host.Rows; n < 0 || n > mostRows {
		return o, fmt.Errorf("has %d tokens at once attended to here", n)
	}
	if asked, n := c.Asked.Planning.Prompts, f.Host.Rows; c.Device &&
		(asked == options.PromptsCPU && n != 0 ||
			asked == options.PromptsDevice && (n == 0 || n > draftRows)) {
		return o, fmt.Errorf("does not leave prompts to the %v, as was set", asked)
	}
	return c.complete(f.Plan.Choice)
}

// write writes a file whole or not at all; an existing one only if replace.
func (f *file) write(path string, replace bool) (err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	temp, err := os.CreateTemp(dir, ".retroattn-plan-*")
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name())
	_, err = temp.Write(f.encode())
	err = errors.Join(err, temp.Chmod(0o644), temp.Close())
	if err != nil {
		return err
	}
	if !replace {
		err := os.Link(temp.Name(), path)
		if err == nil || errors.Is(err, fs.ErrExist) {
			return err
		}
		// A file system without hard links.
	}
	return os.Rename(temp.Name(), path)
}

// keep writes the plan where the options say. The note is for the line.
func (f *file) keep(p *options.Planning) (note string, err error) {
	switch {
	case p.File != "":
		if err := f.write(p.File, false); err != nil {
			return "", failure.Argumentf("plan %s cannot be written (%v): name a file that can",
				p.File, bare(err))
		}
		return "; written to " + p.File, nil
	case p.Cache != "":
		if err := f.write(p.Cache, true); err != nil {
			return fmt.Sprintf("; not kept: %v", bare(err)), nil
		}
	}
	return "", nil
}

// bare leaves the path out of errors of files, which the callers name.
func bare(err error) error {
	if e := (*fs.PathError)(nil); errors.As(err, &e) {
		return e.Err
	}
	return err
}
