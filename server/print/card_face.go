package print

import (
	"fmt"
	"strings"
)

// cardFront draws the side with the code of a card of ID-1 size, whose upper left
// corner is at x, y. Nothing comes nearer to an edge than 2 mm: a cut may be off.
func (d *drawing) cardFront(x, y float64, k *Deck, c *Card, sym symbol) {
	const (
		inset = 2.2
		band  = 7.4
		side  = 32.0
	)
	width := cardSize.width - 2*inset
	d.fill(brand, roundRect(x+inset, y+inset, width, band, 1.4))
	d.middle(k.title().VI, x+inset+2.4, y+inset, 0.3*width, band, style{face: bold, size: 12 * pt, least: 8 * pt, colour: white}, left)
	after := max(0.24*width, 2.4+d.measure(bold, k.title().VI)*12*pt+1.4)
	d.middle(k.title().EN, x+inset+after, y+inset+0.4, 0.24*width, band, style{size: 7.5 * pt, least: 5 * pt, colour: pale}, left)
	after = max(0.44*width, after+d.measure(regular, k.title().EN)*7.5*pt+1.4)
	d.belongs(c.Kind.VI, x+inset+after, y+inset, width-after-2.4, band, style{size: 9 * pt, least: 6 * pt})

	q := sym.margin(side)
	left0, top := x+q+1, y+inset+band+q+0.3
	d.code(sym, left0, top, side)
	d.typed(c.Code, left0-q, top+side+q-0.8, side+2*q, 4.4, 12.5*pt)

	cx := left0 + side + q + 0.8
	cw := x + cardSize.width - inset - 0.6 - cx
	cy, end := y+inset+band+2.2, y+cardSize.height-inset
	if c.Name != "" {
		cy = d.set(c.Name, cx, cy, cw, 17, style{face: bold, size: 14 * pt, least: 7 * pt, leading: 1.15, colour: ink, balanced: true}, left) + 0.8
	}
	if c.Kind.EN != "" {
		cy = d.set(c.Kind.EN, cx, cy, cw, 3.6, style{size: 7 * pt, least: 5 * pt, colour: soft}, left) + 0.6
	}
	foot := 8.2
	if k.HelpLine == "" {
		foot = 0
	}
	cy = max(cy, end-foot-11.5)
	if !c.Until.IsZero() {
		cy = d.set(untilTag.VI+" "+c.Until.Format("02/01/2006"), cx, cy, cw, 4.2, style{face: bold, size: 8.5 * pt, least: 6 * pt, colour: ink}, left)
		cy = d.set(untilTag.EN+" "+c.Until.Format("2 Jan 2006"), cx, cy, cw, 3.2, style{size: 6.5 * pt, least: 5 * pt, colour: soft}, left)
	}
	if c.Number != "" {
		d.set(numberTag.VI+" · "+numberTag.EN+" "+c.Number, cx, cy+0.3, cw, 3.2, style{size: 6.5 * pt, least: 5 * pt, colour: soft}, left)
	}
	if k.HelpLine != "" {
		d.fill(pale, roundRect(cx, end-foot, cw, foot, 1.4))
		d.middle(lostTag.VI+" · "+lostTag.EN, cx+1.6, end-foot+0.4, cw-3.2, 3, style{size: 6 * pt, least: 4.5 * pt, colour: brand}, left)
		d.middle(k.HelpLine, cx+1.6, end-foot+3.1, cw-3.2, foot-3.3, style{face: bold, size: 12 * pt, least: 7 * pt, colour: brand}, left)
	}
}

// belongs sets at the right of a card's band what kind it is or where it belongs: what is
// one word, as a kiosk's name, in one line.
func (d *drawing) belongs(s string, x, y, width, band float64, st style) {
	st.face, st.colour, st.balanced = bold, white, true
	if !strings.Contains(s, " ") {
		y, band = y+0.2*band, 0.6*band
	}
	d.middle(s, x, y, width, band, st, right)
}

// typed draws the code that people type, in two groups.
func (d *drawing) typed(code string, x, y, width, height, size float64) {
	if len(code) == 8 {
		code = code[:4] + string(nbsp) + code[4:]
	}
	d.middle(code, x, y, width, height, style{face: bold, size: size, least: 7 * pt, colour: ink}, centre)
}

// cardBack draws the rules and rights.
func (d *drawing) cardBack(x, y float64, k *Deck) {
	const inset = 3.4
	width := cardSize.width - 2*inset
	end := y + cardSize.height - inset
	x, y = x+inset, y+inset
	for i, t := range []string{k.rules().VI, k.rights().VI, k.rules().EN, k.rights().EN} {
		st := style{face: bold, size: 6.6 * pt, least: 4.2 * pt, leading: 1.2, colour: ink}
		if i%2 == 1 {
			st.face = regular
		}
		if i >= 2 {
			st.size, st.colour = 5.6*pt, soft
		}
		if k.Command { // there is less to say
			st.size *= 1.4
		}
		y = d.set(t, x, y, width, (end-y)*[...]float64{0.34, 0.44, 0.5, 1}[i], st, left) + 0.7
		if i == 1 {
			d.fill(grey, rect(x, y, width, 0.15))
			y += 0.7
		}
	}
}

// largeFront draws a card for weak eyes, a quarter of A4.
func (d *drawing) largeFront(x, y float64, k *Deck, c *Card, sym symbol) {
	const (
		inset = 8.0
		band  = 13.0
		side  = 50.0
	)
	width := largeSize.width - 2*inset
	end := y + largeSize.height - inset
	d.fill(brand, roundRect(x+inset, y+inset, width, band, 2))
	d.middle(k.title().VI, x+inset+4, y+inset, 0.5*width, band, style{face: bold, size: 22 * pt, least: 12 * pt, colour: white}, left)
	after := max(0.4*width, 4+d.measure(bold, k.title().VI)*22*pt+3)
	d.belongs(c.Kind.VI, x+inset+after, y+inset, width-after-4, band, style{size: 14 * pt, least: 8 * pt})
	q := sym.margin(side)
	top := y + inset + band + q + 0.5
	d.code(sym, x+(largeSize.width-side)/2, top, side)
	d.typed(c.Code, x+inset, top+side+q-1, width, 10, 27*pt)
	cy := top + side + q + 11
	if c.Code == "" {
		cy -= 8
	}
	foot := 15.0
	if k.HelpLine == "" {
		foot = 0
	}
	if c.Name != "" {
		cy = d.set(c.Name, x+inset, cy, width, 20, style{face: bold, size: 24 * pt, least: 13 * pt, leading: 1.15, colour: ink, balanced: true}, centre)
	}
	if !c.Until.IsZero() {
		d.set(untilTag.VI+" "+c.Until.Format("02/01/2006"), x+inset, min(cy+1, end-foot-9), width, 8, style{size: 15 * pt, least: 10 * pt, colour: ink}, centre)
	}
	if k.HelpLine != "" {
		d.fill(pale, roundRect(x+inset, end-foot, width, foot, 2))
		d.middle(lostTag.VI, x+inset+4, end-foot+1, 0.5*width-4, foot-2, style{size: 13 * pt, least: 9 * pt, colour: brand}, left)
		d.middle(k.HelpLine, x+inset+0.5*width, end-foot, 0.5*width-4, foot, style{face: bold, size: 24 * pt, least: 12 * pt, colour: brand}, right)
	}
}

// largeBack draws the rules and rights in large print.
func (d *drawing) largeBack(x, y float64, k *Deck) {
	const inset = 10.0
	width, end := largeSize.width-2*inset, y+largeSize.height-inset
	x, y = x+inset, y+inset
	for i, t := range []string{k.rules().VI, k.rights().VI, k.rules().EN, k.rights().EN} {
		st := style{face: bold, size: 13 * pt, least: 7 * pt, leading: 1.25, colour: ink}
		if i%2 == 1 {
			st.face, st.size = regular, 11*pt
		}
		if i >= 2 {
			st.size, st.colour = 9*pt, soft
		}
		y = d.set(t, x, y, width, (end-y)*[...]float64{0.45, 0.55, 0.5, 1}[i], st, left) + 2
	}
}

func (k *Deck) title() Text {
	if k.Command {
		return commandTitle
	}
	return cardTitle
}

// rules says how the card is used.
func (k *Deck) rules() Text {
	if k.Command {
		return Text{
			"Chỉ người trực giữ thẻ này. Đưa mặt có mã trước máy quét; máy làm theo và báo ngay. Mất thẻ: báo người quản lý máy để đổi khóa.",
			"For the guard on duty alone. Hold the code before the scanner: the kiosk follows it and says so. If you lose it, tell the kiosk's operator.",
		}
	}
	lost := Text{"báo nơi cấp thẻ", "tell the office that issued it"}
	if k.HelpLine != "" {
		number := strings.ReplaceAll(k.HelpLine, " ", string(nbsp))
		lost = Text{"gọi " + number + " hoặc " + lost.VI, "call " + number + " or " + lost.EN}
	}
	return Text{
		"Đưa mặt có mã trước máy quét ở cửa, cách chừng một gang tay. Mã bẩn: đọc tám chữ dưới mã cho người trực. Không cho mượn thẻ. Mất thẻ: " + lost.VI + "; thẻ cũ bị khóa và được cấp thẻ mới.",
		"Hold the code before the scanner at the door, a hand's breadth away. If it is dirty, read out the eight letters under it. Do not lend it. If you lose it, " + lost.EN + ": it is blocked and replaced.",
	}
}

// rights says what the law wants said.
func (k *Deck) rights() Text {
	if k.Command {
		return Text{
			"Mỗi lần dùng đều được ghi lại, kể cả khi máy từ chối. Thẻ không mở được cửa và không có tên ai.",
			"Each use is recorded, refusals too. The card opens no door and names nobody.",
		}
	}
	var vi, en []string
	vi = append(vi, "Trong mã không có tên hay số giấy tờ.")
	en = append(en, "The code holds neither name nor numbers of papers.")
	if k.Controller != "" {
		vi = append(vi, "Bên kiểm soát dữ liệu: "+k.Controller+".")
		en = append(en, "Data controller: "+k.Controller+".")
	}
	vi = append(vi, "Mục đích: truy vết khi có ca bệnh.")
	en = append(en, "Purpose: tracing when a case is found.")
	if k.RetentionDays > 0 {
		vi = append(vi, fmt.Sprintf("Lượt quét lưu %d ngày rồi xóa.", k.RetentionDays))
		en = append(en, fmt.Sprintf("Check-ins are kept %d days, then deleted.", k.RetentionDays))
	}
	vi = append(vi, "Bạn có quyền xem, sửa, xóa và phản đối; trẻ em qua người giám hộ.")
	en = append(en, "You may see, correct, delete and object; children through their guardian.")
	return Text{strings.Join(vi, " "), strings.Join(en, " ")}
}

var (
	cardTitle    = Text{"THẺ QR", "QR CARD"}
	commandTitle = Text{"THẺ LỆNH", "COMMAND"}
	untilTag     = Text{"Dùng đến", "Valid until"}
	numberTag    = Text{"Số", "No."}
	lostTag      = Text{"Mất thẻ, cần giúp", "Lost, help"}
)
