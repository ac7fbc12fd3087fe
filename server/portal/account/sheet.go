package account

import (
	"strings"

	"github.com/qrgate/qrgate/server/portal/page"
)

// A sheet is a page with one form on it.
type sheet struct {
	Title, Intro string // keys
	Args         []any  // of Intro
	Warning      string // key of what to know before
	Form         *page.Form
	Fields       []page.Field
	Hidden       map[string]string
	User         string // whose password is on the form, for what remembers passwords
	Action       string
	Button       string
	Danger       bool
	Back         string // where to go instead; empty for nowhere
	Items        []string
}

// field returns an input of a form. Each attribute is "name" or "name=value".
func field(form *page.Form, name, kind string, attrs ...string) page.Field {
	f := page.Field{Form: form, Name: name, Type: kind, Attrs: map[string]string{}, Label: "field." + name}
	for _, a := range attrs {
		key, value, _ := strings.Cut(a, "=")
		f.Attrs[key] = value
	}
	return f
}

// Inputs that several pages have.
func nameField(form *page.Form) page.Field {
	return field(form, "account_name", "text", "required", "autocomplete=username", "autocapitalize=none", "spellcheck=false", "maxlength=60")
}

func passwordField(form *page.Form) page.Field {
	return field(form, "account_password", "password", "required", "autocomplete=current-password", "maxlength=200")
}

func newPasswordField(form *page.Form) page.Field {
	return field(form, "account_new_password", "password", "required", "autocomplete=new-password", "minlength=8", "maxlength=128")
}

func codeField(form *page.Form) page.Field {
	return field(form, "account_code", "text", "required", "autocomplete=one-time-code", "autocapitalize=characters", "spellcheck=false", "maxlength=60")
}
