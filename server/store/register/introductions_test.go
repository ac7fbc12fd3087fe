package register_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/register"
)

func TestIntroductions(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		lan := w.account("lan")
		org := w.organisation(lan, "Chợ")
		p, bare := w.place(lan, aPlace(org, "Chợ Đông Ba")), w.place(lan, aPlace(org, "Kho"))
		if in, err := w.Introduction(ctx, p.No); err != nil || in.Version != 0 || in.Shown {
			t.Fatalf("before it was written = %+v, %v", in, err)
		}
		if err := w.ShowIntroduction(ctx, lan, p.No, true); !errors.Is(err, qrgate.ErrNotFound) {
			t.Errorf("show what was never written = %v", err)
		}
		in := &register.Introduction{
			Place: p.No, About: "Chợ lớn nhất Huế.\n\nMời vào.", Phone: "+842343822123", Email: "cho@dongba.vn",
			Offers: []register.Offer{{Name: "Nón lá", Price: 45000, Note: "bài thơ", Link: "https://dongba.vn/non"}, {Name: "Mè xửng", Terms: "thỏa thuận"}},
			Links:  []register.WebLink{{Title: "Trang nhà", URL: "https://dongba.vn"}},
		}
		first := *in
		if err := w.SaveIntroduction(ctx, lan, in); err != nil || in.Version != 1 {
			t.Fatalf("SaveIntroduction = %v, version %d", err, in.Version)
		}
		if got, err := w.Introduction(ctx, p.No); err != nil || cmp.Diff(in, got, cmp.Comparer(time.Time.Equal)) != "" {
			t.Errorf("Introduction = %+v, %v", got, err)
		}
		if err := w.SaveIntroduction(ctx, lan, &first); !errors.Is(err, qrgate.ErrConflict) {
			t.Errorf("a second first = %v", err)
		}
		old := *in
		if err := w.SaveIntroduction(ctx, lan, in); err != nil || in.Version != 2 {
			t.Errorf("second = %v, version %d", err, in.Version)
		}
		if err := w.SaveIntroduction(ctx, lan, &old); !errors.Is(err, qrgate.ErrConflict) {
			t.Errorf("of an older version = %v", err)
		}

		all, err := w.Introduced(ctx, register.Within{Organisations: []string{org}})
		if err != nil || len(all) != 2 || all[0].Introduction != nil {
			t.Errorf("Introduced of a draft = %+v, %v", all, err)
		}
		for range 2 { // the second changes nothing
			if err := w.ShowIntroduction(ctx, lan, p.No, true); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.AddPicture(ctx, lan, &register.Picture{Place: p.No, Title: "Cổng", Width: 4, Height: 3, JPEG: []byte("jpeg")}); err != nil {
			t.Fatal(err)
		}
		all, err = w.Introduced(ctx, register.Within{All: true})
		if err != nil || len(all) != 2 || all[0].Introduction == nil || all[0].Pictures != 1 || len(all[0].Introduction.Offers) != 2 || all[1].Place.No != bare.No || all[1].Introduction != nil {
			t.Errorf("Introduced = %+v, %v", all, err)
		}
		if all, err := w.Introduced(ctx, register.Within{Sectors: []string{"tourism"}}); err != nil || all != nil {
			t.Errorf("Introduced elsewhere = %+v, %v", all, err)
		}
		rows := 0
		err = w.Audit(ctx, register.AuditQuery{Action: "show introduction"}, 0, 10, func(register.AuditRow) error { rows++; return nil })
		if err != nil || rows != 1 {
			t.Errorf("%d audit rows, %v", rows, err)
		}
	})
}

func TestPictures(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		lan := w.account("lan")
		org := w.organisation(lan, "Chợ")
		p, other := w.place(lan, aPlace(org, "Chợ Đông Ba")), w.place(lan, aPlace(org, "Kho"))
		titles := func() string {
			in, err := w.Introduction(ctx, p.No)
			if err != nil {
				t.Fatal(err)
			}
			s := ""
			for _, c := range in.Pictures {
				s += c.Title
			}
			return s
		}
		// As many at once as there may not be.
		var full atomic.Int32
		var adding sync.WaitGroup
		for range register.MaxPictures + 3 {
			adding.Go(func() {
				err := w.AddPicture(ctx, lan, &register.Picture{Place: p.No, Title: "x", Width: 1, Height: 1, JPEG: []byte{1}})
				if errors.Is(err, register.ErrFull) {
					full.Add(1)
				} else if err != nil {
					t.Error(err)
				}
			})
		}
		adding.Wait()
		if full.Load() != 3 || titles() != "xxxxxxxx" {
			t.Errorf("%d were refused, pictures %q", full.Load(), titles())
		}
		in, err := w.Introduction(ctx, p.No)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range in.Pictures[3:] {
			if err := w.DeletePicture(ctx, lan, p.No, c.ID); err != nil {
				t.Fatal(err)
			}
		}
		for i, title := range []string{"a", "b", "c"} {
			if err := w.NamePicture(ctx, lan, p.No, in.Pictures[i].ID, title); err != nil {
				t.Fatal(err)
			}
		}
		for i, want := range []string{"abc", "bac", "bca"} {
			if err := w.RaisePicture(ctx, lan, p.No, in.Pictures[i].ID); err != nil || titles() != want {
				t.Errorf("after raising %d = %q, %v, want %q", i, titles(), err, want)
			}
		}
		id := in.Pictures[0].ID
		for what, err := range map[string]error{
			"name": w.NamePicture(ctx, lan, other.No, id, "z"), "raise": w.RaisePicture(ctx, lan, other.No, id), "delete": w.DeletePicture(ctx, lan, other.No, id),
		} {
			if !errors.Is(err, qrgate.ErrNotFound) {
				t.Errorf("%s as of another place = %v", what, err)
			}
		}
		if c, err := w.Picture(ctx, id, false); err != nil || c.Place != p.No || string(c.JPEG) != "\x01" {
			t.Errorf("Picture = %+v, %v", c, err)
		}
		public := func() error { _, err := w.Picture(ctx, id, true); return err }
		if err := public(); !errors.Is(err, qrgate.ErrNotFound) {
			t.Errorf("without introduction = %v", err)
		}
		if err := w.SaveIntroduction(ctx, lan, &register.Introduction{Place: p.No}); err != nil {
			t.Fatal(err)
		}
		if err := w.ShowIntroduction(ctx, lan, p.No, true); err != nil || public() != nil {
			t.Errorf("of a public introduction = %v, %v", err, public())
		}
		if err := w.DeletePlace(ctx, lan, p.No, p.Version); err != nil || !errors.Is(public(), qrgate.ErrNotFound) {
			t.Errorf("of a deleted place = %v, %v", err, public())
		}
	})
}
