package print

import (
	"fmt"
	"image/color"
	"io"
	"time"

	"github.com/qrgate/qrgate/sync/guide"
	"github.com/qrgate/qrgate/sync/words"
)

// A Manual is the printed guide by which an electrician builds and starts a kiosk.
type Manual struct {
	Release  string // of the image that it is about; "" is not said
	Portal   string // address where kiosks are added; "" leaves a line to write on
	HelpLine string
	Printed  time.Time
}

// What the guide is set in. Nothing is smaller than small.
const (
	guideSmall = 8.5 * pt
	guideText  = 9 * pt
	guideHead  = 11.5 * pt
	guideLeft  = 11.0
	guideWidth = 210 - 2*guideLeft
)

var (
	lampRed   = color.RGBA{0xc8, 0x1e, 0x1e, 255}
	lampAmber = color.RGBA{0xf0, 0xa8, 0x00, 255}
	lampGreen = color.RGBA{0x0a, 0x8a, 0x3c, 255}
)

// Guide writes the guide: two pages of A4, on the first what is bought and wired, on the
// second how the card is written, how the kiosk is started and what its lamps say.
func Guide(w io.Writer, m Manual) error {
	f := newPDF("QRGate: lắp và bật máy quét", m.Printed)
	for _, page := range []func(*drawing, Manual) error{(*drawing).wiringPage, (*drawing).startPage} {
		d := &drawing{canvas: canvas{width: sizeA4.width, height: sizeA4.height}}
		if err := page(d, m); err != nil {
			return err
		}
		if err := d.addTo(f); err != nil {
			return fmt.Errorf("print: guide: %w", err)
		}
	}
	if err := f.Output(w); err != nil {
		return fmt.Errorf("print: guide: %w", err)
	}
	return nil
}

// text sets a paragraph at one size and returns where it ends.
func (d *drawing) text(s string, x, y, width, size float64, f face, c color.RGBA) float64 {
	return d.set(s, x, y, width, 297, style{face: f, size: size, least: size, leading: 1.22, colour: c}, left)
}

// guideBand draws the head of a page and returns where it ends.
func (d *drawing) guideBand(title, about, page string) float64 {
	const y, height = 9.0, 15.0
	d.fill(brand, roundRect(guideLeft, y, guideWidth, height, 1.6))
	mark(&d.canvas, guideLeft+2.6, y+2.6, 9.8/12, white, brand)
	d.middle(title, guideLeft+16, y+1, 120, 7.6, style{face: bold, size: 15 * pt, least: 11 * pt, colour: white}, left)
	d.middle(about, guideLeft+16, y+8.2, 130, 5.6, style{size: guideText, least: guideSmall, colour: pale}, left)
	d.middle(page, guideLeft+guideWidth-44, y, 41, height, style{face: bold, size: 10 * pt, least: guideSmall, colour: white}, right)
	return y + height + 3.2
}

// guideHeading draws a numbered heading and returns where it ends.
func (d *drawing) guideHeading(number, text string, x, y, width float64) float64 {
	d.fill(brand, circle(x+2.6, y+2.7, 2.6))
	d.middle(number, x, y, 5.2, 5.4, style{face: bold, size: 9 * pt, least: guideSmall, colour: white}, centre)
	return d.set(text, x+6.8, y+0.3, width-6.8, 8, style{face: bold, size: guideHead, least: guideText, colour: brand}, left) + 0.8
}

// guideFoot says which print this is.
func (d *drawing) guideFoot(m Manual) {
	said := "QRGate · in ngày " + m.Printed.Format("02/01/2006")
	if m.Release != "" {
		said += " · bản " + m.Release
	}
	d.set(said, guideLeft, 285.5, 110, 6, style{size: guideSmall, least: guideSmall, colour: soft}, left)
	if m.HelpLine != "" {
		d.set(helpTag.VI+": "+m.HelpLine, guideLeft+110, 285.5, guideWidth-110, 6, style{face: bold, size: guideSmall, least: guideSmall, colour: brand}, right)
	}
}

// bought is what is bought, and what has been tried of it.
var bought = [...][2]string{
	{"Máy tính nhỏ", "Raspberry Pi 3, 4, 5 hoặc Zero 2 W, có hộp và tản nhiệt"},
	{"Nguồn của máy", "đúng loại của Raspberry Pi: 5 V, từ 3 A (Pi 5: 5 A)"},
	{"Thẻ nhớ microSD", "16 GB trở lên, loại bền (High Endurance)"},
	{"Đầu đọc QR", "loại cắm cổng USB (kiểu COM hoặc kiểu bàn phím)"},
	{"hoặc camera", "USB UVC có đèn trợ sáng, hoặc camera của Raspberry Pi"},
	{"Màn hình, loa", "HDMI 7 inch trở lên; loa USB. Không có: dùng đèn và còi"},
	{"Ba đèn, một còi", "đỏ, vàng, xanh và còi loại 12 V, dưới 0,4 A; kèm nguồn 12 V"},
	{"Mạch đệm", "ULN2803 (đèn và còi không nối thẳng vào chân của máy)"},
	{"Mạch rơ-le 5 V", "1 kênh, kích mức CAO, chịu được tín hiệu 3,3 V"},
	{"Khóa từ 12 V", "loại HẾT ĐIỆN LÀ MỞ, kèm nguồn 12 V riêng"},
	{"Nút phá kính", "tiếp điểm thường đóng; bắt buộc ở cửa người đi ra"},
}

func (d *drawing) wiringPage(m Manual) error {
	y := d.guideBand("Lắp máy quét QRGate", "Mua gì, đấu dây thế nào. Dành cho thợ điện, không cần biết Linux.", "Trang 1 / 2")
	top := d.guideHeading("1", "Cần mua", guideLeft, y, guideWidth)
	const name, price = 31.0, 37.0
	d.set("Giá (tự ghi)", guideLeft+guideWidth-price, y+0.8, price, 6, style{size: guideSmall, least: guideSmall, colour: soft}, centre)
	for i, row := range bought {
		const step = 5.3
		at := top + float64(i)*step
		if i%2 == 0 {
			d.fill(tint, rect(guideLeft, at, guideWidth, step))
		}
		d.middle(row[0], guideLeft+1.5, at, name, step, style{face: bold, size: guideText, least: guideSmall, colour: ink}, left)
		d.middle(row[1], guideLeft+name+2, at, guideWidth-name-price-3, step, style{size: guideText, least: guideSmall, colour: ink}, left)
		d.dots(guideLeft+guideWidth-price+3, guideLeft+guideWidth-8, at+step-1.3)
		d.middle("đ", guideLeft+guideWidth-7, at, 5, step, style{size: guideText, least: guideSmall, colour: soft}, left)
	}
	y = top + 5.3*float64(len(bought)) + 2.2
	d.fill(amber, roundRect(guideLeft, y, guideWidth, 19.4, 1.6))
	y = d.text("Đã thử đến đâu (nói thật): chưa một đầu đọc, camera hay bo mạch nào được thử bằng máy thật.", guideLeft+2.5, y+1.1, guideWidth-5, guideText, bold, brown)
	y = d.text("Bằng bản ghi dựng theo tài liệu của hãng: Waveshare, GM65, Zebra, Honeywell, Newland, Datalogic. Bằng máy ảo: đầu đọc USB-COM, FTDI và bàn phím USB; camera USB; đèn, rơ-le, báo cháy. Chỉ mới trên giấy: camera của Raspberry Pi và từng kiểu máy cụ thể. Hãy mua MỘT bộ, thử xong mới mua tiếp.", guideLeft+2.5, y, guideWidth-5, guideSmall, regular, brown) + 4.2
	y = d.guideHeading("2", "Đấu dây (rút hết nguồn trước khi đấu)", guideLeft, y, guideWidth) + 0.6
	y = d.wiring(y)
	y = d.guideHeading("3", "Bốn điều không được sai", guideLeft, y+2.4, guideWidth)
	for _, s := range []string{
		"Khóa giữ cửa bằng điện: mất điện, máy treo hay rút thẻ nhớ thì cửa phải MỞ. Thử: rút nguồn của máy, cửa mở ngay.",
		"Báo cháy và nút phá kính cắt thẳng dây 12 V của khóa, không qua máy. Thử từng cái: cửa phải mở dù máy đang chạy.",
		"Khóa từ chưa có sẵn điốt: mắc điốt 1N4007 song song với khóa, vạch trắng về phía +12 V, để rơ-le khỏi cháy.",
		"Tín hiệu của máy chỉ 3,3 V: không đưa 5 V, 12 V hay 220 V vào chân GPIO. Phần 220 V do thợ có chứng chỉ làm.",
	} {
		d.fill(lampRed, roundRect(guideLeft+1, y+0.7, 2.4, 2.4, 0.4))
		y = d.text(s, guideLeft+6.8, y, guideWidth-6.8, guideText, regular, ink) + 0.5
	}
	d.guideFoot(m)
	return nil
}

// dots draws a line to write on.
func (d *drawing) dots(from, to, y float64) {
	var p path
	for x := from; x < to; x += 1.3 {
		p = append(p, rect(x, y, 0.45, 0.3)...)
	}
	d.fill(grey, p)
}

// writing is how a card is written on Windows.
var writing = [...]string{
	"Trên máy Windows, tải tệp ảnh qrgate-….img (hỏi người quản lý) và cài Raspberry Pi Imager (raspberrypi.com/software).",
	"Cắm thẻ nhớ. Mở Imager: chọn đúng đời máy; ở \"Operating System\" kéo xuống cuối, chọn \"Use custom\" rồi chọn tệp vừa tải; ở \"Storage\" chọn thẻ nhớ.",
	"Bấm Next. Hỏi tùy chỉnh (customisation): chọn NO. Hỏi xóa thẻ: chọn YES. Đợi báo xong. Windows đòi định dạng ổ đĩa: bấm Hủy.",
	"Rút thẻ, cắm lại. Trong ổ nhỏ hiện ra, mở qrgate.txt bằng Notepad. ĐÃ ĐẤU DÂY: bỏ dấu # ở dòng wired, ghi những phần đã đấu, ví dụ wired = lamps, buzzer, relay, fire, button. Người cũng đi RA qua cửa này: thêm dòng exit = yes. Cáp mạng, Wi-Fi thường không cần sửa gì. Lưu lại.",
	"Cắm thẻ vào máy, cắm đầu đọc, cáp mạng, màn hình, sau cùng cắm nguồn. Đợi một đến hai phút.",
}

func (d *drawing) startPage(m Manual) error {
	y := d.guideBand("Ghi thẻ nhớ và bật máy lần đầu", "Không cần bàn phím, không cần chuột: chỉ cần đầu đọc và ba mã ở cuối trang.", "Trang 2 / 2")
	y = d.guideHeading("4", "Ghi thẻ nhớ trên Windows", guideLeft, y, guideWidth)
	for i, s := range writing {
		d.set(fmt.Sprintf("%d.", i+1), guideLeft+1, y, 6, 6, style{face: bold, size: guideText, least: guideText, colour: brand}, left)
		y = d.text(s, guideLeft+6.8, y, guideWidth-6.8, guideText, regular, ink) + 0.35
	}
	y = d.guideHeading("5", "Chín bước lần đầu bật máy (màn hình và giọng nói nói y như vậy)", guideLeft, y+1.6, guideWidth)
	y = d.nineSteps(m, y)
	y = d.text("Trang Thêm thiết bị: "+m.page()+". Làm lại các bước về sau: đưa thẻ lệnh \"Cài đặt lại\" (in ở cổng QRGate, mục thẻ lệnh).", guideLeft, y, guideWidth, guideSmall, regular, soft)
	y = d.guideHeading("6", "Đèn nói gì (vạch màu: lúc đèn sáng; dải bên trái dài 6 giây, bên phải 10 giây, rồi lặp lại)", guideLeft, y+1.6, guideWidth)
	y = d.lampTable(y)
	if err := d.wallCodes(y + 1.6); err != nil {
		return err
	}
	d.guideFoot(m)
	return nil
}

// page returns where kiosks are added, or a line to write it on.
func (m Manual) page() string {
	if m.Portal == "" {
		return "…………………………………………"
	}
	return m.Portal + "/thiet-bi/them"
}

// nineSteps draws what is done at each step.
func (d *drawing) nineSteps(m Manual, y float64) float64 {
	const columns, gap, height = 3, 2.5, 20.0
	width := (guideWidth - (columns-1)*gap) / columns
	for s := guide.Language; s <= guide.Ready; s++ {
		i := int(s) - 1
		x, top := guideLeft+float64(i%columns)*(width+gap), y+float64(i/columns)*(height+1.4)
		d.fill(tint, roundRect(x, top, width, height, 1.4))
		stepPictures[i](&d.canvas, x+1.8, top+5.2, 9.6/12, brand, tint)
		key := s.Key()
		if s == guide.Direction {
			key += ".in"
		}
		said := guide.Of(words.Vietnamese, key)
		switch s {
		case guide.Network:
			said.Do = "Cắm cáp mạng, hoặc đưa mã Wi-Fi (điện thoại và bộ phát Wi-Fi hiện được) trước đầu đọc."
		case guide.Enrol:
			said.Do = "Trong 10 phút từ lúc cắm nguồn (quá thì cắm lại), đưa mã ở trang Thêm thiết bị. Bốn từ GIỐNG NHAU thì đồng ý."
		case guide.LampTest, guide.SoundTest, guide.VoiceTest:
			said.Do += " Phần không có thì máy tự bỏ qua."
		case guide.Ready:
			said.Do = "Màn hình hiện tên địa điểm. Đưa một thẻ thật: đèn xanh là xong."
		}
		end := d.set(fmt.Sprintf("%d. %s", s, said.Head), x+13, top+0.9, width-14, 5, style{face: bold, size: guideText, least: guideSmall, colour: ink}, left)
		d.set(said.Do, x+13, end, width-14, top+height-end+0.4, style{size: guideSmall, least: guideSmall, leading: 1.14, colour: ink}, left)
	}
	return y + 3*(height+1.4)
}

// lampTable draws the table of the code: on the left an open door, on the right a first
// start.
func (d *drawing) lampTable(y float64) float64 {
	const leftRow, rightRow, gap = 6.9, 9.2, 4.0
	width := (guideWidth - gap) / 2
	right := guideLeft + width + gap
	d.set("Cửa đang mở phục vụ", guideLeft, y, width, 6, style{face: bold, size: guideText, least: guideSmall, colour: ink}, left)
	d.set("Lần đầu bật máy: đếm số nháy NGẮN", right, y, width, 6, style{face: bold, size: guideText, least: guideSmall, colour: ink}, left)
	y += 4.8
	atLeft, atRight := y, y
	for _, l := range guide.Lamps() {
		var n int
		switch {
		case scanned(l.Signal, "step %d", &n):
			if n == 3 { // one example for all
				d.lampRow(l, 10*time.Second, "Vàng, 1 dài rồi nháy: đang chờ ở bước đó (đây: bước 3)", right, atRight, width, rightRow)
				atRight += rightRow
			}
		case scanned(l.Signal, "trouble %d", &n):
			s := guide.Of(words.Vietnamese, guide.Trouble(n).Key())
			d.lampRow(l, 10*time.Second, fmt.Sprintf("Đỏ %d: %s. %s", n, s.Head, cures[n-1]), right, atRight, width, rightRow)
			atRight += rightRow
		default:
			d.lampRow(l, 6*time.Second, doorLamps[l.Signal], guideLeft, atLeft, width, leftRow)
			atLeft += leftRow
		}
	}
	return max(atLeft, atRight)
}

// cures is what to do about each trouble, in few words.
var cures = [guide.Troubles]string{
	"Cắm chặt cáp.", "Xem mật khẩu, đưa lại mã.", "Cắm lại dây.", "Xem mạng, đợi.", "Cứ làm tiếp.", "Lấy mã mới.", "Sửa dòng máy báo.", "Thay thẻ nhớ.",
}

// scanned reads a number out of a signal's name.
func scanned(s, format string, n *int) bool {
	_, err := fmt.Sscanf(s, format, n)
	return err == nil
}

// doorLamps is what the lamps of an open door mean, in few words.
var doorLamps = map[string]string{
	"ready":      "Sẵn sàng, mời đưa mã",
	"reading":    "Đang đọc mã",
	"admitted":   "Mời vào, đã ghi nhận",
	"again":      "Đã ghi nhận rồi, cứ đi",
	"refused":    "Chưa qua được: hỏi bảo vệ",
	"amber":      "Cứ qua, ghi sổ giấy",
	"full":       "Bên trong đã đủ người",
	"wrong_lane": "Sai chiều, sang lối kia",
	"fault":      "Máy hỏng: ghi sổ, gọi thợ",
	"locked":     "Máy đã ngừng dùng",
	"ordered":    "Đã làm theo thẻ lệnh",
	"here":       "Quản lý đang tìm máy này",
}

// lampRow draws one row: the lamps, their rhythm over some time, and what it means.
func (d *drawing) lampRow(l guide.Lamp, over time.Duration, means string, x, y, width, height float64) {
	d.fill(grey, rect(x, y+height-0.1, width, 0.12))
	var lit []color.RGBA
	for _, c := range []struct {
		on     bool
		colour color.RGBA
	}{{l.Red, lampRed}, {l.Amber, lampAmber}, {l.Green, lampGreen}} {
		if c.on {
			lit = append(lit, c.colour)
		}
	}
	for i, c := range lit {
		d.fill(c, circle(x+1.9+float64(i)*3.2, y+height/2, 1.45))
	}
	const strip, thick = 36.0, 3.0
	sx, sy, sh := x+7.4, y+(height-thick)/2, thick
	d.fill(tint, rect(sx, sy, strip, sh))
	mm := func(t time.Duration) float64 { return strip * float64(t) / float64(over) }
	for i, c := range lit {
		h := sh / float64(len(lit))
		top := sy + float64(i)*h
		if len(l.Blink) == 0 {
			d.fill(c, rect(sx, top, strip, h))
			continue
		}
		var p path
		for t, k := time.Duration(0), 0; t < over; k++ {
			on := l.Blink[k%len(l.Blink)]
			if k%2 == 0 {
				p = append(p, rect(sx+mm(t), top, mm(min(on, over-t)), h)...)
			}
			t += on
		}
		d.fill(c, p)
	}
	d.middle(means, sx+strip+1.6, y, width-(sx-x)-strip-1.6, height, style{size: guideSmall, least: guideSmall, leading: 1.12, colour: ink}, left)
}

// wallCodes draws the three codes that answer for whoever has no touch.
func (d *drawing) wallCodes(y float64) error {
	const side = 24.0
	height := side + 8
	d.fill(amber, roundRect(guideLeft, y, guideWidth, height, 1.6))
	say := map[guide.Answer]string{guide.Yes: "đúng, thấy, nghe", guide.No: "sai, không thấy", guide.Next: "bỏ qua, đi tiếp"}
	x := guideLeft + 4
	for _, a := range guide.Answers() {
		sym, err := encode(string(a))
		if err != nil {
			return err
		}
		d.code(sym, x+sym.margin(side), y+4, side)
		tx := x + side + 2*sym.margin(side) + 1.5
		d.middle(guide.Text(words.Vietnamese, a.Key()), tx, y+5, 24, 10, style{face: bold, size: 16 * pt, least: 11 * pt, colour: brown}, left)
		d.set(say[a], tx, y+15, 23, 10, style{size: guideSmall, least: guideSmall, colour: brown}, left)
		x += 62
	}
	return nil
}
