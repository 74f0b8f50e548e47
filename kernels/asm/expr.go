package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
)

// A value is an int, a string, a slot or a list of values.

// slot is a place on the frame or among the arguments, as Go's assembler writes it.
type slot struct {
	name string // on the frame
	off  int
	base string // register
}

func (s slot) String() string {
	if s.name == "" {
		return fmt.Sprintf("%d(%s)", s.off, s.base)
	}
	return fmt.Sprintf("%s%+d(%s)", s.name, s.off, s.base)
}

// evaluate computes an expression in Go's syntax.
func evaluate(text string, lookup func(name string) (any, bool)) (v any, err error) {
	e, err := parser.ParseExpr(text)
	if err != nil {
		return nil, fmt.Errorf("%q is not an expression: %v", text, err)
	}
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("cannot compute %q: %v", text, r)
		}
	}()
	return value(e, lookup), nil
}

func value(e ast.Expr, lookup func(string) (any, bool)) any {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind == token.STRING {
			return must(strconv.Unquote(e.Value))
		}
		return int(must(strconv.ParseInt(e.Value, 0, 64)))
	case *ast.ParenExpr:
		return value(e.X, lookup)
	case *ast.Ident:
		return known(e.Name, lookup)
	case *ast.SelectorExpr:
		return known(e.X.(*ast.Ident).Name+"."+e.Sel.Name, lookup)
	case *ast.IndexExpr:
		return value(e.X, lookup).([]any)[value(e.Index, lookup).(int)]
	case *ast.UnaryExpr:
		if n := value(e.X, lookup).(int); e.Op == token.NOT {
			return number(n == 0)
		} else {
			return -n
		}
	case *ast.BinaryExpr:
		return binary(e.Op, value(e.X, lookup), value(e.Y, lookup))
	}
	panic("it is too much")
}

func known(name string, lookup func(string) (any, bool)) any {
	v, ok := lookup(name)
	if !ok {
		panic(name + " is not defined")
	}
	return v
}

func binary(op token.Token, x, y any) any {
	if s, ok := x.(slot); ok && op == token.ADD {
		s.off += y.(int)
		return s
	}
	if s, ok := x.(string); ok {
		switch op {
		case token.EQL:
			return number(s == y)
		case token.NEQ:
			return number(s != y)
		}
	}
	a, b := x.(int), y.(int)
	switch op {
	case token.ADD:
		return a + b
	case token.SUB:
		return a - b
	case token.MUL:
		return a * b
	case token.QUO:
		return a / b
	case token.REM:
		return a % b
	case token.SHL:
		return a << b
	case token.EQL:
		return number(a == b)
	case token.NEQ:
		return number(a != b)
	case token.LSS:
		return number(a < b)
	case token.LEQ:
		return number(a <= b)
	case token.GTR:
		return number(a > b)
	case token.GEQ:
		return number(a >= b)
	case token.LAND:
		return number(a != 0 && b != 0)
	case token.LOR:
		return number(a != 0 || b != 0)
	}
	panic("no operator " + op.String())
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// substitute replaces each {expression}.
func substitute(text string, lookup func(string) (any, bool)) (string, error) {
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(text, "{")
		out.WriteString(before)
		if !found {
			return out.String(), nil
		}
		inner, after, found := strings.Cut(rest, "}")
		if !found {
			return "", fmt.Errorf("a } is missing in %q", text)
		}
		v, err := evaluate(inner, lookup)
		if err != nil {
			return "", err
		}
		fmt.Fprint(&out, v)
		text = after
	}
}
