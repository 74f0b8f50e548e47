package bridge

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// stream passes generated text on, but for what is not whole yet: the beginning of a character, or
// of a stop string.
type stream struct {
	stop  [][]byte
	yield func(string) bool
	held  []byte
	text  strings.Builder // all that was passed on
}

func newStream(stop []string, yield func(string) bool) (*stream, error) {
	s := &stream{yield: yield}
	for i, text := range stop {
		if text == "" {
			return nil, argError("Stop[%d] is empty", i)
		}
		s.stop = append(s.stop, []byte(text))
	}
	return s, nil
}

// write takes a token's bytes. It says why the text ends, if it does.
func (s *stream) write(piece []byte) (Reason, bool) {
	s.held = append(s.held, piece...)
	if at := s.stopAt(); at >= 0 {
		s.pass(at)
		return StopString, true
	}
	if !s.pass(wholeRunes(s.held[:len(s.held)-s.begun()])) {
		return Stopped, true
	}
	return Failed, false
}

// flush passes on what was held.
func (s *stream) flush() { s.pass(len(s.held)) }

// pass passes on the first n bytes. False: yield wants no more.
func (s *stream) pass(n int) bool {
	if n == 0 {
		return true
	}
	piece := string(s.held[:n])
	s.held = append(s.held[:0], s.held[n:]...)
	s.text.WriteString(piece)
	return s.yield == nil || s.yield(piece)
}

// stopAt is where the first stop string begins, -1 if there is none.
func (s *stream) stopAt() int {
	first := -1
	for _, stop := range s.stop {
		if at := bytes.Index(s.held, stop); at >= 0 && (first < 0 || at < first) {
			first = at
		}
	}
	return first
}

// begun is how many bytes at the end could be the beginning of a stop string.
func (s *stream) begun() int {
	most := 0
	for _, stop := range s.stop {
		for n := min(len(stop)-1, len(s.held)); n > most; n-- {
			if bytes.HasSuffix(s.held, stop[:n]) {
				most = n
				break
			}
		}
	}
	return most
}

// wholeRunes returns the length of p without an unfinished character at its end.
func wholeRunes(p []byte) int {
	for i := len(p) - 1; i >= 0 && i >= len(p)-utf8.UTFMax; i-- {
		if utf8.RuneStart(p[i]) {
			if !utf8.FullRune(p[i:]) {
				return i
			}
			break
		}
	}
	return len(p)
}
