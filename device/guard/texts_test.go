package guard_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/device/guard"
	"github.com/qrgate/qrgate/sync/words"
)

// What the page says it says in both languages, with the same placeholders.
func TestTexts(t *testing.T) {
	vi, en := guard.Placeholders(words.Vietnamese), guard.Placeholders(words.English)
	if diff := cmp.Diff(vi, en); diff != "" {
		t.Errorf("Vietnamese and English differ (-vi +en):\n%s", diff)
	}
}
