package guard

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
