package register_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/register"
)

func TestPosters(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		lan := w.account("lan")
		org := w.organisation(lan, "Chợ")
		var places []*qrgate.Place
		for i := range 3 {
			places = append(places, w.place(lan, aPlace(org, fmt.Sprintf("Quầy %d", i))))
		}
		next := func(i, version, template int) *register.Poster {
			return &register.Poster{Place: places[i].No, Version: version, Template: template, Name: places[i].Name, Address: "Huế"}
		}
		one := next(0, 0, 0)
		if err := w.MakePosters(ctx, lan, one); err != nil || one.Version != 1 {
			t.Fatalf("MakePosters = %v, version %d", err, one.Version)
		}
		if got, err := w.Posters(ctx, places[0].No); err != nil || len(got) != 1 || cmp.Diff(*one, got[0], cmp.Comparer(time.Time.Equal), cmp.Comparer(func(a, b []string) bool { return len(a) == len(b) })) != "" {
			t.Errorf("Posters = %+v, %v", got, err)
		}
		// All or none.
		if err := w.MakePosters(ctx, lan, next(1, 0, 0), next(0, 0, 0)); !errors.Is(err, qrgate.ErrConflict) {
			t.Errorf("one of them a second time = %v", err)
		}
		if got, err := w.Posters(ctx, places[1].No); err != nil || got != nil {
			t.Errorf("the other was made: %+v, %v", got, err)
		}
		if err := w.MakePosters(ctx, lan, next(0, 255, 0)); !errors.Is(err, register.ErrFull) {
			t.Errorf("version 256 = %v", err)
		}
		var made atomic.Int32
		var making sync.WaitGroup
		for range 4 {
			making.Go(func() {
				if err := w.MakePosters(ctx, lan, next(0, 1, 0)); err == nil {
					made.Add(1)
				} else if !errors.Is(err, qrgate.ErrConflict) {
					t.Error(err)
				}
			})
		}
		making.Wait()
		if made.Load() != 1 {
			t.Errorf("version 2 was made %d times", made.Load())
		}

		first := w.time()
		for _, format := range []string{"a4.pdf", "a4.pdf", "a5.png"} {
			if err := w.PrintedPosters(ctx, lan, format, one); err != nil {
				t.Fatal(err)
			}
			w.pass(time.Hour)
		}
		if got, err := w.Posters(ctx, places[0].No); err != nil || len(got) != 2 || !got[1].Printed.Equal(first) || !cmp.Equal(got[1].Formats, []string{"a4.pdf", "a5.png"}) {
			t.Errorf("printed = %+v, %v", got, err)
		}
		if err := w.PrintedPosters(ctx, lan, "a4.pdf", next(0, 9, 0)); !errors.Is(err, qrgate.ErrNotFound) {
			t.Errorf("printed what there is not = %v", err)
		}

		if err := w.MakePosters(ctx, lan, next(2, 0, 3)); err != nil {
			t.Fatal(err)
		}
		in := register.Within{Organisations: []string{org}}
		all, total, err := w.Postered(ctx, in, 1, 2)
		if err != nil || total != 3 || len(all) != 2 || all[0].Poster != nil || all[1].Poster == nil || all[1].Poster.Template != 3 {
			t.Errorf("Postered = %+v, %d, %v", all, total, err)
		}
		if got, err := w.PosteredAmong(ctx, in, []uint32{places[0].No, 99}); err != nil || len(got) != 1 || got[0].Poster.Version != 2 {
			t.Errorf("PosteredAmong = %+v, %v", got, err)
		}
		if got, err := w.PosteredAmong(ctx, register.Within{}, []uint32{places[0].No}); err != nil || got != nil {
			t.Errorf("PosteredAmong of nobody's = %+v, %v", got, err)
		}
		if got, err := w.ToReprint(ctx, in, 3); err != nil || len(got) != 1 || got[0].Place.No != places[0].No || got[0].Poster.Version != 2 {
			t.Errorf("ToReprint = %+v, %v", got, err)
		}
		is, err := w.Place(ctx, places[0].No)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.DeletePlace(ctx, lan, is.No, is.Version); err != nil {
			t.Fatal(err)
		}
		if got, err := w.ToReprint(ctx, in, 3); err != nil || got != nil {
			t.Errorf("ToReprint of a deleted place = %+v, %v", got, err)
		}
		if err := w.MakePosters(ctx, lan, next(0, 2, 0)); !errors.Is(err, qrgate.ErrNotFound) {
			t.Errorf("poster of a deleted place = %v", err)
		}
	})
}

func TestTemplates(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		admin := w.account("admin")
		if all, err := w.Templates(ctx); err != nil || all != nil {
			t.Fatalf("Templates = %+v, %v", all, err)
		}
		if _, err := w.Template(ctx, 0); !errors.Is(err, qrgate.ErrNotFound) {
			t.Errorf("Template(0) = %v", err)
		}
		one := &register.Template{
			Heading: []register.Bilingual{{VI: "BAN CHỈ ĐẠO", EN: "COMMITTEE"}}, Sentences: []register.Bilingual{{VI: "Xin quét."}}, Controller: "Sở Y tế",
			Notice: register.Bilingual{EN: "more"}, Emblem: []byte("png"), Must: true, Note: "đổi tên",
		}
		if err := w.AddTemplate(ctx, admin, one); err != nil || one.Version != 1 {
			t.Fatalf("AddTemplate = %v, version %d", err, one.Version)
		}
		if got, err := w.Template(ctx, 1); err != nil || cmp.Diff(one, got, cmp.Comparer(time.Time.Equal)) != "" {
			t.Errorf("Template(1) = %+v, %v", got, err)
		}
		if err := w.AddTemplate(ctx, admin, &register.Template{}); !errors.Is(err, qrgate.ErrConflict) {
			t.Errorf("after version 0 = %v", err)
		}
		if err := w.AddTemplate(ctx, admin, &register.Template{Version: 1}); err != nil {
			t.Errorf("after version 1 = %v", err)
		}
		all, err := w.Templates(ctx)
		if err != nil || len(all) != 2 || all[0].Version != 2 || all[1].Emblem != nil || !all[1].Must {
			t.Errorf("Templates = %+v, %v", all, err)
		}
		if got, err := w.Template(ctx, 2); err != nil || got.Emblem != nil {
			t.Errorf("Template(2) = %+v, %v", got, err)
		}
	})
}
