package tasks

import (
	"regexp"
	"strings"
)

var (
	// No sign here: whether a '-' is one depends on what stands before it.
	digits = regexp.MustCompile(`(?:\d[\d,]*)?(?:\.\d+)|\d[\d,]*`)

	thousands = regexp.MustCompile(`^\d{1,3}(,\d{3})+(\.\d+)?$`)

	// "The answer is 7", "Answer: 7", "the final answer is: 7"; markers such as "Answer_3:" do not
	// match.
	stated = regexp.MustCompile(`(?i)\banswer(?:\s+is\b|\**\s*:)[:\s]*`)

	capital = regexp.MustCompile(`\b[A-Z]\b`)

	// "(b)", "B", "B.", "B) Paris", "B: Paris" at the start of a text.
	opening = regexp.MustCompile(`^[\s*]*(?:\(([A-Za-z])\)|([A-Za-z])(?:[):*]|\.(?:[\s*]|$)|\s*$|\s*\n))`)
)

// final finds the answer in a generated text: the content of the last \boxed{}, else what follows
// the last "answer is", else the last number, or for a question with choices its letter. A number
// comes back in its shortest form, a letter as a capital; "" means none.
func final(output string, choices int) string {
	pick := func(s string) string { return letter(s, choices) }
	if choices == 0 {
		pick = firstNumber
	}
	if content, ok := boxed(output); ok {
		if choices == 0 {
			return wholeNumber(content)
		}
		return pick(content)
	}
	if rest := afterStated(output); rest != "" {
		// Of "The answer is 6 + 4 = 10." the result counts.
		if at := strings.LastIndexByte(rest, '='); at >= 0 && choices == 0 &&
			firstNumber(rest[at:]) != "" {
			rest = rest[at:]
		}
		if found := pick(rest); found != "" {
			return found
		}
	}
	if choices == 0 {
		return lastNumber(output)
	}
	return pick(output)
}

// afterStated returns the rest of the line after the last "answer is".
func afterStated(text string) string {
	all := stated.FindAllStringIndex(text, -1)
	if len(all) == 0 {
		return ""
	}
	rest, _, _ := strings.Cut(text[all[len(all)-1][1]:], "\n")
	return rest
}

// boxed returns the content of the last \boxed{...} whose braces are balanced.
func boxed(text string) (string, bool) {
	const open = `\boxed{`
	at := strings.LastIndex(text, open)
	if at < 0 {
		return "", false
	}
	text = text[at+len(open):]
	depth := 1
	for i, r := range text {
		switch r {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return undecorate(text[:i]), true
			}
		}
	}
	return "", false
}

var decorations = strings.NewReplacer(`\text{`, " ", `\textbf{`, " ", `\mathrm{`, " ", `\mathbf{`,
	" ", `\$`, "", "$", "", `\,`, "", `\!`, "",
	`{,}`, ",", `\%`, " %", `^{\circ}`, "", `^\circ`, "", `\ `, " ")

// undecorate removes the TeX commands that do not change a value.
func undecorate(s string) string {
	plain := decorations.Replace(s)
	// The braces of the replaced commands stay behind; those of others, such as \frac, must stay.
	for strings.Count(plain, "}") > strings.Count(plain, "{") {
		at := strings.LastIndexByte(plain, '}')
		plain = plain[:at] + plain[at+1:]
	}
	return strings.TrimSpace(plain)
}

// wholeNumber returns the number if the text is one, perhaps as the right side of an equation or
// before a unit.
func wholeNumber(s string) string {
	if at := strings.LastIndexByte(s, '='); at >= 0 {
		s = s[at+1:]
	}
	value, unit, _ := strings.Cut(strings.TrimSpace(s), " ")
	at := digits.FindStringIndex(value)
	sign := strings.HasPrefix(value, "-")
	if at == nil || at[1] != len(value) || at[0] > 1 || at[0] == 1 && !sign ||
		strings.ContainsAny(unit, `0123456789\+-*/^`) {
		return ""
	}
	return shortest(value[at[0]:], sign)
}

func firstNumber(s string) string { return numberAt(s, digits.FindStringIndex(s)) }

func lastNumber(s string) string {
	all := digits.FindAllStringIndex(s, -1)
	if len(all) == 0 {
		return ""
	}
	return numberAt(s, all[len(all)-1])
}

// numberAt returns the number at s[at[0]:at[1]] with its sign.
func numberAt(s string, at []int) string {
	if at == nil {
		return ""
	}
	before := strings.TrimSuffix(s[:at[0]], "$")
	sign := strings.HasSuffix(before, "-") || strings.HasSuffix(before, "−")
	if sign {
		before = strings.TrimSuffix(strings.TrimSuffix(before, "-"), "−")
		// In "23-15" and "top-10" it is no sign.
		sign = before == "" || !isWord(before[len(before)-1])
	}
	return shortest(s[at[0]:at[1]], sign)
}

func isWord(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == ')'
}

// shortest writes a number without separators, leading zeros and trailing zeros of its fraction. Of
// a list such as "1,2" it takes the last.
func shortest(s string, negative bool) string {
	s = strings.TrimRight(s, ",")
	if strings.Contains(s, ",") && !thousands.MatchString(s) {
		s = s[strings.LastIndexByte(s, ',')+1:]
		negative = false
	}
	s = strings.ReplaceAll(s, ",", "")
	whole, fraction, _ := strings.Cut(s, ".")
	whole, fraction = strings.TrimLeft(whole, "0"), strings.TrimRight(fraction, "0")
	if whole == "" {
		whole = "0"
	}
	if fraction != "" {
		whole += "." + fraction
	}
	if negative && whole != "0" {
		whole = "-" + whole
	}
	return whole
}

// letter returns the letter that the text names: the one it opens with, else the last capital that
// stands alone.
func letter(s string, choices int) string {
	valid := func(l string) bool { return l != "" && int(l[0]-'A') < choices }
	if m := opening.FindStringSubmatch(s); m != nil {
		if l := strings.ToUpper(m[1] + m[2]); valid(l) {
			return l
		}
	}
	all := capital.FindAllString(s, -1)
	for i := len(all) - 1; i >= 0; i-- {
		if valid(all[i]) {
			return all[i]
		}
	}
	return ""
}
