package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// A contract is openapi.json, and what of it has been seen to be true.
type contract struct {
	root map[string]any
	seen map[string]bool // "POST /v1/checkins 201"
}

func readContract(t testing.TB) *contract {
	t.Helper()
	b, err := os.ReadFile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	c := &contract{seen: map[string]bool{}}
	if err := json.Unmarshal(b, &c.root); err != nil {
		t.Fatal(err)
	}
	return c
}

// at follows names into the contract.
func at(v any, names ...string) any {
	for _, n := range names {
		m, _ := v.(map[string]any)
		v = m[n]
	}
	return v
}

// check checks an answer against what is documented of its request.
func (c *contract) check(t testing.TB, r *http.Request, resp *http.Response, v any) {
	t.Helper()
	status := strconv.Itoa(resp.StatusCode)
	kind := resp.Header.Get("Content-Type")
	path := c.pathOf(r.URL.Path)
	responses, _ := at(c.root, "paths", path, strings.ToLower(r.Method), "responses").(map[string]any)
	if responses == nil { // no such operation: still a problem, as all are
		if kind != "application/problem+json" {
			t.Errorf("%s %s = %s of %s", r.Method, r.URL.Path, status, kind)
		}
		c.valid(t, status, map[string]any{"$ref": "#/components/schemas/Problem"}, v, "answer")
		return
	}
	schema := at(responses, status, "content", kind, "schema")
	if schema == nil {
		t.Errorf("%s %s: %s of %s is not documented", r.Method, path, status, kind)
		return
	}
	for name := range asMap(at(responses, status, "headers")) {
		if resp.Header.Get(name) == "" {
			t.Errorf("%s %s = %s without the header %s", r.Method, path, status, name)
		}
	}
	c.seen[r.Method+" "+path+" "+status] = true
	c.valid(t, r.Method+" "+path+" "+status, asMap(schema), v, "answer")
	if kind == "application/problem+json" && at(v, "status") != float64(resp.StatusCode) {
		t.Errorf("%s %s = %s with a problem of status %v", r.Method, path, status, at(v, "status"))
	}
}

func (c *contract) pathOf(path string) string {
	path = strings.TrimPrefix(path, "/api")
	if strings.HasPrefix(path, "/v1/places/") {
		return "/v1/places/{code}"
	}
	return path
}

// complete reports what is documented and never happened.
func (c *contract) complete(t *testing.T) {
	t.Helper()
	for path, item := range asMap(c.root["paths"]) {
		for method, operation := range asMap(item) {
			for status := range asMap(at(operation, "responses")) {
				if what := strings.ToUpper(method) + " " + path + " " + status; !c.seen[what] {
					t.Errorf("%s is documented, and nothing makes it happen", what)
				}
			}
		}
	}
}

func asMap(v any) map[string]any { m, _ := v.(map[string]any); return m }

// keywords are those of JSON Schema that valid knows. Another one in the contract
// would check nothing, so it is an error.
var keywords = []string{
	"$ref", "type", "required", "properties", "additionalProperties", "items", "maxItems", "enum", "pattern", "format", "minLength", "maxLength",
	"minimum", "maximum", "description", "default", "oneOf", "anyOf",
}

// valid checks a value against a schema.
func (c *contract) valid(t testing.TB, what string, schema map[string]any, v any, where string) {
	t.Helper()
	bad := func(format string, args ...any) {
		t.Helper()
		t.Errorf("%s: %s %s", what, where, fmt.Sprintf(format, args...))
	}
	for k := range schema {
		if !slices.Contains(keywords, k) {
			bad("has a schema with %q, which nothing checks", k)
		}
	}
	if ref, ok := schema["$ref"].(string); ok {
		found := at(c.root, strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
		if found == nil {
			bad("refers to %s, which is not there", ref)
			return
		}
		c.valid(t, what, asMap(found), v, where)
		return
	}
	if enum, ok := schema["enum"].([]any); ok && !slices.Contains(enum, v) {
		bad("is %v, want one of %v", v, enum)
	}
	switch kind := schema["type"]; kind {
	case "object":
		m, ok := v.(map[string]any)
		if !ok {
			bad("is %T, want an object", v)
			return
		}
		required, _ := schema["required"].([]any)
		for _, name := range required {
			if _, ok := m[name.(string)]; !ok {
				bad("lacks %v", name)
			}
		}
		properties := asMap(schema["properties"])
		for name, value := range m {
			if of, ok := properties[name]; ok {
				c.valid(t, what, asMap(of), value, where+"."+name)
			} else if properties != nil {
				bad("has %s, which is not documented", name)
			}
		}
	case "array":
		all, ok := v.([]any)
		if !ok {
			bad("is %T, want an array", v)
		}
		for i, value := range all {
			c.valid(t, what, asMap(schema["items"]), value, fmt.Sprintf("%s[%d]", where, i))
		}
	case "string":
		s, ok := v.(string)
		if !ok {
			bad("is %T, want a string", v)
			return
		}
		if p, ok := schema["pattern"].(string); ok && !regexp.MustCompile(p).MatchString(s) {
			bad("is %q, want %s", s, p)
		}
		if n, ok := schema["minLength"].(float64); ok && utf8.RuneCountInString(s) < int(n) {
			bad("is %q, want %v characters", s, n)
		}
		if schema["format"] == "date-time" {
			if _, err := time.Parse(time.RFC3339, s); err != nil {
				bad("is no time: %v", err)
			}
		}
	case "integer", "number":
		n, ok := v.(float64)
		if !ok || kind == "integer" && n != float64(int64(n)) {
			bad("is %v, want a number of type %v", v, kind)
			return
		}
		if least, ok := schema["minimum"].(float64); ok && n < least {
			bad("is %v, want %v at least", n, least)
		}
		if most, ok := schema["maximum"].(float64); ok && n > most {
			bad("is %v, want %v at most", n, most)
		}
	case nil:
	default:
		bad("has a schema of type %v, which nothing checks", kind)
	}
}
