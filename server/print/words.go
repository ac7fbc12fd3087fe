package print

import (
	"fmt"
	"strings"
)

var (
	// Where the title needs two lines it is broken where one breathes.
	titleVI = [...]string{"Quét mã", "trước khi vào"}
	title   = Text{strings.Join(titleVI[:], " "), "Scan before you enter"}
	noPhone = Text{"Không có điện thoại? Đưa thẻ QR cho máy quét hoặc ghi sổ.", "No phone? Show your QR card to the scanner or sign the book."}
	codeTag = Text{"Mã điểm", "Place code"}
	helpTag = Text{"Trợ giúp", "Help"}
	foldTag = Text{"Gấp tại đây", "Fold here"}
	edgeTag = Text{"Mép gắn vào cột", "Mounting edge"}
)

var steps = [...]struct {
	picture pictogram
	text    Text
}{
	{scanning, Text{"1.\u00a0Mở máy\u00a0ảnh, quét\u00a0mã", "Open the camera and scan"}},
	{tapping, Text{"2.\u00a0Bấm một\u00a0lần để\u00a0ghi\u00a0nhận", "Tap once to check in"}},
	{done, Text{"3.\u00a0Hiện dấu\u00a0tích\u00a0lớn, mời\u00a0vào", "A big tick: come in"}},
}

// notice says what the law wants said: who, why, how long, which rights and
// where to ask.
func (s *Sheet) notice() Text {
	var vi, en []string
	if s.Controller != "" {
		vi = append(vi, "Bên kiểm soát dữ liệu: "+s.Controller+".")
		en = append(en, "Data controller: "+s.Controller+".")
	}
	vi = append(vi, "Mục đích: truy vết khi có ca bệnh.")
	en = append(en, "Purpose: tracing when a case is found.")
	if s.RetentionDays > 0 {
		vi = append(vi, fmt.Sprintf("Lưu %d ngày rồi xóa.", s.RetentionDays))
		en = append(en, fmt.Sprintf("Kept %d days, then deleted.", s.RetentionDays))
	}
	rights := Text{"Bạn có quyền xem, sửa, xóa và phản đối", "You may see, correct, delete and object"}
	if s.HelpLine != "" {
		number := strings.ReplaceAll(s.HelpLine, " ", string(nbsp))
		rights.VI += "; hỏi " + number
		rights.EN += "; ask " + number
	}
	vi, en = append(vi, rights.VI+"."), append(en, rights.EN+".")
	if more := s.Template.Notice; more != (Text{}) {
		vi, en = append(vi, more.VI), append(en, more.EN)
	}
	return Text{strings.Join(vi, " "), strings.Join(en, " ")}
}

// sentences returns what the committee wants said as one paragraph.
func (s *Sheet) sentences() Text {
	var vi, en []string
	for _, t := range s.Template.Sentences {
		vi, en = append(vi, t.VI), append(en, t.EN)
	}
	return Text{strings.Join(vi, " "), strings.Join(en, " ")}
}

// edition says which print this is.
func (s *Sheet) edition() Text {
	var vi, en []string
	if s.Version > 0 {
		vi = append(vi, fmt.Sprintf("Bản %d", s.Version))
		en = append(en, fmt.Sprintf("Version %d", s.Version))
	}
	if !s.Printed.IsZero() {
		vi = append(vi, "in ngày "+s.Printed.Format("02/01/2006"))
		en = append(en, "printed "+s.Printed.Format("2 Jan 2006"))
	}
	if s.Template.Version > 0 {
		vi = append(vi, fmt.Sprintf("mẫu %d", s.Template.Version))
		en = append(en, fmt.Sprintf("template %d", s.Template.Version))
	}
	return Text{strings.Join(vi, " · "), strings.Join(en, " · ")}
}
