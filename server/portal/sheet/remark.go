package sheet

import "github.com/qrgate/qrgate/server/portal/text"

// A Remark is what is to be said of a row that was read: a text, about a field if
// one is named. It can be kept while somebody looks at it.
type Remark struct {
	Field string            `json:"field,omitempty"` // key of its name
	Key   string            `json:"key"`
	Args  map[string]string `json:"args,omitempty"`
}

// About returns a remark whose args are names and values of placeholders in turn.
func About(field, key string, args ...string) Remark {
	m := Remark{Field: field, Key: key, Args: map[string]string{}}
	for i := 0; i+1 < len(args); i += 2 {
		m.Args[args[i]] = args[i+1]
	}
	return m
}

// Say returns the remark in a language.
func (m Remark) Say(lang text.Lang) string {
	var args []any
	for k, v := range m.Args {
		args = append(args, k, v)
	}
	said := text.Of(lang, m.Key, args...)
	if m.Field != "" {
		said = text.Of(lang, m.Field) + ": " + said
	}
	return said
}
