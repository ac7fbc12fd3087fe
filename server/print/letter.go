package print

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"
)

// A Letter tells somebody that they may have been where a person was who is
// being looked after, and whom to call. It names neither that person nor what
// they have: whoever opens it by mistake learns nothing of anybody's health.
type Letter struct {
	Name    string   // of whom it is for
	Address []string // lines, as on an envelope; at most four are shown
	Code    string   // by which the office finds the letter when its reader calls
	Child   bool     // it is for the guardian
	// Where and when the reader was, which is left out where the law does not
	// allow it or nobody needs it.
	Place string
	Day   time.Time
	Test  bool // the reader is asked to have a test
}

// Letters are what all letters that are printed together have in common.
type Letters struct {
	Office   string // that writes
	Return   string // its address, small above the reader's
	HelpLine string
	Title    string // of the file
	Written  time.Time
}

// The window of an envelope is 20 mm from the left edge and 45 mm from the upper
// one of a sheet that is folded twice, which leaves nothing but the address in
// sight.
const (
	letterLeft   = 25.0
	letterWidth  = 160.0
	windowLeft   = 23.0
	windowTop    = 46.0
	windowWidth  = 82.0
	windowHeight = 41.0
	firstFold    = 105.0
	secondFold   = 210.0
	letterBottom = 272.0
)

// Notices writes letters as one PDF, a page each, as they come: of thousands it
// holds one at a time. An error that comes instead of a letter ends it.
func Notices(w io.Writer, k Letters, letters iter.Seq2[*Letter, error]) error {
	var d drawing
	out := newPDFStream(w, &d.setter)
	n := 0
	for l, err := range letters {
		if err != nil {
			return err
		}
		d.canvas = canvas{width: sizeA4.width, height: sizeA4.height}
		d.letterPage(&k, l)
		out.page(out.draw(&d.canvas), d.width, d.height)
		n++
	}
	if n == 0 {
		return errors.New("print: no letters")
	}
	if err := out.close(k.Title, k.Written, false); err != nil {
		return fmt.Errorf("print: letters: %w", err)
	}
	return nil
}

func (d *drawing) letterPage(k *Letters, l *Letter) {
	mark(&d.canvas, letterLeft, 17, 12.0/12, brand, white)
	d.middle(k.Office, letterLeft+16, 15, letterWidth-16, 10, style{face: bold, size: 13 * pt, least: 8 * pt, colour: ink}, left)
	if k.HelpLine != "" {
		d.middle(helpTag.VI+" · "+helpTag.EN+": "+k.HelpLine, letterLeft+16, 24, letterWidth-16, 6, style{size: 9.5 * pt, least: 7 * pt, colour: soft}, left)
	}
	d.envelope(k, l)
	for _, y := range []float64{firstFold, secondFold} {
		d.fill(grey, rect(5, y-0.1, 5, 0.2))
	}
	// Everything below lies under the first fold, which the window does not show.
	d.set(fmt.Sprintf("Ngày %s", k.Written.Format("02/01/2006")), letterLeft, 95, letterWidth, 6, style{size: 10.5 * pt, least: 8 * pt, colour: ink}, right)
	if l.Code != "" {
		d.set("Mã thư: "+l.Code, letterLeft, 95, letterWidth/2, 6, style{size: 10.5 * pt, least: 8 * pt, colour: ink}, left)
	}
	y := 110.0
	y = d.set(letterHead.VI, letterLeft, y, letterWidth, 16, style{face: bold, size: 16 * pt, least: 12 * pt, leading: 1.2, colour: brand}, left)
	y = d.set(letterHead.EN, letterLeft, y, letterWidth, 8, style{size: 10 * pt, least: 8 * pt, colour: soft}, left) + 4
	said := l.says(k)
	for i, paragraph := range said.vi {
		st := style{size: 11.5 * pt, least: 8.5 * pt, leading: 1.35, colour: ink}
		switch i {
		case said.ask:
			st.face = bold
		case len(said.vi) - 1:
			st = style{size: 9 * pt, least: 7 * pt, leading: 1.3, colour: soft}
		}
		y = d.set(paragraph, letterLeft, y, letterWidth, letterBottom-24-y, st, left) + 2.6
	}
	d.fill(grey, rect(letterLeft, y+0.6, letterWidth, 0.2))
	d.set(said.en, letterLeft, y+3, letterWidth, letterBottom+12-y, style{size: 9 * pt, least: 6.5 * pt, leading: 1.3, colour: soft}, left)
}

// envelope draws what is seen through the window.
func (d *drawing) envelope(k *Letters, l *Letter) {
	y := windowTop
	if k.Return != "" {
		d.set(k.Return, windowLeft, y, windowWidth, 4, style{size: 7 * pt, least: 5 * pt, colour: soft}, left)
		d.fill(grey, rect(windowLeft, y+4.4, windowWidth, 0.2))
	}
	y += 7.5
	rows := append([]string{l.Name}, l.Address[:min(len(l.Address), 4)]...)
	height := (windowHeight - 7.5) / float64(len(rows))
	for i, row := range rows {
		st := style{size: 11.5 * pt, least: 7 * pt, leading: 1.15, colour: ink}
		if i == 0 {
			st.face = bold
		}
		y = d.set(row, windowLeft, y, windowWidth, min(height, 13), st, left) + 0.6
	}
}

var letterHead = Text{"Thông báo về sức khỏe của bạn", "A notice about your health"}

// said is what a letter says. Its last Vietnamese paragraph is of rights, and ask
// is the one with what to do.
type said struct {
	vi  []string
	ask int
	en  string
}

func (l *Letter) says(k *Letters) said {
	name := strings.TrimSpace(l.Name)
	vi := []string{"Kính gửi ông/bà " + name + ","}
	en := []string{"Dear " + name + ","}
	if name == "" {
		vi, en = []string{"Kính gửi ông/bà,"}, []string{"Dear reader,"}
	}
	who, whoEN := "ông/bà", "you"
	if l.Child {
		who, whoEN = "cháu mà ông/bà giám hộ", "the child in your care"
	}
	switch day := l.Day.Format("02/01/2006"); {
	case !l.Day.IsZero() && l.Place != "":
		vi = append(vi, fmt.Sprintf("Ngày %s, tại %s, %s có thể đã ở gần một người đang được ngành y tế theo dõi.", day, l.Place, who))
		en = append(en, fmt.Sprintf("On %s, at %s, %s may have been near a person who is now being looked after by the health service.", day, l.Place, whoEN))
	case !l.Day.IsZero():
		vi = append(vi, fmt.Sprintf("Ngày %s, %s có thể đã ở gần một người đang được ngành y tế theo dõi.", day, who))
		en = append(en, fmt.Sprintf("On %s, %s may have been near a person who is now being looked after by the health service.", day, whoEN))
	default:
		vi = append(vi, fmt.Sprintf("Gần đây, %s có thể đã ở gần một người đang được ngành y tế theo dõi.", who))
		en = append(en, fmt.Sprintf("Lately, %s may have been near a person who is now being looked after by the health service.", whoEN))
	}
	vi = append(vi, "Điều đó không có nghĩa là có bệnh. Đây không phải là lỗi của ai và không ai bị phạt.")
	en = append(en, "This does not mean that anybody is ill. It is nobody's fault, and nobody is fined.")
	ask, askEN := "Xin gọi cho chúng tôi", "Please call us"
	if k.HelpLine != "" {
		ask, askEN = "Xin gọi số "+strings.ReplaceAll(k.HelpLine, " ", string(nbsp)), "Please call "+k.HelpLine
	}
	if l.Code != "" {
		ask, askEN = ask+" và đọc mã thư "+l.Code, askEN+" and say the letter's code "+l.Code
	}
	asked := len(vi)
	vi = append(vi, ask+". Cán bộ y tế sẽ hướng dẫn, miễn phí. Nếu thấy không khỏe, xin ở nhà, đeo khẩu trang và gọi trước khi đến cơ sở y tế.")
	en = append(en, askEN+"; a health officer tells what to do, free of charge. If unwell, stay at home, wear a mask and call before going to a clinic.")
	if l.Test {
		vi = append(vi, "Chúng tôi mời "+who+" đi xét nghiệm. Xin gọi để hẹn giờ.")
		en = append(en, "A test is offered; please call for an appointment.")
	}
	vi = append(vi, "Trân trọng cảm ơn.", k.Office)
	vi = append(vi, "Vì sao có thư này: "+who+" đã ghi nhận lượt vào bằng mã QR hoặc thẻ. Thông tin chỉ dùng để phòng dịch, chỉ cán bộ có trách nhiệm được xem, mỗi lần xem đều được ghi lại, và sẽ bị xóa khi hết hạn. Ông/bà có quyền biết ai đã xem, xin sửa, xóa hoặc phản đối. Chúng tôi không bao giờ hỏi mật khẩu hay xin chuyển tiền.")
	en = append(en, "Why this letter: somebody checked in by QR code or card. The data serve to prevent disease alone, every look at them is written down, and they are deleted in time. You may ask who looked, and have data corrected or deleted. We never ask for passwords or money.")
	return said{vi, asked, strings.Join(en, " ")}
}
