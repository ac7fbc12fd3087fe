package guard

import (
	"regexp"
	"slices"

	"github.com/qrgate/qrgate/sync/words"
)

// What is read of outside bytes, for its fuzz target.
var (
	ReadPhones     = readPhones
	LockFor        = lockFor
	Sound          = sound
	ReadCode       = readCode
	ReadPeople     = readPeople
	ReadDifficulty = readDifficulty
	PathOf         = pathOf
	GoodPIN        = goodPIN
)

const Longest = longest

// Placeholders returns the placeholders of each text.
func Placeholders(lang words.Lang) map[words.Key][]string {
	all := map[words.Key][]string{}
	for key, text := range texts()[lang] {
		found := regexp.MustCompile(`\{[a-z]+\}`).FindAllString(text, -1)
		slices.Sort(found)
		all[key] = slices.Compact(found)
	}
	return all
}
