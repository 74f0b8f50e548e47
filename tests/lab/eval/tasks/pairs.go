package tasks

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// pairsTokens is enough for a UUID, which tokenizers cut into about as many tokens as it has
// digits.
const pairsTokens = 64

// ReadPairs reads cases of key-value retrieval (Liu et al., "Lost in the middle", arXiv
// 2307.03172): lines of JSON with ordered_kv_records, key and value. Each becomes a text of all
// pairs, with the one that is asked for at another place from case to case, and one question. An
// answer is right if it is the value to the last character.
func ReadPairs(path string, cases int) ([]Haystack, error) {
	records, err := readRecords(path)
	if err != nil {
		return nil, err
	}
	var all []Haystack
	for i, r := range records[:min(cases, len(records))] {
		var pairs [][2]string
		if err := json.Unmarshal(r.fields["ordered_kv_records"], &pairs); err != nil {
			return nil, r.fail("no ordered_kv_records, a list of pairs: %v", err)
		}
		key, value := r.text("key"), r.text("value")
		pairs = slices.DeleteFunc(pairs, func(p [2]string) bool { return p[0] == key })
		if key == "" || value == "" {
			return nil, r.fail("no key and value")
		}
		at := i * 37 % (len(pairs) + 1)
		pairs = slices.Insert(pairs, at, [2]string{key, value})
		lines := make([]string, len(pairs))
		for j, p := range pairs {
			lines[j] = fmt.Sprintf("%q: %q", p[0], p[1])
		}
		all = append(all, Haystack{
			Name: "pairs",
			Text: "Extract the value corresponding to the specified key in the JSON object " +
				"below.\n\nJSON data:\n{" + strings.Join(lines, ",\n ") + "}\n\n",
			Questions: []Question{{
				Text: fmt.Sprintf("Key: %q\nCorresponding value: \"", key), Want: value + `"`,
				Whole: true,
				Depth: float64(at) / float64(len(pairs)), MaxTokens: pairsTokens,
			}},
		})
	}
	return all, nil
}
