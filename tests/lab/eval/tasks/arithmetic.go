package tasks

import (
	"fmt"
	"math/rand/v2"
)

// Arithmetic returns n different word problems with small numbers, the same for the same seed. Each
// has its steps.
func Arithmetic(seed int64, n int) []Item {
	random := newRandom(seed, "arithmetic")
	items := make([]Item, 0, n)
	seen := map[string]bool{}
	// A round takes each kind once, in a new order, so that every part of the set holds all kinds.
	for len(items) < n {
		for _, kind := range random.Perm(len(stories)) {
			s := story{random: random, name: pick(random, names), other: pick(random, others),
				thing: pick(random, things)}
			item := stories[kind](s)
			// A very long set runs out of problems; then they repeat.
			if len(items) == n || seen[item.Question] && len(seen) < 1000*len(stories) {
				continue
			}
			seen[item.Question] = true
			items = append(items, item)
		}
	}
	return items
}

var (
	names = []string{"Anna", "Ben", "Clara", "David", "Emma", "Felix", "Grace", "Henry", "Ida",
		"Jack", "Kate", "Leo"}
	others = []string{"Mia", "Noah", "Olga", "Paul", "Rosa", "Sam", "Tina", "Victor"}
	things = []string{"apples", "marbles", "stickers", "pencils", "cookies", "shells", "stamps",
		"buttons", "coins", "cards"}
)

func pick(random *rand.Rand, pool []string) string { return pool[random.IntN(len(pool))] }

// story is what a word problem is about.
type story struct {
	random             *rand.Rand
	name, other, thing string
}

// number returns a number from low to high.
func (s story) number(low, high int) int { return low + s.random.IntN(high-low+1) }

// problem makes an item of a question, its steps and the result.
func problem(question, steps string, result int) Item {
	return Item{Question: question, Steps: steps, Answer: fmt.Sprint(result)}
}

// stories are the kinds of problems: two or three steps of small numbers.
var stories = []func(story) Item{
	func(s story) Item {
		a, b, c := s.number(5, 30), s.number(2, 20), s.number(2, 6)
		return problem(
			fmt.Sprintf("%s has %d %s and gets %d more. Then %s gives away %d. How many %s are "+
				"left?", s.name, a, s.thing, b, s.name, c, s.thing),
			fmt.Sprintf("%s has %d + %d = %d %s.\nAfter giving away %d there are %d - %d = %d.",
				s.name, a, b, a+b, s.thing, c, a+b, c, a+b-c),
			a+b-c)
	},
	func(s story) Item {
		a, b := s.number(2, 9), s.number(3, 12)
		return problem(
			fmt.Sprintf("There are %d boxes with %d %s each. How many %s are there in all?", a, b,
				s.thing, s.thing),
			fmt.Sprintf("%d boxes with %d each hold %d * %d = %d %s.", a, b, a, b, a*b, s.thing),
			a*b)
	},
	func(s story) Item {
		a, b := s.number(2, 8), s.number(2, 9)
		return problem(
			fmt.Sprintf("%s shares %d %s equally among %d children. How many does each child get?",
				s.name, a*b, s.thing, a),
			fmt.Sprintf("Each child gets %d / %d = %d %s.", a*b, a, b, s.thing), b)
	},
	func(s story) Item {
		a, b, c := s.number(2, 6), s.number(2, 9), s.number(1, 10)
		return problem(
			fmt.Sprintf("%s buys %d bags with %d %s each. %s adds %d more. How many %s do they "+
				"have together?", s.name, a, b, s.thing, s.other, c, s.thing),
			fmt.Sprintf("The bags hold %d * %d = %d %s.\nWith %d more there are %d + %d = %d.", a,
				b, a*b, s.thing, c, a*b, c, a*b+c),
			a*b+c)
	},
	func(s story) Item {
		price, count := s.number(2, 7), s.number(2, 6)
		money := price*count + s.number(1, 15)
		return problem(
			fmt.Sprintf("%s has $%d and buys %d books for $%d each. How many dollars are left?",
				s.name, money, count, price),
			fmt.Sprintf("The books cost %d * %d = %d dollars.\nThere are %d - %d = %d dollars left.", count, price, count*price, money, count*price, money-count*price),
			money-count*price)
	},
	func(s story) Item {
		a, more := s.number(4, 20), s.number(2, 12)
		return problem(
			fmt.Sprintf("%s has %d %s. %s has %d more than %s. How many do they have together?",
				s.name, a, s.thing, s.other, more, s.name),
			fmt.Sprintf("%s has %d + %d = %d %s.\nTogether they have %d + %d = %d.", s.other, a,
				more, a+more, s.thing, a, a+more, 2*a+more),
			2*a+more)
	},
	func(s story) Item {
		a, days, left := s.number(3, 12), s.number(2, 5), s.number(3, 20)
		return problem(
			fmt.Sprintf("%s reads %d pages a day for %d days. The book has %d pages. How many "+
				"pages are still to read?", s.name, a, days, a*days+left),
			fmt.Sprintf("%s has read %d * %d = %d pages.\nThere are %d - %d = %d pages still to "+
				"read.", s.name, a, days, a*days, a*days+left, a*days, left),
			left)
	},
	func(s story) Item {
		people, off, on, last := s.number(15, 25), s.number(2, 9), s.number(2, 9), s.number(2, 6)
		first, second := people-off, people-off+on
		return problem(
			fmt.Sprintf("A bus carries %d people. At the first stop %d get off, and at the "+
				"second stop %d get on. At the third stop %d get off. "+
				"How many people are on the bus now?", people, off, on, last),
			fmt.Sprintf("After the first stop there are %d - %d = %d people.\nAfter the second "+
				"there are %d + %d = %d.\nAfter the third there are %d - %d = %d.",
				people, off, first, first, on, second, second, last, second-last),
			second-last)
	},
}
