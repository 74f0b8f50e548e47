package bridge

import (
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/ebitengine/purego"
)

// LogLevel is the severity of a line that llama.cpp logs.
type LogLevel int32

// Levels, as ggml numbers them.
const (
	LogDebug LogLevel = 1
	LogInfo  LogLevel = 2
	LogWarn  LogLevel = 3
	LogError LogLevel = 4
)

// logContinue marks text that continues the line before.
const logContinue LogLevel = 5

// logger receives all that llama.cpp logs, through one C callback that is installed once: the
// library reads its callback without a lock, so changing it while threads log would be a race. A
// call costs about 3 us, on loading some hundred lines, and none while decoding. It may come from a
// thread that Go does not know.
type logger struct {
	sink     atomic.Pointer[logSink]
	last     atomic.Int32 // level of the last line, for continuations
	captures atomic.Int32 // number of captures running; spares the look-up
	byThread sync.Map     // thread id -> *[]string, lines of the calls in progress
}

type logSink struct {
	min LogLevel
	fn  func(level LogLevel, text string)
}

// SetLog sends the log of llama.cpp to fn, from level min on; text usually ends in a newline. nil,
// the default, drops it. fn may be called from several threads at once and must not call into this
// package. A panic in it is swallowed, since it cannot cross the C frames above.
func (l *Library) SetLog(min LogLevel, fn func(level LogLevel, text string)) {
	if fn == nil {
		l.log.sink.Store(nil)
		return
	}
	l.log.sink.Store(&logSink{min, fn})
}

func (g *logger) callback() uintptr {
	return purego.NewCallback(func(level int32, text *byte, _ uintptr) uintptr {
		g.receive(LogLevel(level), text)
		return 0 // callbacks must return something on Windows
	})
}

func (g *logger) receive(level LogLevel, text *byte) {
	if level == logContinue {
		level = LogLevel(g.last.Load())
	} else {
		g.last.Store(int32(level))
	}
	sink := g.sink.Load()
	wanted := sink != nil && level >= sink.min
	captured := level >= LogError && g.captures.Load() > 0
	if !wanted && !captured {
		return
	}
	line := goString(text)
	if captured {
		if lines, ok := g.byThread.Load(threadID()); ok {
			lines := lines.(*[]string)
			*lines = append(*lines, strings.TrimSpace(line))
		}
	}
	if wanted {
		defer func() { _ = recover() }()
		sink.fn(level, line)
	}
}

// capture runs call and returns the error lines that llama.cpp logged in it, on this thread. The C
// API reports failures as NULL or a code and gives the reason only there.
func (g *logger) capture(call func()) string {
	if !haveThreadID {
		call()
		return ""
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var lines []string
	id := threadID()
	g.byThread.Store(id, &lines)
	g.captures.Add(1)
	call()
	g.captures.Add(-1)
	g.byThread.Delete(id)
	return strings.Join(lines, "; ")
}
