package tasks

import (
	"fmt"
	"slices"
	"strings"
)

// What a needle is made of, and what it lies in.
type (
	kind int
	hay  int
)

const (
	numberKind kind = iota // seven digits; as a key, two words
	codeKind               // a UUID
)

const (
	repeatedHay hay = iota // the same sentences again and again
	proseHay
	needleHay // needles with other keys
)

// needles is a task with keys in a long text; numbers of 0 mean one.
type needles struct {
	hay        hay
	key, value kind
	keys       int // that the text has
	values     int // of each key
	asked      int // keys that are asked for
}

// again is what nothing is to be found in.
const again = "The rain falls on the roof. The road goes over the hill. The clock strikes the " +
	"hour. Nothing else happens here."

func (n needles) write(w *writer) Trial {
	n.keys, n.values, n.asked = max(1, n.keys), max(1, n.values), max(1, n.asked)
	things := "numbers"
	if n.value == codeKind {
		things = "uuids"
	}
	var keys, lines []string
	values := map[string][]string{}
	for len(keys) < n.keys {
		key := n.newKey(w)
		if values[key] != nil {
			continue
		}
		keys = append(keys, key)
		for range n.values {
			value := n.newValue(w)
			values[key] = append(values[key], value)
			lines = append(lines, needleLine(things, key, value))
		}
	}
	w.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
	w.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	var want []string
	for _, key := range keys[:n.asked] {
		want = append(want, values[key]...)
	}
	text := n.text(w, things, lines, values)
	return n.trial(things, text, keys[:n.asked], want)
}

func (n needles) newKey(w *writer) string {
	if n.key == codeKind {
		return w.uuid()
	}
	return w.compound()
}

func (n needles) newValue(w *writer) string {
	if n.value == codeKind {
		return w.uuid()
	}
	return fmt.Sprint(1_000_000 + w.IntN(9_000_000))
}

// uuid is a random one of version 4.
func (w *writer) uuid() string {
	h := w.letters(30, "0123456789abcdef")
	return h[:8] + "-" + h[8:12] + "-4" + h[12:15] + "-" + w.letters(1, "89ab") + h[15:18] + "-" +
		h[18:30]
}

func needleLine(things, key, value string) string {
	return fmt.Sprintf("One of the special magic %s for %s is: %s.", things, key, value)
}

func (n needles) text(w *writer, things string, lines []string, taken map[string][]string) string {
	switch n.hay {
	case proseHay:
		return strings.Join(w.insert(w.prose.from(w.IntN(len(w.prose)), w.size), lines), " ")
	case repeatedHay:
		return strings.Join(w.insert(slices.Repeat([]string{again}, w.size), lines), "\n")
	}
	var text []string
	for len(text) < w.size {
		if key := n.newKey(w); taken[key] == nil {
			text = append(text, needleLine(things, key, n.newValue(w)))
		}
	}
	return strings.Join(w.insert(text, lines), "\n")
}

func (n needles) trial(things, text string, asked, want []string) Trial {
	list := asked[0]
	if k := len(asked) - 1; k > 0 {
		list = strings.Join(asked[:k], ", ") + ", and " + asked[k]
	}
	begin, are := "Some special magic "+things+" are", "What are all the special magic "+things
	reply := "The special magic " + things + " for " + list + " mentioned in the text are"
	if len(want) == 1 {
		thing := strings.TrimSuffix(things, "s")
		begin, are = "A special magic "+thing+" is", "What is the special magic "+thing
		reply = "The special magic " + thing + " for " + list + " mentioned in the text is"
	}
	return Trial{
		Prompt: fmt.Sprintf("%s hidden in the following text. Memorize it, as I will ask for the "+
			"%s afterwards.\n%s\n%s for %s mentioned in the text?",
			begin, things, text, are, list),
		Reply: reply, Want: want,
	}
}

// hops is how often a variable is handed on.
const hops = 4

const capitals = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

// writeChain hides a chain of variables that all have one value; a short example comes first.
func writeChain(w *writer) Trial {
	shortPrompt, shortReply, shortWant := w.chain(3, 8)
	prompt, reply, want := w.chain(5, w.size)
	return Trial{Prompt: shortPrompt + "\n" + shortReply + " " + strings.Join(shortWant, " ") +
		"\n\n" + prompt, Reply: reply, Want: want, truth: strings.Join(want, " ")}
}

func (w *writer) chain(letters, size int) (prompt, reply string, names []string) {
	for len(names) <= hops {
		if name := w.letters(letters, capitals); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	value := 10_000 + w.IntN(90_000)
	lines := []string{fmt.Sprintf("VAR %s = %d", names[0], value)}
	for i := range hops {
		lines = append(lines, fmt.Sprintf("VAR %s = VAR %s", names[i+1], names[i]))
	}
	text := strings.Join(w.insert(slices.Repeat([]string{again}, size), lines), "\n")
	prompt = fmt.Sprintf("Memorize and follow the chain of variable assignments hidden in the "+
		"following text.\n\n%s\n"+
		"Question: Find all variables that are assigned the value %d in the text above.", text,
		value)
	reply = fmt.Sprintf("Answer: According to the chain of variable assignments in the text "+
		"above, %d variables are assigned the value %d, they are:", hops+1, value)
	return prompt, reply, names
}
