package update_test

import (
	"testing"

	"github.com/qrgate/qrgate/device/update"
)

// FuzzRefresh puts bytes of anybody's into a repository whose other files are good.
func FuzzRefresh(f *testing.F) {
	base := newRepo(f)
	base.release("1.1.0", program(11))
	names := []string{"timestamp.json", "2.snapshot.json", "2.targets.json", "2.root.json"}
	for i, name := range names {
		if b := base.content(name); b != nil {
			f.Add(uint8(i), b)
		}
		f.Add(uint8(i), []byte(`{"signed":{"_type":"root","roles":{"root":null},"keys":{"a":null}},"signatures":[null]}`))
		f.Add(uint8(i), []byte(`{"signed":{"_type":"timestamp","meta":{"snapshot.json":null}},"signatures":[]}`))
	}
	f.Fuzz(func(t *testing.T, which uint8, b []byte) {
		r := newRepo(t)
		r.release("1.1.0", program(11))
		name := names[int(which)%len(names)]
		r.file(name, b)
		k := newKiosk(t, r)
		found, err := k.Find(t.Context(), memory{r}, k.ask)
		// Other spaces in a signed document are the same document.
		if err == nil && found.Version != "1.1.0" {
			t.Fatalf("%s of %d bytes that nobody signed is believed: %+v", name, len(b), found)
		}
		if err != nil && update.Why(err) == "" {
			t.Fatalf("%v has no reason", err)
		}
	})
}
