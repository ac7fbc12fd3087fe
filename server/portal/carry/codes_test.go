package carry_test

import (
	"bytes"
	"image/gif"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/ingest"
	"github.com/qrgate/qrgate/server/portal/carry"
	"github.com/qrgate/qrgate/server/portal/pagetest"
	"github.com/qrgate/qrgate/sync/deliver"
	"github.com/qrgate/qrgate/sync/reel"
)

// What goes back as codes leaves out what is too long and nothing else, and the page
// names what that is.
func TestWhatIsTooLongForCodesHidesNothingElse(t *testing.T) {
	const noList, noEvents = "Danh sách thẻ đã hủy dài quá", "sự kiện lớn quá"
	newest, small, large := []byte("newest"), []byte("small"), bytes.Repeat([]byte("large"), 4<<10)
	for name, tt := range map[string]struct {
		beside ingest.Beside
		want   []string
		said   string
	}{
		"all fits": {ingest.Beside{Newest: newest, List: [][]byte{small}, Events: [][]byte{small}}, []string{"newest", "small", "small"}, ""},
		"a large event": {ingest.Beside{Newest: newest, List: [][]byte{small, small}, Events: [][]byte{large, []byte("event")}},
			[]string{"newest", "small", "small", "event"}, noEvents},
		"a long list": {ingest.Beside{Newest: newest, List: [][]byte{small, large}, Events: [][]byte{[]byte("event")}}, []string{"newest", "event"}, noList},
		"no list":     {ingest.Beside{Events: [][]byte{small}}, []string{"small"}, ""},
	} {
		w, in := newWorld(t)
		in.c, in.beside = ingest.Carried{Batches: 1}, tt.beside
		_, body, _ := w.Upload("admin", at, "carry.file", bundle(t, batch), nil)
		for _, sentence := range []string{noList, noEvents} {
			if said := strings.Contains(body, sentence); said != (sentence == tt.said) {
				t.Errorf("%s: it is said %q: %t", name, sentence, said)
			}
		}
		if diff := cmp.Diff(append([]string{"keys", "a receipt", "settings"}, tt.want...), filmed(t, w.Get)); diff != "" {
			t.Errorf("%s: the codes (-want +got):\n%s", name, diff)
		}
	}
}

// filmed returns what the codes that go back hold.
func filmed(t *testing.T, get func(who, path string) (int, string, http.Header)) (all []string) {
	t.Helper()
	_, body, _ := get("admin", at+"/bien-nhan/ma?may="+gate)
	film, err := gif.DecodeAll(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	var reader reel.Reader
	for _, screen := range film.Image {
		code, err := carry.Look(bytes.NewReader(pagetest.PNG(t, screen)))
		if err != nil {
			t.Fatal(err)
		}
		whole, err := reader.Add(code)
		if err != nil {
			t.Fatal(err)
		}
		if whole == nil {
			continue
		}
		got, err := deliver.ReadReceipts(bytes.NewReader(whole), gate)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range got {
			all = append(all, string(e))
		}
	}
	return all
}
