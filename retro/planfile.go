package retro

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

	"retroattn/kernels"
)

// planVersion changes with the format and with the meaning of anything in it.
const planVersion = 2

const maxPlanFile = 1 << 16 // bytes

// planShape is what a plan file must have been made for to be used.
type planShape struct {
	Threads int `json:"threads"`
	Cells   int `json:"cells"`
	// Layers describes the attention layers: a text for people, the first layer and
	// a hash of all.
	Layers string `json:"layers"`
}

// planFile is the file, JSON. Sum is the SHA-256 of the file with an empty Sum, in
// the form that encode gives it.
type planFile struct {
	Format  string    `json:"format"`
	Version int       `json:"version"`
	Shape   planShape `json:"shape"`
	// Made is what else the choice depends on; a cached plan must agree in it.
	Made     string   `json:"made"`
	Plan     Plan     `json:"plan"`
	Measured Measured `json:"measured"`
	Sum      string   `json:"sha256"`
}

const planFormat = "retroattn-plan"

func (e *Engine) planShape(threads int) planShape {
	h := sha256.New()
	for i := range e.layers {
		l := &e.layers[i]
		fmt.Fprintln(h, l.TypeK, l.TypeV, l.Heads, l.KVHeads, l.DK, l.DV, l.SoftCap, len(l.Sinks))
	}
	l := &e.layers[0]
	text := fmt.Sprintf("%d layers, %d heads on %d of %d and %d, K %v, V %v, %.8x", len(e.layers), l.Heads, l.KVHeads, l.DK, l.DV, l.TypeK, l.TypeV, h.Sum(nil))
	return planShape{Threads: threads, Cells: e.cfg.Cells, Layers: text}
}

// made is what was asked for, and the arithmetic.
func (e *Engine) made() string {
	o := e.asked
	o.Planning.File, o.Planning.Cache, o.Audit = "", "", 0 // none of which it depends on
	made := fmt.Sprintf("%v; %s; n_row %d", o, kernels.ISA(), e.window())
	if o.whole {
		made += "; whole windows"
	}
	return made
}

func (f planFile) encode() []byte {
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

// readPlan reads and checks a file. The error is for people, without its name;
// fs.ErrNotExist when there is none.
func readPlan(path string) (f planFile, err error) {
	var data []byte
	file, err := os.Open(path)
	if err == nil {
		defer file.Close()
		data, err = io.ReadAll(io.LimitReader(file, maxPlanFile+1))
	}
	if err != nil {
		return f, fmt.Errorf("cannot be read (%w)", bare(err))
	}
	return decodePlan(data)
}

func decodePlan(data []byte) (f planFile, err error) {
	damaged := errors.New("is damaged or no plan of libretroattn")
	var head struct {
		Format  string
		Version int
	}
	if len(data) > maxPlanFile || json.Unmarshal(data, &head) != nil || head.Format != planFormat {
		return f, damaged
	}
	if head.Version != planVersion {
		return f, fmt.Errorf("is of version %d, this libretroattn reads version %d", head.Version, planVersion)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if d.Decode(&f) != nil || !bytes.Equal(bytes.TrimSpace(data), bytes.TrimSpace(f.encode())) {
		return f, damaged
	}
	return f, nil
}

// differs says what the shapes differ in, "" if in nothing.
func (s planShape) differs(now planShape) string {
	switch {
	case s.Layers != now.Layers:
		return fmt.Sprintf("was made for a model with %s, this one has %s", s.Layers, now.Layers)
	case s.Cells != now.Cells:
		return fmt.Sprintf("was made for a context of %d tokens, this one has %d", s.Cells, now.Cells)
	case s.Threads != now.Threads:
		return fmt.Sprintf("was made for %d threads, this is %d", s.Threads, now.Threads)
	}
	return ""
}

// applyPlan takes over the choice of a file for this engine, where it is valid.
func (e *Engine) applyPlan(f *planFile, shape planShape) error {
	if d := f.Shape.differs(shape); d != "" {
		return errors.New(d)
	}
	if target := e.asked.Planning.Target; target != NoTarget && target.String() != f.Plan.Target {
		return fmt.Errorf("was made for target=%s, not for %v", f.Plan.Target, target)
	}
	if !slices.Contains(targetNames[1:], f.Plan.Target) {
		return fmt.Errorf("has the unknown target %q", f.Plan.Target)
	}
	return e.adopt(f.Plan.Choice)
}

// writePlan writes a file whole or not at all; an existing one only if replace.
func writePlan(path string, f planFile, replace bool) (err error) {
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
