package place_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/portal/place"
	"github.com/qrgate/qrgate/server/qrgate"
)

func TestHours(t *testing.T) {
	const weekdays, weekend = 0b0111110, 0b1000001
	for text, want := range map[string][]qrgate.Hours{
		"T2-T6 07:00-17:00; T7,CN cả ngày":    {{Days: weekdays, Open: 420, Close: 1020}, {Days: weekend}},
		"Hằng ngày 5h30 - 19h":                {{Days: qrgate.EveryDay, Open: 330, Close: 1140}},
		"18:00-02:00":                         {{Days: qrgate.EveryDay, Open: 1080, Close: 120}},
		"Thứ 2, chủ nhật 00:00-24:00":         {{Days: 0b11}},
		"Mon-Fri 7:00–17:00; Sat,Sun all day": {{Days: weekdays, Open: 420, Close: 1020}, {Days: weekend}},
		"":                                    nil,
	} {
		got, err := place.ReadHours(text)
		if err != nil || !cmp.Equal(got, want) {
			t.Errorf("ReadHours(%q) = %+v, %v, want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"x", "T9 07:00-08:00", "25:00-26:00", "07:00", "T6-T2 07:00-08:00", "07:60-08:00", "a b c", "-1:00-2:00"} {
		if got, err := place.ReadHours(text); !errors.Is(err, qrgate.ErrInvalid) {
			t.Errorf("ReadHours(%q) = %+v, %v", text, got, err)
		}
	}
	if got := place.WriteHours([]qrgate.Hours{{Days: weekdays, Open: 420, Close: 1020}, {Days: weekend}}); got != "T2-T6 07:00-17:00; T7,CN cả ngày" {
		t.Errorf("WriteHours = %q", got)
	}
}

func FuzzHours(f *testing.F) {
	f.Fuzz(func(t *testing.T, text string) {
		all, err := place.ReadHours(text)
		if err != nil {
			if !errors.Is(err, qrgate.ErrInvalid) {
				t.Errorf("ReadHours(%q) error = %v", text, err)
			}
			return
		}
		for _, h := range all { // all day is written in one way only
			if h.Days == 0 || h.Open < 0 || h.Open >= 1440 || h.Close < 0 || h.Close >= 1440 {
				t.Fatalf("ReadHours(%q) = %+v", text, all)
			}
		}
		written := place.WriteHours(all)
		again, err := place.ReadHours(written)
		if err != nil || place.WriteHours(again) != written || len(again) != len(all) {
			t.Errorf("%+v is written %q and read %+v, %v", all, written, again, err)
		}
	})
}

func FuzzSheet(f *testing.F) {
	f.Fuzz(func(t *testing.T, body []byte) {
		rows, longest, err := place.ReadSheet(body)
		if err != nil && !errors.Is(err, qrgate.ErrInvalid) {
			t.Errorf("ReadSheet error = %v", err)
		}
		if rows > place.MaxRows || longest > place.MaxCell {
			t.Errorf("ReadSheet = %d rows, a cell of %d", rows, longest)
		}
	})
}
