package portal

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/qrgate/qrgate/server/qrgate"
)

// Kinds of error that are the portal's own.
var (
	errMethod = errors.New("method not allowed")
	errBusy   = errors.New("too many streams")
)

// A problem is what somebody is told of an error.
type problem struct {
	Status       int
	Head, HeadEN string
	Do, DoEN     string
	again        time.Duration // when to try again; 0 means that it is of no use
}

var unknown = problem{
	http.StatusInternalServerError, "Máy chủ gặp lỗi", "The server has a fault",
	"Lỗi đã được ghi lại. Xin thử lại sau, hoặc gọi tổng đài.", "It has been noted. Please try again later, or call the help line.", 0,
}

var problems = []struct {
	err error
	problem
}{
	{qrgate.ErrNotFound, problem{
		http.StatusNotFound, "Không có trang này", "There is no such page",
		"Xin kiểm tra lại địa chỉ, hoặc về trang đầu.", "Please check the address, or go to the first page.", 0,
	}},
	{errMethod, problem{
		http.StatusMethodNotAllowed, "Trang này chỉ để xem", "This page can only be looked at",
		"Máy chủ không nhận dữ liệu gửi đến đây.", "The server takes nothing that is sent here.", 0,
	}},
	{errBusy, problem{
		http.StatusServiceUnavailable, "Đang có quá nhiều người xem", "Too many people are watching",
		"Xin thử lại sau một phút.", "Please try again in a minute.", time.Minute,
	}},
	// The viewer has gone, or the server is about to.
	{context.Canceled, problem{
		http.StatusServiceUnavailable, "Máy chủ đang khởi động lại", "The server is restarting",
		"Lượt quét ở cửa không mất. Xin thử lại sau một phút.", "No check-in at a door is lost. Please try again in a minute.", time.Minute,
	}},
	{errUnread, problem{
		http.StatusServiceUnavailable, "Chưa đọc được số liệu", "The figures cannot be read now",
		"Lượt quét ở cửa không mất. Trang sẽ có lại khi cơ sở dữ liệu trả lời.", "No check-in at a door is lost. The page returns when the database answers.", 5 * time.Second,
	}},
}

// fail answers a request with what its error means to people.
func (p *portal) fail(w http.ResponseWriter, r *http.Request, err error) {
	told := unknown
	known := false
	for _, k := range problems {
		if errors.Is(err, k.err) {
			told, known = k.problem, true
			break
		}
	}
	if !known {
		p.log.Error("request failed", "path", r.URL.Path, "err", err)
	}
	if told.again > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(told.again.Seconds())))
	}
	var page bytes.Buffer
	if err := p.pages.ExecuteTemplate(&page, "error.html", struct {
		problem
		HelpLine string
	}{told, p.helpLine}); err != nil {
		p.log.Error("error page not made", "err", err)
		http.Error(w, told.HeadEN, told.Status)
		return
	}
	writePage(w, told.Status, page.Bytes())
}
