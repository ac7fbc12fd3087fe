package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/qrgate/qrgate/device/screen"
	"github.com/qrgate/qrgate/sync/words"
)

func TestTheDoorIsAskedHowItIs(t *testing.T) {
	for name, tt := range map[string]struct {
		answer func(w http.ResponseWriter)
		want   screen.Brief
		ok     bool
	}{
		"a door":      {func(w http.ResponseWriter) { screen.Brief{State: words.Ready, Help: "1900"}.Write(w) }, screen.Brief{State: words.Ready, Help: "1900"}, true},
		"first start": {func(w http.ResponseWriter) { screen.Brief{}.Write(w) }, screen.Brief{}, true},
		"too late":    {func(w http.ResponseWriter) { http.Error(w, "no", http.StatusServiceUnavailable) }, screen.Brief{}, false},
		"another":     {func(w http.ResponseWriter) { fmt.Fprint(w, "<html>") }, screen.Brief{}, false},
		"endless":     {func(w http.ResponseWriter) { fmt.Fprint(w, `{"help":"`+strings.Repeat("9", 1<<20)+`"}`) }, screen.Brief{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/brief" {
					http.NotFound(w, r)
					return
				}
				tt.answer(w)
			}))
			defer srv.Close()
			if got, err := askDoor(t.Context(), srv.URL+"/"); got != tt.want || (err == nil) != tt.ok {
				t.Errorf("askDoor = %+v, %v, want %+v, ok %v", got, err, tt.want, tt.ok)
			}
		})
	}
	if _, err := askDoor(t.Context(), "http://127.0.0.1:1/"); err == nil {
		t.Error("askDoor of nobody = nil")
	}
}
