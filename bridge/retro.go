//go:build linux || darwin

package bridge

import (
	"errors"
	"fmt"
	"strings"
	"unsafe"

	"github.com/ebitengine/purego"
)

// Stats are the counters of a context's sparse attention since it was enabled: struct retro_stats. Page and row figures
// are summed over layers and KV heads.
type Stats struct {
	structSize      uint32
	Cells           uint32 // KV cells as configured
	Tokens          uint64 // new tokens decoded with it
	SparseTokens    uint64 // of these, with pages left out
	CorrectedTokens uint64 // past tokens re-embedded with new pages
	RewrittenTokens uint64 // all past tokens re-embedded
	FarPages        uint64 // far pages a sparse token could have read
	SelectedPages   uint64 // far pages read for sparse tokens
	SupplementPages uint64 // far pages added to past tokens
	RetiredSelected uint64 // of tokens that left the window: pages selected
	RetiredSeen     uint64 // and pages seen in the end
	KVBytesRead     uint64 // K and V read
	KVBytesFull     uint64 // the same if every token attended to all
	ScanBytes       uint64 // page summaries read
	SummaryBytes    uint64 // memory held by page summaries
	RingBytes       uint64 // memory held by the output cache
	AttendNS        uint64 // time in retro_select and retro_attend on thread 0

	RectifiedTokens  uint64 // past tokens re-embedded with everything read
	EarlyCorrections uint64 // steps that corrected before their period was over, for drift
	AuditedHeads     uint64 // query heads whose kept attention was measured, see option audit
	KeptMass         uint64 // millionths: sum over them of the share of its attention that each kept
	AuditBytes       uint64 // K read for that, not in KVBytesRead
}

// HasRetro says whether libllama carries our patch and libretroattn was found.
func (l *Library) HasRetro() bool { return l.patched && l.retroPath != "" }

// RetroVersion returns the version of libretroattn, e.g. "0.1.0 (avx2)", and loads it if need be. ErrRetroAbsent where
// HasRetro is false.
func (l *Library) RetroVersion() (string, error) {
	if err := l.loadRetro(); err != nil {
		return "", err
	}
	return l.retroVersion(), nil
}

// loadRetro opens libretroattn before the patch does, which then finds it loaded: only here is the host's signal action
// saved. It is left to the first use, since a library that is not needed should not bring its runtime in.
func (l *Library) loadRetro() error {
	switch {
	case !l.patched:
		return fmt.Errorf("%w: the libllama in %s lacks the retroattn patch", ErrRetroAbsent, l.dir)
	case l.retroPath == "":
		return fmt.Errorf("%w: no libretroattn.so.1 in %s and Paths.Retro not given", ErrRetroAbsent, l.dir)
	}
	l.retroOnce.Do(func() {
		l.retroErr = keepSIGURG(func() error {
			handle, err := purego.Dlopen(l.retroPath, purego.RTLD_NOW|purego.RTLD_LOCAL)
			if err != nil {
				return fmt.Errorf("%w: %w", ErrRetroAbsent, err)
			}
			if err := bind(handle, l.retroSymbols()); err != nil {
				return fmt.Errorf("%w: %s: %w", ErrRetroAbsent, l.retroPath, err)
			}
			l.retroVersion() // returns when the library's runtime has installed its handlers
			l.retroLoaded.Store(true)
			return nil
		})
	})
	return l.retroErr
}

// retroEnv makes a patched libllama enable sparse attention in every context, with its value as the options.
const retroEnv = "LLAMA_RETRO_ATTN"

// EnableRetro switches sparse attention on, or anew with other options. options is "key=value,..." or "" for the
// defaults. The error is the library's sentence on what is wrong with an option or not supported in this context, which
// then has full attention; ErrRetroAbsent where HasRetro is false.
func (c *Context) EnableRetro(options string) error {
	if strings.ContainsRune(options, 0) {
		return argError("options contain a NUL")
	}
	if err := c.enter(); err != nil {
		return err
	}
	defer c.leave()
	l := c.lib
	if err := l.loadRetro(); err != nil {
		return err
	}
	var code int32
	detail := l.log.capture(func() { code = l.retroAttnInit(c.ptr, l.retroPath, options) })
	if code >= 0 {
		return nil
	}
	if sentence := l.retroAttnError(c.ptr); sentence != "" {
		detail = sentence
	}
	return errors.New(withDetail("bridge: cannot enable sparse attention", detail))
}

// DisableRetro returns the context to full attention. No error if it is off already.
func (c *Context) DisableRetro() error {
	if err := c.enter(); err != nil {
		return err
	}
	defer c.leave()
	if c.lib.patched {
		c.lib.retroAttnFree(c.ptr)
	}
	return nil
}

// RetroStats returns the counters. ErrRetroOff where sparse attention is not enabled.
func (c *Context) RetroStats() (Stats, error) {
	stats := Stats{structSize: uint32(unsafe.Sizeof(Stats{}))}
	if err := c.enter(); err != nil {
		return Stats{}, err
	}
	defer c.leave()
	engine, err := c.engine()
	if err != nil {
		return Stats{}, err
	}
	if code := c.lib.retroGetStats(engine, &stats); code < 0 {
		detail := retroText(engine, c.lib.retroErrorString)
		return Stats{}, errors.New(withDetail(fmt.Sprintf("bridge: retro_get_stats failed with code %d", code), detail))
	}
	return stats, nil
}

// RetroSummary returns the counters as one line for people, "" where sparse attention is not enabled.
func (c *Context) RetroSummary() string {
	if c.enter() != nil {
		return ""
	}
	defer c.leave()
	engine, err := c.engine()
	if err != nil {
		return ""
	}
	return retroText(engine, c.lib.retroSummary)
}

func (c *Context) engine() (uint64, error) {
	// Without a loaded libretroattn nothing can have been enabled, and its functions are not bound.
	if !c.lib.patched || !c.lib.retroLoaded.Load() {
		return 0, ErrRetroOff
	}
	engine := c.lib.retroAttnEngine(c.ptr)
	if engine == 0 {
		return 0, ErrRetroOff
	}
	return engine, nil
}

// retroText calls a function that fills a buffer with text.
func retroText(engine uint64, fill func(uint64, *byte, uint32) int32) string {
	buf := make([]byte, 1024)
	if fill(engine, &buf[0], uint32(len(buf))) < 0 {
		return ""
	}
	buf[len(buf)-1] = 0
	return goString(&buf[0])
}
