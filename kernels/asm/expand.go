package main

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// expander turns a source into the assembly of one level.
type expander struct {
	level    level
	structs  map[string]layout
	macros   map[string]macro
	scopes   []map[string]any // innermost last
	data     []string         // outside functions
	function *function        // that is being written
	done     []*function
}

type line struct {
	text string
	at   string // file and number
}

// deepest is how many blocks and macros may be within each other.
const deepest = 100

// located is an error with the innermost line that it comes from.
type located struct {
	at  string
	err error
}

func (e located) Error() string { return e.at + ": " + e.err.Error() }

type macro struct {
	params []string
	body   []line
}

// function is one in the making; its frame is known at its end.
type function struct {
	name, args, result string
	frame              int
	body               []string
}

func (x *expander) lookup(name string) (any, bool) {
	for i := len(x.scopes) - 1; i >= 0; i-- {
		if v, ok := x.scopes[i][name]; ok {
			return v, true
		}
	}
	return nil, false
}

// run expands lines in a scope of their own.
func (x *expander) run(lines []line, scope map[string]any) error {
	if len(x.scopes) > deepest {
		return errors.New("macros call each other without an end")
	}
	x.scopes = append(x.scopes, scope)
	defer func() { x.scopes = x.scopes[:len(x.scopes)-1] }()
	for i := 0; i < len(lines); i++ {
		l := lines[i]
		var err error
		switch word, rest := cutWord(l.text); word {
		case ".macro", ".for", ".if":
			end, alternative := blockEnd(lines, i)
			if end < 0 {
				return located{l.at, fmt.Errorf("%s has no .end", word)}
			}
			err = x.block(word, rest, lines[i+1:end], alternative-i-1)
			i = end
		default:
			err = x.line(word, rest, l.text)
		}
		if err != nil {
			if errors.As(err, &located{}) {
				return err
			}
			return located{l.at, err}
		}
	}
	return nil
}

// blockEnd finds the .end of the block that begins at lines[i], and its .else, or the end again.
func blockEnd(lines []line, i int) (end, alternative int) {
	depth := 0
	for j := i; j < len(lines); j++ {
		switch word, _ := cutWord(lines[j].text); word {
		case ".macro", ".for", ".if":
			depth++
		case ".else":
			if depth == 1 {
				alternative = j
			}
		case ".end":
			if depth--; depth == 0 {
				if alternative == 0 {
					alternative = j
				}
				return j, alternative
			}
		}
	}
	return -1, -1
}

func (x *expander) block(word, rest string, body []line, alternative int) error {
	switch word {
	case ".macro":
		name, params := cutWord(rest)
		x.macros[name] = macro{strings.Fields(params), body}
		return nil
	case ".if":
		v, err := evaluate(rest, x.lookup)
		if err != nil {
			return err
		}
		if v == 0 {
			body = body[min(alternative+1, len(body)):]
		} else {
			body = body[:alternative]
		}
		return x.run(body, map[string]any{})
	}
	name, list, _ := strings.Cut(rest, " in ")
	values, err := x.list(list)
	if err != nil {
		return err
	}
	for _, v := range values {
		if err := x.run(body, map[string]any{strings.TrimSpace(name): v}); err != nil {
			return err
		}
	}
	return nil
}

// list is that of a loop: 0 to n-1, or what is enumerated.
func (x *expander) list(text string) (values []any, err error) {
	text, err = substitute(text, x.lookup)
	if err != nil {
		return nil, err
	}
	items := splitArgs(text)
	if len(items) == 1 {
		v, err := evaluate(text, x.lookup)
		n, ok := v.(int)
		if err != nil || !ok {
			return nil, fmt.Errorf("%q is neither a count nor a list: %v", text, err)
		}
		for i := range n {
			values = append(values, i)
		}
		return values, nil
	}
	for _, item := range items {
		values = append(values, literal(item))
	}
	return values, nil
}

// literal is a number where it looks like one.
func literal(text string) any {
	if n, err := strconv.ParseInt(text, 0, 64); err == nil && !strings.HasPrefix(text, "+") {
		return int(n)
	}
	return text
}

func (x *expander) line(word, rest, text string) error {
	name, err := substitute(word, x.lookup)
	if err != nil {
		return err
	}
	if m, ok := x.macros[name]; ok {
		return x.call(m, name, rest)
	}
	if name[0] >= 'a' && name[0] <= 'z' && !strings.HasSuffix(name, ":") {
		return fmt.Errorf("there is no macro %s", name)
	}
	if name, ok := strings.CutPrefix(word, "."); ok {
		return x.directive(name, rest)
	}
	if text, err = substitute(text, x.lookup); err != nil {
		return err
	}
	if x.function == nil && text[0] != '#' {
		return fmt.Errorf("%q is in no function", text)
	}
	x.emit(x.level.registers(text))
	return nil
}

func (x *expander) emit(text string) {
	if !strings.HasPrefix(text, "#") && !strings.HasSuffix(text, ":") {
		text = "\t" + text
	}
	if x.function != nil {
		x.function.body = append(x.function.body, text)
	} else {
		x.data = append(x.data, strings.TrimSpace(text))
	}
}

func (x *expander) call(m macro, name, rest string) error {
	rest, err := substitute(rest, x.lookup)
	if err != nil {
		return err
	}
	args := splitArgs(rest)
	if len(args) != len(m.params) {
		return fmt.Errorf("%s takes %d arguments, not %d", name, len(m.params), len(args))
	}
	scope := map[string]any{}
	for i, p := range m.params {
		scope[p] = literal(args[i])
	}
	return x.run(m.body, scope)
}

func (x *expander) directive(name, rest string) error {
	if (name == "slot" || name == "keep") && x.function == nil {
		return fmt.Errorf(".%s is in no function", name)
	}
	switch name {
	case "func":
		rest, err := substitute(rest, x.lookup)
		if err != nil {
			return err
		}
		return x.begin(strings.Fields(rest))
	case "list":
		name, text, _ := strings.Cut(rest, "=")
		var list []any
		for _, item := range splitArgs(text) {
			list = append(list, literal(item))
		}
		x.scopes[0][strings.TrimSpace(name)] = list
		return nil
	case "set": // in the function, or in the file
		name, text, _ := strings.Cut(rest, "=")
		v, err := evaluate(text, x.lookup)
		if err == nil {
			x.scopes[0][strings.TrimSpace(name)] = v
		}
		return err
	case "slot":
		name, text := cutWord(rest)
		v, err := evaluate(text, x.lookup)
		if err != nil {
			return err
		}
		x.slot(name, v.(int))
		return nil
	case "keep":
		for _, field := range splitArgs(rest) {
			x.slot(field, 8)
			from, ok := x.lookup("a." + field)
			if !ok {
				return fmt.Errorf("%s has no field %s", x.function.args, field)
			}
			x.emit(fmt.Sprintf("%s %v, %s", x.level.move, from, x.level.scratch))
			x.emit(fmt.Sprintf("%s %s, %v", x.level.move, x.level.scratch, x.scopes[0][field]))
		}
		return nil
	case "long", "quad":
		return x.constants(rest, map[string]int{"long": 4, "quad": 8}[name])
	}
	return fmt.Errorf(".%s is no directive", name)
}

// slot makes a place on the frame.
func (x *expander) slot(name string, size int) {
	x.function.frame += size
	x.scopes[0][name] = slot{name, -x.function.frame, "SP"}
}

// begin starts a function: its name without the level, its struct of arguments and perhaps the type
// of its result.
func (x *expander) begin(words []string) error {
	if len(words) < 2 || x.structs[words[1]] == nil {
		return fmt.Errorf(".func needs a name and a struct of arguments, not %q", words)
	}
	words = append(words, "")
	x.function = &function{name: words[0], args: words[1], result: words[2]}
	x.done = append(x.done, x.function)
	for field, off := range x.structs[words[1]] {
		x.scopes[0]["a."+field] = slot{"", off, x.level.args}
	}
	x.scopes[0]["args"] = fmt.Sprintf("%s a+0(FP), %s", x.level.move, x.level.args)
	x.scopes[0]["ret"] = slot{"ret", 8, "FP"}
	x.emit(x.scopes[0]["args"].(string))
	return nil
}

// constants are a symbol of the file with values of some bytes; n:v is n times v.
func (x *expander) constants(rest string, size int) error {
	rest, err := substitute(rest, x.lookup)
	if err != nil {
		return err
	}
	name, list := cutWord(rest)
	at := 0
	for _, item := range splitArgs(list) {
		times, v, repeated := strings.Cut(item, ":")
		n := 1
		if repeated {
			if n, err = strconv.Atoi(times); err != nil {
				return err
			}
			item = v
		}
		for range n {
			x.data = append(x.data, fmt.Sprintf("DATA %s<>+%d(SB)/%d, $%s", name, at, size, item))
			at += size
		}
	}
	x.data = append(x.data, fmt.Sprintf("GLOBL %s<>(SB), RODATA|NOPTR, $%d", name, at))
	return nil
}

func cutWord(text string) (word, rest string) {
	text = strings.TrimSpace(text)
	if i := strings.IndexAny(text, " \t"); i >= 0 {
		return text[:i], strings.TrimSpace(text[i:])
	}
	return text, ""
}

// splitArgs splits at commas outside brackets.
func splitArgs(text string) (args []string) {
	depth, from := 0, 0
	for i, c := range text {
		switch {
		case c == '(' || c == '[':
			depth++
		case c == ')' || c == ']':
			depth--
		case c == ',' && depth == 0:
			args = append(args, strings.TrimSpace(text[from:i]))
			from = i + 1
		}
	}
	if rest := strings.TrimSpace(text[from:]); rest != "" {
		args = append(args, rest)
	}
	return args
}

var vectors = regexp.MustCompile(`\b[VH]\d+\b`)

// registers names those that are as wide as the level, or half as wide.
func (l level) registers(text string) string {
	if l.vector == "" {
		return text
	}
	return vectors.ReplaceAllStringFunc(text, func(r string) string {
		if r[0] == 'V' {
			return l.vector + r[1:]
		}
		return l.half + r[1:]
	})
}
