package kernels

import (
	"encoding/binary"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// The arm64 assembly encodes what Go's assembler lacks by macros over WORD, one
// instruction each, with the mnemonic in a comment. These tests run on every
// architecture and hold the encodings against
//   - a table made with GNU as, for chosen arguments,
//   - GNU as, for all values of each argument, and
//   - GNU objdump, for every word that the assembler really emits.

// encoding holds a macro, its mnemonic and the words for the argumentSets of it.
type encoding struct{ name, mnemonic, words string }

// A macro without an entry fails the test, which prints the entry to add.
var encodings = []encoding{
	{"CMGT", "cmgt v<d>.4s, v<n>.4s, v<m>.4s",
		"4ea03400 4ea03401 4ea03402 4ea03404 4ea03408 4ea03410 4ea03420 4ea03440 4ea03480 4ea03500 4ea03600 4ea13400 4ea23400 4ea43400 4ea83400 4eb03400 4ea53555 4ebf37ff"},
	{"FABS", "fabs v<d>.4s, v<n>.4s", "4ea0f800 4ea0f801 4ea0f802 4ea0f804 4ea0f808 4ea0f810 4ea0f820 4ea0f840 4ea0f880 4ea0f900 4ea0fa00 4ea0f955 4ea0fbff"},
	{"FADD", "fadd v<d>.4s, v<n>.4s, v<m>.4s",
		"4e20d400 4e20d401 4e20d402 4e20d404 4e20d408 4e20d410 4e20d420 4e20d440 4e20d480 4e20d500 4e20d600 4e21d400 4e22d400 4e24d400 4e28d400 4e30d400 4e25d555 4e3fd7ff"},
	{"FADDP", "faddp v<d>.4s, v<n>.4s, v<m>.4s",
		"6e20d400 6e20d401 6e20d402 6e20d404 6e20d408 6e20d410 6e20d420 6e20d440 6e20d480 6e20d500 6e20d600 6e21d400 6e22d400 6e24d400 6e28d400 6e30d400 6e25d555 6e3fd7ff"},
	{"FCMGE", "fcmge v<d>.4s, v<n>.4s, v<m>.4s",
		"6e20e400 6e20e401 6e20e402 6e20e404 6e20e408 6e20e410 6e20e420 6e20e440 6e20e480 6e20e500 6e20e600 6e21e400 6e22e400 6e24e400 6e28e400 6e30e400 6e25e555 6e3fe7ff"},
	{"FCMGT", "fcmgt v<d>.4s, v<n>.4s, v<m>.4s",
		"6ea0e400 6ea0e401 6ea0e402 6ea0e404 6ea0e408 6ea0e410 6ea0e420 6ea0e440 6ea0e480 6ea0e500 6ea0e600 6ea1e400 6ea2e400 6ea4e400 6ea8e400 6eb0e400 6ea5e555 6ebfe7ff"},
	{"FCVTL", "fcvtl v<d>.4s, v<n>.4h", "0e217800 0e217801 0e217802 0e217804 0e217808 0e217810 0e217820 0e217840 0e217880 0e217900 0e217a00 0e217955 0e217bff"},
	{"FCVTL2", "fcvtl2 v<d>.4s, v<n>.8h", "4e217800 4e217801 4e217802 4e217804 4e217808 4e217810 4e217820 4e217840 4e217880 4e217900 4e217a00 4e217955 4e217bff"},
	{"FCVTN", "fcvtn v<d>.4h, v<n>.4s", "0e216800 0e216801 0e216802 0e216804 0e216808 0e216810 0e216820 0e216840 0e216880 0e216900 0e216a00 0e216955 0e216bff"},
	{"FCVTN2", "fcvtn2 v<d>.8h, v<n>.4s", "4e216800 4e216801 4e216802 4e216804 4e216808 4e216810 4e216820 4e216840 4e216880 4e216900 4e216a00 4e216955 4e216bff"},
	{"FDIV", "fdiv v<d>.4s, v<n>.4s, v<m>.4s",
		"6e20fc00 6e20fc01 6e20fc02 6e20fc04 6e20fc08 6e20fc10 6e20fc20 6e20fc40 6e20fc80 6e20fd00 6e20fe00 6e21fc00 6e22fc00 6e24fc00 6e28fc00 6e30fc00 6e25fd55 6e3fffff"},
	{"FMAX", "fmax v<d>.4s, v<n>.4s, v<m>.4s",
		"4e20f400 4e20f401 4e20f402 4e20f404 4e20f408 4e20f410 4e20f420 4e20f440 4e20f480 4e20f500 4e20f600 4e21f400 4e22f400 4e24f400 4e28f400 4e30f400 4e25f555 4e3ff7ff"},
	{"FMLALANE", "fmla v<d>.4s, v<n>.4s, v<m>.s[<i>]",
		"4f801000 4f801001 4f801002 4f801004 4f801008 4f801010 4f801020 4f801040 4f801080 4f801100 4f801200 4f811000 4f821000 4f841000 4f881000 4f901000 4fa01000 4f801800 4f851955 4fbf1bff"},
	{"FMUL", "fmul v<d>.4s, v<n>.4s, v<m>.4s",
		"6e20dc00 6e20dc01 6e20dc02 6e20dc04 6e20dc08 6e20dc10 6e20dc20 6e20dc40 6e20dc80 6e20dd00 6e20de00 6e21dc00 6e22dc00 6e24dc00 6e28dc00 6e30dc00 6e25dd55 6e3fdfff"},
	{"FMULLANE0", "fmul v<d>.4s, v<n>.4s, v<m>.s[0]",
		"4f809000 4f809001 4f809002 4f809004 4f809008 4f809010 4f809020 4f809040 4f809080 4f809100 4f809200 4f819000 4f829000 4f849000 4f889000 4f909000 4f859155 4f9f93ff"},
	{"FSQRT", "fsqrt v<d>.4s, v<n>.4s", "6ea1f800 6ea1f801 6ea1f802 6ea1f804 6ea1f808 6ea1f810 6ea1f820 6ea1f840 6ea1f880 6ea1f900 6ea1fa00 6ea1f955 6ea1fbff"},
	{"FSUB", "fsub v<d>.4s, v<n>.4s, v<m>.4s",
		"4ea0d400 4ea0d401 4ea0d402 4ea0d404 4ea0d408 4ea0d410 4ea0d420 4ea0d440 4ea0d480 4ea0d500 4ea0d600 4ea1d400 4ea2d400 4ea4d400 4ea8d400 4eb0d400 4ea5d555 4ebfd7ff"},
	{"SADALPH", "sadalp v<d>.4s, v<n>.8h", "4e606800 4e606801 4e606802 4e606804 4e606808 4e606810 4e606820 4e606840 4e606880 4e606900 4e606a00 4e606955 4e606bff"},
	{"SADDLPH", "saddlp v<d>.4s, v<n>.8h", "4e602800 4e602801 4e602802 4e602804 4e602808 4e602810 4e602820 4e602840 4e602880 4e602900 4e602a00 4e602955 4e602bff"},
	{"FCVTNS", "fcvtns v<d>.4s, v<n>.4s", "4e21a800 4e21a801 4e21a802 4e21a804 4e21a808 4e21a810 4e21a820 4e21a840 4e21a880 4e21a900 4e21aa00 4e21a955 4e21abff"},
	{"SCVTF", "scvtf v<d>.4s, v<n>.4s", "4e21d800 4e21d801 4e21d802 4e21d804 4e21d808 4e21d810 4e21d820 4e21d840 4e21d880 4e21d900 4e21da00 4e21d955 4e21dbff"},
	{"SDOT", "sdot v<d>.4s, v<n>.16b, v<m>.16b",
		"4e809400 4e809401 4e809402 4e809404 4e809408 4e809410 4e809420 4e809440 4e809480 4e809500 4e809600 4e819400 4e829400 4e849400 4e889400 4e909400 4e859555 4e9f97ff"},
	{"SDOTLANE", "sdot v<d>.4s, v<n>.16b, v<m>.4b[<i>]",
		"4f80e000 4f80e001 4f80e002 4f80e004 4f80e008 4f80e010 4f80e020 4f80e040 4f80e080 4f80e100 4f80e200 4f81e000 4f82e000 4f84e000 4f88e000 4f90e000 4fa0e000 4f80e800 4f85e955 4fbfebff"},
	{"SMLAL2B", "smlal2 v<d>.8h, v<n>.16b, v<m>.16b",
		"4e208000 4e208001 4e208002 4e208004 4e208008 4e208010 4e208020 4e208040 4e208080 4e208100 4e208200 4e218000 4e228000 4e248000 4e288000 4e308000 4e258155 4e3f83ff"},
	{"SMLAL2H", "smlal2 v<d>.4s, v<n>.8h, v<m>.8h",
		"4e608000 4e608001 4e608002 4e608004 4e608008 4e608010 4e608020 4e608040 4e608080 4e608100 4e608200 4e618000 4e628000 4e648000 4e688000 4e708000 4e658155 4e7f83ff"},
	{"SMLALH", "smlal v<d>.4s, v<n>.4h, v<m>.4h",
		"0e608000 0e608001 0e608002 0e608004 0e608008 0e608010 0e608020 0e608040 0e608080 0e608100 0e608200 0e618000 0e628000 0e648000 0e688000 0e708000 0e658155 0e7f83ff"},
	{"SQRDMULHH", "sqrdmulh v<d>.8h, v<n>.8h, v<m>.8h",
		"6e60b400 6e60b401 6e60b402 6e60b404 6e60b408 6e60b410 6e60b420 6e60b440 6e60b480 6e60b500 6e60b600 6e61b400 6e62b400 6e64b400 6e68b400 6e70b400 6e65b555 6e7fb7ff"},
	{"SMULL2B", "smull2 v<d>.8h, v<n>.16b, v<m>.16b",
		"4e20c000 4e20c001 4e20c002 4e20c004 4e20c008 4e20c010 4e20c020 4e20c040 4e20c080 4e20c100 4e20c200 4e21c000 4e22c000 4e24c000 4e28c000 4e30c000 4e25c155 4e3fc3ff"},
	{"SMLALB", "smlal v<d>.8h, v<n>.8b, v<m>.8b",
		"0e208000 0e208001 0e208002 0e208004 0e208008 0e208010 0e208020 0e208040 0e208080 0e208100 0e208200 0e218000 0e228000 0e248000 0e288000 0e308000 0e258155 0e3f83ff"},
	{"SMULLB", "smull v<d>.8h, v<n>.8b, v<m>.8b",
		"0e20c000 0e20c001 0e20c002 0e20c004 0e20c008 0e20c010 0e20c020 0e20c040 0e20c080 0e20c100 0e20c200 0e21c000 0e22c000 0e24c000 0e28c000 0e30c000 0e25c155 0e3fc3ff"},
	{"SRSHR6H", "srshr v<d>.8h, v<n>.8h, #6",
		"4f1a2400 4f1a2401 4f1a2402 4f1a2404 4f1a2408 4f1a2410 4f1a2420 4f1a2440 4f1a2480 4f1a2500 4f1a2600 4f1a2555 4f1a27ff"},
	{"SXTL2B", "sxtl2 v<d>.8h, v<n>.16b", "4f08a400 4f08a401 4f08a402 4f08a404 4f08a408 4f08a410 4f08a420 4f08a440 4f08a480 4f08a500 4f08a600 4f08a555 4f08a7ff"},
	{"SXTL2H", "sxtl2 v<d>.4s, v<n>.8h", "4f10a400 4f10a401 4f10a402 4f10a404 4f10a408 4f10a410 4f10a420 4f10a440 4f10a480 4f10a500 4f10a600 4f10a555 4f10a7ff"},
	{"SXTLB", "sxtl v<d>.8h, v<n>.8b", "0f08a400 0f08a401 0f08a402 0f08a404 0f08a408 0f08a410 0f08a420 0f08a440 0f08a480 0f08a500 0f08a600 0f08a555 0f08a7ff"},
	{"SXTLH", "sxtl v<d>.4s, v<n>.4h", "0f10a400 0f10a401 0f10a402 0f10a404 0f10a408 0f10a410 0f10a420 0f10a440 0f10a480 0f10a500 0f10a600 0f10a555 0f10a7ff"},
	{"UMAXV", "umaxv s<d>, v<n>.4s", "6eb0a800 6eb0a801 6eb0a802 6eb0a804 6eb0a808 6eb0a810 6eb0a820 6eb0a840 6eb0a880 6eb0a900 6eb0aa00 6eb0a955 6eb0abff"},
	{"USHLB", "ushl v<d>.16b, v<n>.16b, v<m>.16b",
		"6e204400 6e204401 6e204402 6e204404 6e204408 6e204410 6e204420 6e204440 6e204480 6e204500 6e204600 6e214400 6e224400 6e244400 6e284400 6e304400 6e254555 6e3f47ff"},
}

// instruction is a macro as found in the sources.
type instruction struct {
	name, mnemonic string
	params         []string
	expr           ast.Expr
}

var defineWord = regexp.MustCompile(`^#define (\w+)\(([\w, ]+)\) +WORD \$\((.+)\) // (.+)$`)

// dataDirective matches all that could put an instruction into the text unseen.
var dataDirective = regexp.MustCompile(`\b(D?WORD|BYTE|LONG|QUAD)\b`)

// instructions reads the macros, and fails if a word is encoded elsewhere.
func instructions(t *testing.T) map[string]*instruction {
	t.Helper()
	found := map[string]*instruction{}
	for _, pattern := range []string{"*_arm64.s", "*_arm64.h"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("no %s: %v", pattern, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for i, line := range strings.Split(string(text), "\n") {
				code, _, _ := strings.Cut(line, "//")
				if !dataDirective.MatchString(code) {
					continue
				}
				m := defineWord.FindStringSubmatch(line)
				if m == nil {
					t.Errorf("%s:%d: encode instructions by macros of the form #define NAME(args) WORD $(expression) // mnemonic", file, i+1)
					continue
				}
				expr, err := parser.ParseExpr(m[3])
				if err != nil {
					t.Fatalf("%s:%d: %v", file, i+1, err)
				}
				if found[m[1]] != nil {
					t.Errorf("%s:%d: %s is defined twice", file, i+1, m[1])
				}
				found[m[1]] = &instruction{name: m[1], mnemonic: m[4],
					params: strings.Split(m[2], ", "), expr: expr}
			}
		}
	}
	return found
}

// top is the largest value of an argument: a lane's or a register's number.
func (in *instruction) top(param int) int {
	if strings.Contains(in.mnemonic, "[<"+in.params[param]+">]") {
		return 3
	}
	return 31
}

// argumentSets has every bit of every argument, alone and with others.
func (in *instruction) argumentSets() [][]int {
	n := len(in.params)
	sets := [][]int{make([]int, n)}
	for p := range n {
		for bit := 1; bit <= in.top(p); bit *= 2 {
			set := make([]int, n)
			set[p] = bit
			sets = append(sets, set)
		}
	}
	mixed, all := make([]int, n), make([]int, n)
	for p := range n {
		mixed[p], all[p] = (21>>p)&in.top(p), in.top(p)
	}
	return append(sets, mixed, all)
}

func (in *instruction) text(args []int) string {
	text := in.mnemonic
	for p, name := range in.params {
		text = strings.ReplaceAll(text, "<"+name+">", strconv.Itoa(args[p]))
	}
	return text
}

func (in *instruction) word(t *testing.T, args []int) uint32 {
	t.Helper()
	var eval func(ast.Expr) uint32
	eval = func(e ast.Expr) uint32 {
		switch e := e.(type) {
		case *ast.ParenExpr:
			return eval(e.X)
		case *ast.BasicLit:
			if v, err := strconv.ParseUint(e.Value, 0, 32); err == nil {
				return uint32(v)
			}
		case *ast.Ident:
			for p, name := range in.params {
				if name == e.Name {
					return uint32(args[p])
				}
			}
		case *ast.BinaryExpr:
			x, y := eval(e.X), eval(e.Y)
			switch e.Op {
			case token.OR:
				return x | y
			case token.AND:
				return x & y
			case token.SHL:
				return x << y
			case token.SHR:
				return x >> y
			}
		}
		t.Fatalf("%s: cannot evaluate the expression", in.name)
		return 0
	}
	return eval(in.expr)
}

// decode finds the arguments of a word, if in encodes it.
func (in *instruction) decode(t *testing.T, word uint32) ([]int, bool) {
	args := make([]int, len(in.params))
	base := in.word(t, args)
	rest := word ^ base
	for p := range args {
		for bit := 1; bit <= in.top(p); bit *= 2 {
			set := make([]int, len(args))
			set[p] = bit
			if field := in.word(t, set) ^ base; rest&field == field {
				rest &^= field
				args[p] |= bit
			}
		}
	}
	return args, rest == 0
}

func TestARM64Encodings(t *testing.T) {
	found := instructions(t)
	known := map[string]bool{}
	for _, e := range encodings {
		known[e.name] = true
		in := found[e.name]
		if in == nil {
			t.Errorf("%s has an entry, but no macro", e.name)
			continue
		}
		if in.mnemonic != e.mnemonic {
			t.Errorf("%s: the comment says %q, the table %q", e.name, in.mnemonic, e.mnemonic)
			continue
		}
		sets, words := in.argumentSets(), strings.Fields(e.words)
		if len(sets) != len(words) {
			t.Errorf("%s: %d words, want %d", e.name, len(words), len(sets))
			continue
		}
		for i, args := range sets {
			if got := fmt.Sprintf("%08x", in.word(t, args)); got != words[i] {
				t.Errorf("%s: %s is %s, want %s", e.name, in.text(args), got, words[i])
			}
		}
	}
	for name, in := range found {
		if known[name] {
			continue
		}
		entry := "one with what GNU as makes of " + in.mnemonic
		if _, err := exec.LookPath(gnuAs); err == nil {
			var lines []string
			for _, args := range in.argumentSets() {
				lines = append(lines, in.text(args))
			}
			var words []string
			for _, w := range assemble(t, lines) {
				words = append(words, fmt.Sprintf("%08x", w))
			}
			entry = fmt.Sprintf("{%q, %q, %q},", name, in.mnemonic, strings.Join(words, " "))
		}
		t.Errorf("%s has no entry: add %s", name, entry)
	}
}

const (
	gnuAs   = "aarch64-linux-gnu-as"
	objdump = "aarch64-linux-gnu-objdump"
)

func needTool(t *testing.T, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("no %s: install binutils-aarch64-linux-gnu", name)
	}
}

// assemble lets GNU as encode lines.
func assemble(t *testing.T, lines []string) []uint32 {
	t.Helper()
	object := filepath.Join(t.TempDir(), "lines.o")
	cmd := exec.Command(gnuAs, "-march=armv8.2-a+dotprod", "-o", object, "-")
	cmd.Stdin = strings.NewReader(strings.Join(lines, "\n") + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", gnuAs, err, out)
	}
	words, _ := disassemble(t, "-d", object)
	if len(words) != len(lines) {
		t.Fatalf("%s made %d words of %d lines", gnuAs, len(words), len(lines))
	}
	return words
}

var objdumpLine = regexp.MustCompile(`(?m)^ *[0-9a-f]+:\t([0-9a-f]{8}) \t(.*)$`)

// disassemble returns the words of a file and their mnemonics.
func disassemble(t *testing.T, args ...string) ([]uint32, []string) {
	t.Helper()
	out, err := exec.Command(objdump, append([]string{"-z"}, args...)...).Output()
	if err != nil {
		t.Fatalf("%s: %v", objdump, err)
	}
	var words []uint32
	var texts []string
	for _, m := range objdumpLine.FindAllStringSubmatch(string(out), -1) {
		w, err := strconv.ParseUint(m[1], 16, 32)
		if err != nil {
			t.Fatal(err)
		}
		text, _, _ := strings.Cut(m[2], "//")
		words, texts = append(words, uint32(w)),
			append(texts, strings.Join(strings.Fields(text), " "))
	}
	return words, texts
}

func TestARM64EncodingsGNU(t *testing.T) {
	needTool(t, gnuAs)
	needTool(t, objdump)
	rng := rand.New(rand.NewPCG(1, 2))
	for name, in := range instructions(t) {
		var lines []string
		var want []uint32
		add := func(args []int) {
			lines, want = append(lines, in.text(args)), append(want, in.word(t, args))
		}
		random := func() []int {
			args := make([]int, len(in.params))
			for p := range args {
				args[p] = rng.IntN(in.top(p) + 1)
			}
			return args
		}
		for p := range in.params {
			args := random()
			for args[p] = 0; args[p] <= in.top(p); args[p]++ {
				add(args)
			}
		}
		for range 100 {
			add(random())
		}
		for i, w := range assemble(t, lines) {
			if w != want[i] {
				t.Errorf("%s: %s is %08x, want %08x", name, lines[i], want[i], w)
			}
		}
	}
}

// TestARM64Words looks at the words that macros within macros end up as.
func TestARM64Words(t *testing.T) {
	words := emittedWords(t)
	found := instructions(t)
	used := map[string]bool{}
	want := make([]string, len(words))
	for i, w := range words {
		for name, in := range found {
			if args, ok := in.decode(t, w); ok {
				if want[i] != "" {
					t.Errorf("%08x is %s and %s", w, want[i], in.text(args))
				}
				want[i] = in.text(args)
				used[name] = true
			}
		}
		if want[i] == "" {
			t.Errorf("%08x is none of the macros", w)
		}
	}
	for name := range found {
		if !used[name] {
			t.Errorf("%s is not used", name)
		}
	}

	needTool(t, objdump)
	raw := make([]byte, 0, 4*len(words))
	for _, w := range words {
		raw = binary.LittleEndian.AppendUint32(raw, w)
	}
	file := filepath.Join(t.TempDir(), "words")
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	got, texts := disassemble(t, "-D", "-b", "binary", "-m", "aarch64", file)
	if len(got) != len(words) {
		t.Fatalf("%s shows %d of %d words", objdump, len(got), len(words))
	}
	for i, text := range texts {
		if text != want[i] {
			t.Errorf("%08x is %q, want %q", words[i], text, want[i])
		}
	}
	t.Logf("%d different words", len(words))
}

var listedWord = regexp.MustCompile(`(?m)\tWORD\t\$(\d+)$`)

// emittedWords assembles the sources for arm64 and returns every different WORD.
func emittedWords(t *testing.T) []uint32 {
	t.Helper()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Skipf("no go command: %v", err)
	}
	include := filepath.Join(strings.TrimSpace(string(root)), "pkg", "include")
	files, err := filepath.Glob("*_arm64.s")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[uint32]bool{}
	var words []uint32
	for _, file := range files {
		cmd := exec.Command("go", "tool", "asm", "-S", "-p", "kernels", "-I", include, "-o",
			filepath.Join(t.TempDir(), "asm.o"), file)
		cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=arm64")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", file, err, out)
		}
		for _, m := range listedWord.FindAllStringSubmatch(string(out), -1) {
			v, err := strconv.ParseUint(m[1], 10, 32)
			if err != nil {
				t.Fatal(err)
			}
			if w := uint32(v); !seen[w] {
				seen[w] = true
				words = append(words, w)
			}
		}
	}
	if len(words) == 0 {
		t.Fatal("the listing of the assembler shows no WORD")
	}
	return words
}
