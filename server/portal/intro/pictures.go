package intro

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/qrgate/qrgate/server/portal/page"
	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/store/register"
)

// An album is the page of an introduction's pictures.
type album struct {
	Place        *qrgate.Place
	Introduction *register.Introduction
	Form         *page.Form
	Own          string // where the pictures' addresses begin
	Full         bool
	Most         int
	Tab          string
	MayWrite     bool
	Public       string
}

func (x *Intro) renderPictures(w http.ResponseWriter, r *http.Request, v *page.View, p *qrgate.Place, status int, f *page.Form) error {
	in, err := x.reg.Introduction(r.Context(), p.No)
	if err != nil {
		return err
	}
	return v.RenderStatus(w, status, "intro_pictures", album{
		Place: p, Introduction: in, Form: f, Own: ownPath(p) + "/anh/", Full: len(in.Pictures) >= register.MaxPictures, Most: register.MaxPictures,
		Tab: "pictures", MayWrite: true, Public: x.f.Base() + publicPath(p.No),
	})
}

// pictures shows the pictures, to name, move and delete them and to add one.
func (x *Intro) pictures(w http.ResponseWriter, r *http.Request, v *page.View) error {
	p, err := v.Place(writes, sees)
	if err != nil {
		return err
	}
	return x.renderPictures(w, r, v, p, http.StatusOK, page.NewForm(nil))
}

// waitFor is how long a picture waits for those before it.
const waitFor = 15 * time.Second

// addPicture takes in a picture.
func (x *Intro) addPicture(w http.ResponseWriter, r *http.Request, v *page.View) error {
	p, err := v.Place(writes, sees)
	if err != nil {
		return err
	}
	f, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	pic := &register.Picture{Place: p.No, Title: f.Text("picture_title", 100, true)}
	file, err := fileOf(r, "picture_file")
	switch {
	case err != nil:
		return err
	case len(file) == 0:
		f.Fail("picture_file", "intro.wrong.no_file")
	case len(file) > maxPicture:
		f.Fail("picture_file", "intro.wrong.large_picture", "most", maxPicture>>20)
	}
	if f.OK() {
		ctx, cancel := context.WithTimeout(r.Context(), waitFor)
		pic.JPEG, pic.Width, pic.Height, err = Shrink(ctx, file)
		cancel()
		switch {
		case errors.Is(err, errManyPixels):
			f.Fail("picture_file", "intro.wrong.many_pixels", "most", maxPixels/1_000_000)
		case errors.Is(err, errNoPicture):
			f.Fail("picture_file", "intro.wrong.picture")
		case errors.Is(err, context.DeadlineExceeded):
			return page.Busy{Err: err, After: waitFor}
		case err != nil:
			return err
		}
	}
	if f.OK() {
		err := x.reg.AddPicture(r.Context(), v.Who.Account.ID, pic)
		if errors.Is(err, register.ErrFull) {
			f.Fail("picture_file", "intro.wrong.many_pictures", "most", register.MaxPictures)
		} else if err != nil {
			return err
		}
	}
	if !f.OK() {
		return x.renderPictures(w, r, v, p, http.StatusUnprocessableEntity, f)
	}
	return v.Go(w, ownPath(p)+"/anh", "intro.picture_added")
}

// fileOf returns a file of a form, nil if there is none.
func fileOf(r *http.Request, field string) ([]byte, error) {
	file, _, err := r.FormFile(field)
	if errors.Is(err, http.ErrMissingFile) || errors.Is(err, http.ErrNotMultipart) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("intro: file: %w: %w", qrgate.ErrInvalid, err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxPicture+1))
	if err != nil {
		return nil, fmt.Errorf("intro: file: %w", err)
	}
	return data, nil
}

// changePicture names, moves or deletes a picture.
func (x *Intro) changePicture(w http.ResponseWriter, r *http.Request, v *page.View) error {
	p, err := v.Place(writes, sees)
	if err != nil {
		return err
	}
	f, err := page.ReadForm(r)
	if err != nil {
		return err
	}
	by, id, ctx := v.Who.Account.ID, page.ID(r), r.Context()
	do := f.Values.Get("do") // of a button, not of people
	if !slices.Contains([]string{"name", "up", "delete"}, do) {
		return qrgate.ErrInvalid
	}
	var title string
	if do == "name" {
		title = f.Text("picture_title", 100, true)
	}
	if !f.OK() {
		return x.renderPictures(w, r, v, p, http.StatusUnprocessableEntity, f)
	}
	notice := "intro.picture_" + do
	switch do {
	case "name":
		err = x.reg.NamePicture(ctx, by, p.No, id, title)
	case "up":
		err = x.reg.RaisePicture(ctx, by, p.No, id)
	case "delete":
		err = x.reg.DeletePicture(ctx, by, p.No, id)
	}
	if err != nil {
		return err
	}
	return v.Go(w, ownPath(p)+"/anh", notice)
}

// ownPicture is a picture for who may see the place.
func (x *Intro) ownPicture(w http.ResponseWriter, r *http.Request, v *page.View) error {
	p, err := v.Place(sees, sees)
	if err != nil {
		return err
	}
	pic, err := x.reg.Picture(r.Context(), page.ID(r), false)
	if err != nil {
		return err
	}
	if pic.Place != p.No {
		return qrgate.ErrNotFound
	}
	servePicture(w, r, pic, "private, max-age=3600")
	return nil
}

// publicPicture is a picture of a public page. Its id never means another.
func (x *Intro) publicPicture(w http.ResponseWriter, r *http.Request, _ *page.View) error {
	pic, err := x.reg.Picture(r.Context(), page.ID(r), true)
	if err != nil {
		return err
	}
	servePicture(w, r, pic, "public, max-age=86400")
	return nil
}

func servePicture(w http.ResponseWriter, r *http.Request, pic *register.Picture, cache string) {
	h := w.Header()
	h.Set("Content-Type", "image/jpeg")
	h.Set("Cache-Control", cache)
	h.Set("ETag", `"`+pic.ID+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(pic.JPEG))
}
