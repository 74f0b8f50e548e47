package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// defaultQuestion asks for the fact that stands in the document several times.
const defaultQuestion = "What is the pass phrase of the northern lighthouse?"

// textQuestion suits a text of the user's own.
const textQuestion = "Summarise the text above in a few sentences."

// passPhrase is repeated, because a model of 135M parameters often overlooks what is said once in
// thousands of tokens.
const passPhrase = "The pass phrase of the northern lighthouse is silver anchor."

// facts are planted at even distances.
var facts = []string{
	passPhrase,
	"The spare key of the chart room hangs behind the brass barometer.",
	"The harbour master of Vell is called Ottoline Marsh, and she pays in silver.",
	passPhrase,
	"The Heron draws exactly three fathoms when her holds are full.",
	passPhrase,
	"The well on Saint Brae's island is sweet, but the one at Pell is salt.",
	passPhrase,
}

// The pools of the log. A sentence takes one phrase of each pool it names, so that entries read
// alike but never repeat.
var (
	winds = []string{"a light breeze from the north-west", "a steady wind from the south",
		"hardly any wind at all",
		"a cold gale out of the east", "short squalls from the west",
		"a warm wind that smelled of pine"}
	skies = []string{"clear until the evening", "grey and low", "broken by sudden sunshine",
		"full of high thin cloud",
		"dark over the land", "pale and hazy"}
	people = []string{"the carpenter", "young Tobin", "the cook", "Captain Aldous", "the sailmaker",
		"our pilot",
		"the surgeon", "old Maren", "the boatswain", "the ship's clerk"}
	tasks = []string{"mended the torn foresail", "counted the barrels of salted fish",
		"tarred the seams of the long boat",
		"wrote letters to be posted at Vell", "greased the windlass", "sorted the seed potatoes",
		"repaired the pump in the forward hold", "painted the rail a second time",
		"taught the boys to splice rope",
		"polished the lamps and trimmed their wicks"}
	sights = []string{"a family of seals on the skerries", "two fishing boats going home",
		"a raft of drifting timber",
		"the smoke of a village behind the dunes", "a flight of geese heading inland",
		"the white tower of a mill",
		"a whale that kept us company for an hour", "an empty rowing boat, which we took in tow"}
	places = []string{"Cape Solace", "the Finger Rocks", "Tamsin Sound",
		"the mouth of the Arrow river", "Saint Brae's island",
		"the sandbanks of Lorn", "Coldwater Bay", "the narrows of Pell"}
	meals = []string{"pea soup with bacon", "fresh bread and cheese", "boiled cod",
		"barley porridge with honey",
		"a stew of mutton and turnips", "pancakes, since it was a feast day"}
	moods = []string{"in good spirits", "tired but content", "glad of the rest",
		"a little homesick", "eager for the harbour",
		"quiet, and early to bed"}
)

// document writes the log of a ship, at least size bytes long, the same on every run.
func document(size int) string {
	random := rand.New(rand.NewPCG(47, 1871))
	var b strings.Builder
	b.WriteString("The log of the trading ship Heron, on her voyage along the coast of Lorn.\n")
	planted := 0
	for day := 1; b.Len() < size; day++ {
		entry(&b, random, day)
		// A fact stands in the middle of its share of the text.
		if planted < len(facts) && b.Len() > size*(2*planted+1)/(2*len(facts)) {
			b.WriteString(" Note for those who come after us: " + facts[planted])
			planted++
		}
		b.WriteString("\n")
	}
	return b.String()
}

// entry writes one day: a fixed opening and four of six sentences in a random order.
func entry(b *strings.Builder, random *rand.Rand, day int) {
	pick := func(pool []string) string { return pool[random.IntN(len(pool))] }
	fmt.Fprintf(b, "\nDay %d. We had %s, and the sky was %s.", day, pick(winds), pick(skies))
	sentences := []func() string{
		func() string { return fmt.Sprintf("In the morning %s %s.", pick(people), pick(tasks)) },
		func() string { return fmt.Sprintf("Off %s we saw %s.", pick(places), pick(sights)) },
		func() string {
			return fmt.Sprintf("The lead gave %d fathoms and a bottom of sand and shells.",
				4+random.IntN(30))
		},
		func() string {
			return fmt.Sprintf("Dinner was %s, and afterwards the crew was %s.", pick(meals),
				pick(moods))
		},
		func() string {
			return fmt.Sprintf("We made %d miles by noon and passed %s before dark.",
				20+random.IntN(90), pick(places))
		},
		func() string {
			return fmt.Sprintf("At the change of the watch %s relieved %s, who %s.", pick(people),
				pick(people), pick(tasks))
		},
	}
	random.Shuffle(len(sentences), func(i, j int) {
		sentences[i], sentences[j] = sentences[j],
			sentences[i]
	})
	for _, sentence := range sentences[:4] {
		b.WriteString(" " + sentence())
	}
}
