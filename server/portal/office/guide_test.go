package office_test

import (
	"strings"
	"testing"
)

func TestGuide(t *testing.T) {
	w := newWorld(t)
	b := w.stranger()
	index := b.get("/huong-dan")
	index.want(t, "guide", 200, "19001075")
	for _, slug := range []string{"nguoi-den", "chu-dia-diem", "nhan-vien", "can-bo", "quan-tri"} {
		if !strings.Contains(index.body, `href="/huong-dan/`+slug+`"`) {
			t.Errorf("no link to %s", slug)
		}
		a := b.get("/huong-dan/" + slug)
		a.want(t, slug, 200, "19001075")
		if n := strings.Count(a.body, `class="office-no"`); n < 4 {
			t.Errorf("%s has %d steps", slug, n)
		}
	}
	for _, slug := range []string{"x", "%ff", "..%2f"} {
		b.get("/huong-dan/"+slug).want(t, slug, 404)
	}
}
