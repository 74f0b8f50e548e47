package main

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// quietFor is how long a log that nobody watches live may stay without a sign of life.
const quietFor = 30 * time.Second

// progress shows how far a step is: a bar on a terminal, an occasional line in a log.
type progress struct {
	mu    sync.Mutex
	out   io.Writer
	text  string
	bar   *progressbar.ProgressBar // nil when out is no terminal
	begun time.Time
	said  time.Time
	stop  chan struct{}
}

// newProgress starts showing text; with total 0 nobody knows how long it takes.
func newProgress(out io.Writer, text string, total int) *progress {
	p := &progress{out: out, text: text, begun: time.Now(), said: time.Now(),
		stop: make(chan struct{})}
	if !isTerminal(out) {
		if total == 0 {
			fmt.Fprintf(out, "%s ...\n", text)
		}
		return p
	}
	options := []progressbar.Option{progressbar.OptionSetWriter(out),
		progressbar.OptionSetDescription(text),
		progressbar.OptionSetWidth(30), progressbar.OptionClearOnFinish(),
		progressbar.OptionThrottle(100 * time.Millisecond)}
	if total == 0 {
		total = -1
		options = append(options, progressbar.OptionSpinnerType(14),
			progressbar.OptionSetElapsedTime(true))
	} else {
		options = append(options, progressbar.OptionShowCount())
	}
	p.bar = progressbar.NewOptions(total, options...)
	if total < 0 {
		go p.tick()
	}
	return p
}

func (p *progress) tick() {
	for {
		select {
		case <-p.stop:
			return
		case <-time.After(150 * time.Millisecond):
			p.mu.Lock()
			if p.bar != nil {
				_ = p.bar.Add(1) // turns the spinner
			}
			p.mu.Unlock()
		}
	}
}

// set tells how much is done.
func (p *progress) set(done, total int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar != nil {
		// A full bar is final, but ninja may run cmake again as step 1 of 1 before the real work.
		if done < total {
			p.bar.ChangeMax(total)
			_ = p.bar.Set(done) // the terminal may be gone; the work goes on
		}
		return
	}
	if time.Since(p.said) >= quietFor {
		p.said = time.Now()
		fmt.Fprintf(p.out, "%s: %d of %d after %s\n", p.text, done, total,
			seconds(time.Since(p.begun)))
	}
}

// note replaces the text; in a log it appears now and then.
func (p *progress) note(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar != nil {
		p.bar.Describe(text)
	} else if time.Since(p.said) >= quietFor {
		p.said = time.Now()
		fmt.Fprintf(p.out, "%s after %s\n", text, seconds(time.Since(p.begun)))
	}
}

// end removes the bar; it may be called twice.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar == nil {
		return
	}
	close(p.stop)
	_ = p.bar.Exit()
	_ = p.bar.Clear()
	p.bar = nil
}

func isTerminal(out io.Writer) bool {
	f, ok := out.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func seconds(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
}

var (
	ninjaStep = regexp.MustCompile(`^\[(\d+)/(\d+)\]`)
	makeStep  = regexp.MustCompile(`^\[ *(\d+)%\]`)
)

// buildStep reads how far ninja ("[3/290] ...") or make ("[ 12%] ...") is.
func buildStep(line string) (done, total int, ok bool) {
	if m := ninjaStep.FindStringSubmatch(line); m != nil {
		done, _ = strconv.Atoi(m[1])
		total, _ = strconv.Atoi(m[2])
		return done, total, total > 0
	}
	if m := makeStep.FindStringSubmatch(line); m != nil {
		done, _ = strconv.Atoi(m[1])
		return done, 100, true
	}
	return 0, 0, false
}

// lineWriter calls a function for every whole line written to it.
type lineWriter struct {
	rest string
	line func(string)
}

func (w *lineWriter) Write(p []byte) (int, error) {
	lines := strings.Split(w.rest+string(p), "\n")
	for _, l := range lines[:len(lines)-1] {
		w.line(strings.TrimSuffix(l, "\r"))
	}
	w.rest = lines[len(lines)-1]
	return len(p), nil
}
