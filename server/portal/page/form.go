package page

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/qrgate/qrgate/server/portal/text"
	"github.com/qrgate/qrgate/server/qrgate"
)

// A Form is what somebody has filled in, and what is wrong with it. It is read
// field by field; each reading notes what has to be corrected, so that the page
// can be shown again with everything that was typed.
//
//	f, err := page.ReadForm(r)
//	p.Name = f.Text("name", 120, true)
//	p.Capacity = f.Int("capacity", 0, 100_000)
//	if !f.OK() { return v.RenderStatus(w, 422, "place_form", form) }
type Form struct {
	Values url.Values
	Wrong  []Wrong // in the order of the fields
}

// A Wrong is a field and what to do about it: a key of package text.
type Wrong struct {
	Field, Key string
	Args       []any
}

// NewForm returns a form that shows values.
func NewForm(values url.Values) *Form {
	if values == nil {
		values = url.Values{}
	}
	return &Form{Values: values}
}

// ReadForm reads a request's form.
func ReadForm(r *http.Request) (*Form, error) {
	var err error
	if strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/form-data") {
		err = r.ParseMultipartForm(1 << 20)
	} else {
		err = r.ParseForm()
	}
	if err != nil {
		return nil, fmt.Errorf("page: form: %w: %w", qrgate.ErrInvalid, err)
	}
	return &Form{Values: r.PostForm}, nil
}

// OK reports whether nothing has to be corrected.
func (f *Form) OK() bool { return len(f.Wrong) == 0 }

// Fail notes that a field has to be corrected.
func (f *Form) Fail(field, key string, args ...any) {
	if !slices.ContainsFunc(f.Wrong, func(w Wrong) bool { return w.Field == field }) {
		f.Wrong = append(f.Wrong, Wrong{field, key, args})
	}
}

// Text reads a line of at most most characters, in NFC, without spaces around.
func (f *Form) Text(field string, most int, required bool) string {
	return f.text(field, most, required, false)
}

// Lines is Text that keeps line ends.
func (f *Form) Lines(field string, most int, required bool) string {
	return f.text(field, most, required, true)
}

func (f *Form) text(field string, most int, required, lines bool) string {
	s := f.Values.Get(field)
	if !utf8.ValidString(s) {
		f.Fail(field, "wrong.letters")
		return ""
	}
	s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
	s = norm.NFC.String(strings.TrimSpace(s))
	switch {
	case s == "" && required:
		f.Fail(field, "wrong.empty")
	case utf8.RuneCountInString(s) > most:
		f.Fail(field, "wrong.long", "most", most)
	case strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsControl(r) && (!lines || r != '\n' && r != '\t') || unicode.Is(unicode.Bidi_Control, r)
	}):
		f.Fail(field, "wrong.letters")
	default:
		return s
	}
	return ""
}

// Int reads a number between least and most; an empty field is 0.
func (f *Form) Int(field string, least, most int) int {
	s := strings.TrimSpace(f.Values.Get(field))
	if s == "" {
		return 0
	}
	n, err := strconv.Atoi(strings.ReplaceAll(s, ".", ""))
	if err != nil || n < least || n > most {
		f.Fail(field, "wrong.number", "least", Number(least), "most", Number(most))
		return 0
	}
	return n
}

// Choice reads one of the values that may be chosen.
func (f *Form) Choice(field string, required bool, values ...string) string {
	s := f.Values.Get(field)
	if s == "" && !required {
		return ""
	}
	if !slices.Contains(values, s) {
		f.Fail(field, "wrong.choice")
		return ""
	}
	return s
}

// Email reads an address of e-mail.
func (f *Form) Email(field string, required bool) string {
	s := f.Text(field, 254, required)
	if s == "" {
		return ""
	}
	name, host, ok := strings.Cut(s, "@")
	if !ok || name == "" || strings.ContainsAny(s, " ,;<>()\"") || !strings.Contains(host, ".") || strings.HasSuffix(host, ".") || strings.Contains(host, "@") {
		f.Fail(field, "wrong.email")
		return ""
	}
	return s
}

// Phone reads a Vietnamese telephone number, or one with its country's code, and
// returns it in E.164: +84905123456.
func (f *Form) Phone(field string, required bool) string {
	s := f.Text(field, 24, required)
	if s == "" {
		return ""
	}
	e164, ok := Phone(s)
	if !ok {
		f.Fail(field, "wrong.phone")
	}
	return e164
}

// Phone returns a telephone number in E.164, as people write it: 0905 123 456,
// +84 905.123.456, 1900 1075.
func Phone(s string) (e164 string, ok bool) {
	var digits strings.Builder
	for i, r := range s {
		switch {
		case r >= '0' && r <= '9', r == '+' && i == 0:
			digits.WriteRune(r)
		case strings.ContainsRune(" .-()", r):
		default:
			return "", false
		}
	}
	d := digits.String()
	switch {
	case strings.HasPrefix(d, "+84") && len(d) >= 11 && len(d) <= 14:
		return d, true
	case strings.HasPrefix(d, "+") && !strings.HasPrefix(d, "+84") && len(d) >= 9 && len(d) <= 16:
		return d, true
	case strings.HasPrefix(d, "0") && (len(d) == 10 || len(d) == 11):
		return "+84" + d[1:], true
	case strings.HasPrefix(d, "1") && (len(d) == 8 || len(d) == 10):
		return "+84" + d, true
	}
	return "", false
}

// ShowPhone returns a number as Vietnamese write it.
func ShowPhone(e164 string) string {
	local, ok := strings.CutPrefix(e164, "+84")
	switch {
	case !ok:
		return e164
	case strings.HasPrefix(local, "1"):
		return local
	}
	local = "0" + local
	if len(local) == 10 {
		return local[:4] + " " + local[4:7] + " " + local[7:]
	}
	return local
}

// A Field is one input of a form, as the parts in parts.html show it. Its label
// is the text "field.NAME", its hint "field.NAME.hint" if there is one.
type Field struct {
	Form  *Form
	Name  string
	Type  string
	Attrs map[string]string
	Label string // key, if it is not that of the name
}

// newField returns a field for a template. Each attribute is "name" or
// "name=value"; "label=key" chooses another label.
func newField(f *Form, name, kind string, attrs ...string) Field {
	if f == nil {
		f = NewForm(nil)
	}
	d := Field{Form: f, Name: name, Type: kind, Attrs: map[string]string{}, Label: "field." + name}
	for _, a := range attrs {
		key, value, _ := strings.Cut(a, "=")
		if key == "label" {
			d.Label = value
			continue
		}
		d.Attrs[key] = value
	}
	return d
}

// Value returns what was filled in.
func (d Field) Value() string { return d.Form.Values.Get(d.Name) }

// Is reports whether value was chosen.
func (d Field) Is(value string) bool { return slices.Contains(d.Form.Values[d.Name], value) }

// Wrong returns what is wrong with the field, or nil.
func (d Field) Wrong() *Wrong {
	for i := range d.Form.Wrong {
		if d.Form.Wrong[i].Field == d.Name {
			return &d.Form.Wrong[i]
		}
	}
	return nil
}

// Has reports whether the field has an attribute.
func (d Field) Has(attr string) bool { _, ok := d.Attrs[attr]; return ok }

// Hint returns the key of the field's hint, or "" if it has none.
func (d Field) Hint() string {
	if key := d.Label + ".hint"; text.Has(key) {
		return key
	}
	return ""
}
