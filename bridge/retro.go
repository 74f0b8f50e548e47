package bridge

import (
	"errors"
	"fmt"
	"strings"

	"github.com/retroattn/retroattn/retro/options"
	"github.com/retroattn/retroattn/retro/stats"
)

// HasRetro says whether libllama carries our patch and libretroattn was found.
func (l *Library) HasRetro() bool { return l.patched && l.retroPath != "" }

// RetroVersion returns the version of libretroattn, e.g. "0.1.0 (avx2)", and loads it if need be.
// ErrRetroAbsent where HasRetro is false.
func (l *Library) RetroVersion() (string, error) {
	if err := l.loadRetro(); err != nil {
		return "", err
	}
	return l.retroVersion(), nil
}

// needPatch is ErrRetroAbsent where libllama does not carry our patch.
func (l *Library) needPatch() error {
	if l.patched {
		return nil
	}
	return fmt.Errorf("%w: the libllama in %s lacks the retroattn patch, or has an older one: %w",
		ErrRetroAbsent, l.dir, l.patchErr)
}

// loadRetro opens libretroattn before the patch does, which then finds it loaded: only here is the
// host's signal action saved. It is left to the first use, since a library that is not needed
// should not bring its runtime in.
func (l *Library) loadRetro() error {
	if err := l.needPatch(); err != nil {
		return err
	}
	if l.retroPath == "" {
		return fmt.Errorf("%w: no %s in %s and Paths.Retro not given", ErrRetroAbsent, retroName,
			l.dir)
	}
	l.retroOnce.Do(func() {
		l.retroErr = keepSIGURG(func() error {
			handle, err := dlopen(l.retroPath)
			if err != nil {
				return fmt.Errorf("%w: %w", ErrRetroAbsent, err)
			}
			if err := bind([]uintptr{handle}, l.retroSymbols()); err != nil {
				return fmt.Errorf("%w: %s is another version than this package knows: %w",
					ErrRetroAbsent, l.retroPath, err)
			}
			l.retroVersion() // returns when the library's runtime has installed its handlers
			if abi := l.retroABIVersion(); abi != retroABI {
				return fmt.Errorf("%w: %s has version %d of the interface, this package and the libllama have %d", ErrRetroAbsent, l.retroPath, abi, retroABI)
			}
			l.retroLoaded.Store(true)
			return nil
		})
	})
	return l.retroErr
}

// retroEnv makes a patched libllama enable sparse attention in every context, with its value as the
// options.
const retroEnv = "LLAMA_RETRO_ATTN"

// EnableRetro switches sparse attention on, or anew with other options. options is "key=value,..."
// or "" for the defaults; see EnableRetroOptions for what they leave open. The error is the
// library's sentence on what is wrong with an option or not supported in this context, which then
// has full attention; ErrRetroAbsent where HasRetro is false.
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
	c.count()
	c.settle()
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

// EnableRetroOptions is EnableRetro with options as a struct: start from options.Default(). Where
// Budget, Window or Period stays 0, a plan chooses it: an empty context is timed for some seconds.
// Invalid options are an ErrArgument that names the option, its value and the range.
func (c *Context) EnableRetroOptions(o options.Options) error {
	if err := o.Validate(); err != nil {
		return fmt.Errorf("%w: %w", ErrArgument, err)
	}
	return c.EnableRetro(o.String())
}

// DisableRetro returns the context to full attention. No error if it is off already.
func (c *Context) DisableRetro() error {
	if err := c.enter(); err != nil {
		return err
	}
	defer c.leave()
	if c.lib.patched {
		c.count()
		c.settle()
		c.lib.retroAttnFree(c.ptr)
	}
	return nil
}

// RetroStats returns the counters, at any time between two Decodes; [stats.Stats.Since] tells what
// came in between, and [stats.Stats.Figures] what people want to know of it. Where several
// sequences are decoded together, they are of all of them. ErrRetroOff where sparse attention is
// not enabled.
func (c *Context) RetroStats() (stats.Stats, error) {
	s, err := c.retroStats()
	return s.counters, err
}

// RetroPasses returns how many of the Decodes decoded tokens with sparse attention, and in how many
// passes through the model: one for each, however many sequences there are, unless their rows do
// not fit ContextParams.UBatch. ErrRetroOff where sparse attention is not enabled.
func (c *Context) RetroPasses() (steps, passes uint64, err error) {
	s, err := c.retroStats()
	return s.steps, s.ubatches, err
}

func (c *Context) retroStats() (s cRetroStats, err error) {
	if err := c.enter(); err != nil {
		return s, err
	}
	defer c.leave()
	if !c.lib.patched || !c.lib.retroAttnStats(c.ptr, &s) {
		return s, ErrRetroOff
	}
	return s, nil
}

// RetroSummary returns the counters as one line for people, with the reason where no token was
// sparse, "" where sparse attention is not enabled.
func (c *Context) RetroSummary() string {
	if c.enter() != nil {
		return ""
	}
	defer c.leave()
	if !c.lib.patched {
		return ""
	}
	return c.lib.retroAttnSummary(c.ptr, 0)
}

// RetroPlan returns one line on what a plan has chosen and why, "" where nothing was to be planned.
func (c *Context) RetroPlan() string {
	if c.enter() != nil {
		return ""
	}
	defer c.leave()
	if !c.lib.patched {
		return ""
	}
	return c.lib.retroAttnPlan(c.ptr)
}
