package print

import (
	"fmt"
	"image/color"
	"io"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/qrgate/qrgate/sync/guide"
	"github.com/qrgate/qrgate/sync/words"
)

// A Manual is the printed guide by which an electrician builds and starts a kiosk.
type Manual struct {
	Release  string // of the image that it is about; "" is not said
	Portal   string // address where kiosks are added; one that is not Reachable leaves a line to write on
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
	const y, height = 7.0, 13.0
	d.fill(brand, roundRect(guideLeft, y, guideWidth, height, 1.6))
	mark(&d.canvas, guideLeft+2.6, y+1.6, 9.8/12, white, brand)
	d.middle(title, guideLeft+16, y+0.3, 120, 7.6, style{face: bold, size: 15 * pt, least: 11 * pt, colour: white}, left)
	d.middle(about, guideLeft+16, y+7.0, 130, 5.6, style{size: guideText, least: guideSmall, colour: pale}, left)
	d.middle(page, guideLeft+guideWidth-44, y, 41, height, style{face: bold, size: 10 * pt, least: guideSmall, colour: white}, right)
	return y + height + 2
}

// guideHeading draws a numbered heading and returns where it ends.
func (d *drawing) guideHeading(number, text string, x, y, width float64) float64 {
	d.fill(brand, circle(x+2.6, y+2.7, 2.6))
	d.middle(number, x, y, 5.2, 5.4, style{face: bold, size: 9 * pt, least: guideSmall, colour: white}, centre)
	return d.set(text, x+6.8, y+0.3, width-6.8, 8, style{face: bold, size: guideHead, least: guideText, colour: brand}, left) + 0.8
}

// guideFoot says whom to call, and which print this is.
func (d *drawing) guideFoot(m Manual) {
	const top = 280.5
	d.fill(grey, rect(guideLeft, top-0.8, guideWidth, 0.15))
	for i, who := range []string{"Người quản lý:", "Kỹ thuật:"} {
		x := guideLeft + float64(i)*guideWidth/2
		d.set(who, x, top, 26, 6, style{face: bold, size: guideText, least: guideSmall, colour: ink}, left)
		d.dots(x+26, x+54, top+3.3)
		d.set("ĐT:", x+56, top, 8, 6, style{face: bold, size: guideText, least: guideSmall, colour: ink}, left)
		d.dots(x+63, x+guideWidth/2-4, top+3.3)
	}
	said := "QRGate · in ngày " + m.Printed.Format("02/01/2006")
	if m.Release != "" {
		said += " · bản " + m.Release
	}
	d.set(said, guideLeft, top+5.4, 110, 6, style{size: guideSmall, least: guideSmall, colour: soft}, left)
	if m.HelpLine != "" {
		d.set(helpTag.VI+": "+m.HelpLine, guideLeft+110, top+5.4, guideWidth-110, 6, style{face: bold, size: guideText, least: guideSmall, colour: brand}, right)
	}
}

// bought is what is bought, and of what kind.
var bought = [...][2]string{
	{"Máy tính nhỏ", "Raspberry Pi 3, 4, 5; hoặc Zero 2 W ĐÃ HÀN CHÂN, thêm bộ chia USB (OTG)"},
	{"Nguồn của máy", "đúng loại của Raspberry Pi: 5 V, từ 3 A (Pi 5: 5 A)"},
	{"Thẻ nhớ microSD", "16 GB trở lên, loại bền (High Endurance)"},
	{"Đầu đọc QR", "cắm cổng USB, kiểu COM hay bàn phím; hoặc camera USB (UVC) có đèn"},
	{"Màn hình, loa", "HDMI từ 7 inch (dây: đầu micro ở Pi 4, 5; mini ở Zero); loa USB. Không có: đèn, còi"},
	{"Ba đèn, một còi", "12 V một chiều, mỗi cái dưới 0,2 A; cột đèn: loại chung cực DƯƠNG"},
	{"Mạch đệm", "ULN2803 loại 18 chân (đèn, còi không nối thẳng vào chân của máy)"},
	{"Mạch rơ-le 5 V", "1 kênh, kích mức CAO (cầu nối ở H), đóng được bằng 3,3 V"},
	{"Khóa từ 12 V", "loại HẾT ĐIỆN LÀ MỞ, dưới 0,6 A; kèm một điốt 1N4007"},
	{"Hai nguồn 12 V", "một cho đèn, một cho khóa, mỗi cái từ 1 A; cầu chì 1 A cho khóa"},
	{"Nút phá kính", "có tiếp điểm thường đóng (NC); bắt buộc ở cửa người đi ra"},
	{"Nút ra", "thường đóng (NC), chịu được 12 V 1 A: lối ra hằng ngày"},
	{"Nút bảo vệ", "thường hở (NO), loại nhấn nhả"},
	{"Dây", "dây cắm cái (hàng chân); dây đôi 0,5 mm² (khóa); cầu đấu; dây mạng; đầu đọc thẻ"},
}

func (d *drawing) wiringPage(m Manual) error {
	y := d.guideBand("Lắp máy quét QRGate", "Mua gì, đấu dây thế nào. Dành cho thợ điện, không cần biết Linux.", "Trang 1 / 2")
	top := d.guideHeading("1", "Cần mua", guideLeft, y, guideWidth)
	const name, price, step = 31.0, 30.0, 4.5
	d.set("Giá (tự ghi)", guideLeft+guideWidth-price, y+0.8, price, 6, style{size: guideSmall, least: guideSmall, colour: soft}, centre)
	for i, row := range bought {
		at := top + float64(i)*step
		if i%2 == 0 {
			d.fill(tint, rect(guideLeft, at, guideWidth, step))
		}
		d.middle(row[0], guideLeft+1.5, at, name, step, style{face: bold, size: guideSmall, least: guideSmall, colour: ink}, left)
		d.middle(row[1], guideLeft+name+2, at, guideWidth-name-price-3, step, style{size: guideSmall, least: guideSmall, colour: ink}, left)
		d.dots(guideLeft+guideWidth-price+3, guideLeft+guideWidth-8, at+step-1.1)
		d.middle("đ", guideLeft+guideWidth-7, at, 5, step, style{size: guideSmall, least: guideSmall, colour: soft}, left)
	}
	y = top + step*float64(len(bought)) + 1.4
	d.fill(amber, roundRect(guideLeft, y, guideWidth, 15.2, 1.6))
	end := d.text("Đã thử đến đâu (nói thật): chưa thiết bị nào được thử bằng máy thật.", guideLeft+2.5, y+0.7, guideWidth-5, guideSmall, bold, brown)
	d.tightIn("Mới thử bằng dữ liệu giả lập: đầu đọc Waveshare, GM65, Zebra, Honeywell, Newland, Datalogic. Mới thử bằng máy ảo: đầu đọc USB, camera USB, đèn, rơ-le, báo cháy. Chưa thử: camera của Raspberry Pi (đừng mua). Hãy mua MỘT bộ, thử xong mới mua tiếp.", guideLeft+2.5, end, guideWidth-5, brown)
	y = d.guideHeading("2", "Đấu dây (rút hết nguồn trước khi đấu)", guideLeft, y+16.4, guideWidth)
	y = d.wiring(y)
	y = d.guideHeading("3", "Khóa và lối ra: làm đúng, thử đủ rồi mới bàn giao", guideLeft, y+1.4, guideWidth)
	for _, s := range mustBe {
		d.fill(lampRed, roundRect(guideLeft+1, y+0.7, 2.2, 2.2, 0.4))
		y = d.tight(s, guideLeft+5, y, guideWidth-5) + 0.2
	}
	d.guideFoot(m)
	return nil
}

// mustBe is what holds nobody in, and how each is tried.
var mustBe = [...]string{
	"Bên TRONG cửa có nút ra và nút phá kính, cả hai cắt thẳng +12 V của khóa. Đo nút phá kính: kính còn nguyên thì thông, ấn vào thì hở.",
	"Không ghi exit = yes: người ra bấm nút ra. Người RA cũng quét mã ở cửa này: ghi exit = yes (mục 4), khi đó mã nào quét cũng mở cửa, kể cả bị từ chối; máy hỏng, bị khóa thì cửa để mở.",
	"Báo cháy 1 và 2 là hai tiếp điểm khô, thường đóng, RIÊNG nhau của tủ báo cháy. Thử số 1: nối tắt chân 22 với chân 30, bấm thử cháy ở tủ: cửa phải mở. Xong bỏ nối tắt, thử số 2: rút một dây của nó, cửa phải mở.",
	"Máy treo: khóa có thể CÒN GIỮ đến khi máy tự khởi động lại, khoảng 15 giây (treo cả máy) hay 60 giây (treo chương trình); chưa thử trên bo thật. Lúc nào cũng mở được: báo cháy 1, phá kính, nút ra, rút nguồn khóa, rút nguồn máy.",
	"Thử như máy treo: nối tắt COM với NO của rơ-le, rồi thử báo cháy 1, phá kính, nút ra: cửa phải mở. Bỏ nối tắt, rút nguồn máy: cửa phải mở.",
	"Rơ-le: trước khi nối IN, đo IN với GND: không được có 5 V. Điốt 1N4007 song song với khóa, vạch trắng về phía dương.",
	"Hai nguồn 12 V không nối với nhau. Chân GPIO chỉ chịu 3,3 V: không đưa 5 V, 12 V, 220 V vào. Phần 220 V do thợ có chứng chỉ làm.",
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
	"Trên máy Windows: lấy tệp qrgate-screen-….img (máy có màn hình) hoặc qrgate-lamps-….img (chỉ có đèn) từ người quản lý; cài Raspberry Pi Imager (raspberrypi.com/software). RÚT các ổ USB khác, rồi cắm thẻ nhớ.",
	"Mở Imager: chọn đúng đời máy; ở \"Operating System\" chọn \"Use custom\" (cuối danh sách) rồi chọn tệp; ở \"Storage\" chọn thẻ nhớ. Bấm Next. Hỏi tùy chỉnh (customisation): chọn NO. Hỏi xóa thẻ: YES. Windows đòi định dạng (format): bấm Hủy.",
	"Rút thẻ, cắm lại. Mở ổ tên QRGATE (không phải QRGATE-SYS), mở qrgate.txt bằng Notepad. Dòng có # ở đầu là chưa dùng: bỏ # thì dùng. Đã đấu dây: wired = lamps, buzzer, relay, fire, button (ba đèn, còi, khóa, báo cháy 2, nút bảo vệ; chỉ ghi phần đã đấu). Để nguyên dòng này: máy không dùng đèn, còi, khóa nào; khóa không có điện. Người ra cũng quét ở đây: exit = yes.",
	"Mạng: cáp tự nhận địa chỉ thì không sửa gì. Nếu cần: wifi_name = Ten mang · wifi_password = mat khau · địa chỉ cố định: address = 192.168.1.20/24 · gateway = 192.168.1.1 · dns = 8.8.8.8 · proxy = http://10.0.0.1:3128 · SIM 4G: apn = v-internet · sim_pin = 1234. Mỗi mục MỘT DÒNG, bỏ # ở đầu. Lưu lại. Sau này máy báo Đỏ 7: xem lại các dòng đã bỏ #.",
	"Cắm thẻ vào máy, cắm đầu đọc, cáp mạng, màn hình, sau cùng cắm nguồn. Đợi một đến hai phút.",
}

func (d *drawing) startPage(m Manual) error {
	y := d.guideBand("Ghi thẻ nhớ và bật máy lần đầu", "Không cần bàn phím, không cần chuột: chỉ cần đầu đọc và ba mã ở cuối trang.", "Trang 2 / 2")
	y = d.guideHeading("4", "Ghi thẻ nhớ trên Windows", guideLeft, y, guideWidth)
	for i, s := range writing {
		d.set(fmt.Sprintf("%d.", i+1), guideLeft+0.5, y, 5, 6, style{face: bold, size: guideSmall, least: guideSmall, colour: brand}, left)
		y = d.tight(s, guideLeft+5, y, guideWidth-5)
	}
	y = d.guideHeading("5", "Chín bước lần đầu bật máy (màn hình và giọng nói dẫn từng bước)", guideLeft, y+1, guideWidth)
	y = d.nineSteps(y)
	for _, s := range [][2]string{
		{"Mã đăng ký", "lấy ở trang " + m.page() + " Dùng được 15 phút. Máy nhận mã trong 10 phút sau khi cắm điện; quá giờ (đỏ và vàng cùng nháy): rút nguồn, cắm lại, hoặc giữ nút bảo vệ ba giây rồi nhả. Đỏ nháy đều: sai mã. Đỏ 6: xin mã mới."},
		{"Bốn từ", "so trên màn hình máy với trang của người quản lý: đúng cả bốn, đúng thứ tự thì đồng ý; khác một từ thì KHÔNG đồng ý, gọi số ở cuối trang. Máy chỉ có đèn: chỉ đồng ý khi bạn vừa đưa mã và đèn VÀNG sáng DÀI, NGẮN, DÀI rồi nghỉ: máy chủ đang đợi đúng máy này. Máy khác đã dùng mã thì máy này báo Đỏ 6."},
		{"KHÔNG", "ở bước 5, 6, 7: máy chỉ chỗ cần xem; sửa xong đưa CÓ, chưa sửa được: TIẾP. Không có loa, bước 7: KHÔNG, TIẾP."},
		{"TIẾP", "dùng ở bước 2 (mạng để sau), 4, 9 và sau KHÔNG ở 5, 6, 7. Từ bước 4, 10 phút không ai trả lời: máy tự phục vụ."},
		{"Thẻ", "in ở trang quản lý QRGate. Thẻ thử: chỉ để thử đầu đọc, không tính ai vào. Thẻ lệnh: bảo máy làm một việc; \"Cài đặt lại\" là làm lại các bước này."},
	} {
		const lead = 19.0
		d.set(s[0], guideLeft, y, lead, 6, style{face: bold, size: guideSmall, least: guideSmall, leading: 1.08, colour: brand}, left)
		y = d.tight(s[1], guideLeft+lead, y, guideWidth-lead)
	}
	y = d.guideHeading("6", "Đèn nói gì (dải màu: lúc đèn sáng; bên trái dài 6 giây, bên phải 10 giây, rồi lặp lại)", guideLeft, y+1, guideWidth)
	y = d.lampTable(y)
	if err := d.wallCodes(y + 0.8); err != nil {
		return err
	}
	d.guideFoot(m)
	return nil
}

// tight sets a paragraph in small letters and returns where the next one begins.
func (d *drawing) tight(s string, x, y, width float64) float64 {
	return d.tightIn(s, x, y, width, ink)
}

func (d *drawing) tightIn(s string, x, y, width float64, c color.RGBA) float64 {
	return d.set(s, x, y, width, 60, style{size: guideSmall, least: guideSmall, leading: 1.08, colour: c}, left) + 0.4
}

// page returns where kiosks are added, or a line to write it on.
func (m Manual) page() string {
	if !Reachable(m.Portal) {
		return "…………………………………………"
	}
	return m.Portal + "/thiet-bi/them."
}

// Reachable reports whether others than the machine that it names itself on can open a
// portal's address.
func Reachable(portal string) bool {
	u, err := url.Parse(portal)
	if err != nil || u.Hostname() == "" || strings.EqualFold(u.Hostname(), "localhost") {
		return false
	}
	a, err := netip.ParseAddr(u.Hostname())
	return err != nil || !a.IsLoopback() && !a.IsUnspecified()
}

// nineSteps draws what is done at each step.
func (d *drawing) nineSteps(y float64) float64 {
	const columns, gap = 3, 2.5
	heights := [...]float64{14.6, 11.4, 14.6} // those of the second row have least to say
	width := (guideWidth - (columns-1)*gap) / columns
	for s := guide.Language; s <= guide.Ready; s++ {
		i := int(s) - 1
		x, height := guideLeft+float64(i%columns)*(width+gap), heights[i/columns]
		d.fill(tint, roundRect(x, y, width, height, 1.4))
		stepPictures[i](&d.canvas, x+1.5, y+(height-7.6)/2, 7.6/12, brand, tint)
		key := s.Key()
		if s == guide.Direction {
			key += ".in"
		}
		said := guide.Of(words.Vietnamese, key)
		switch s {
		case guide.Network:
			said.Do = "Cắm cáp mạng, hoặc đưa mã Wi-Fi (điện thoại hiện được) trước đầu đọc."
		case guide.Enrol:
			said.Do = "Đưa mã ở trang Thêm thiết bị trước đầu đọc. So BỐN TỪ rồi mới đồng ý."
		case guide.Direction:
			said.Do = "Đúng: CÓ. Làn để đi ra: KHÔNG. Có khóa mà không ghi exit: máy bỏ qua."
		case guide.Ready:
			said.Do = "Hiện tên địa điểm. Đợi 20 giây máy mở cửa, rồi đưa một thẻ thật: đèn xanh là xong."
		}
		end := d.set(fmt.Sprintf("%d. %s", s, said.Head), x+10.5, y+0.6, width-11, 5, style{face: bold, size: guideText, least: guideSmall, colour: ink}, left)
		d.set(said.Do, x+10.5, end, width-11.5, y+height-end+0.6, style{size: guideSmall, least: guideSmall, leading: 1.08, colour: ink}, left)
		if i%columns == columns-1 {
			y += height + 1
		}
	}
	return y
}

// lampTable draws the table of the code: on the left an open door, on the right a first
// start.
func (d *drawing) lampTable(y float64) float64 {
	const oneLine, twoLines, gap = 4.7, 7.1, 4.0
	width := (guideWidth - gap) / 2
	right := guideLeft + width + gap
	head := style{face: bold, size: guideSmall, least: guideSmall, colour: ink}
	d.set("Máy đang phục vụ", guideLeft, y, width, 6, head, left)
	d.set("Lần đầu bật máy: đếm số nháy NGẮN sau nháy dài", right, y, width, 6, head, left)
	y += 4.2
	atLeft, atRight := y, y
	for _, l := range guide.Lamps() {
		var n int
		switch {
		case scanned(l.Signal, "step %d", &n):
			if n == 3 { // one example for all
				d.lampRow(l, 10*time.Second, "Vàng, 1 dài rồi đếm: đang chờ ở bước đó (đây: bước 3)", right, atRight, width, twoLines)
				atRight += twoLines
			}
		case scanned(l.Signal, "trouble %d", &n):
			s := guide.Of(words.Vietnamese, guide.Trouble(n).Key())
			said, height := fmt.Sprintf("Đỏ %d: %s. %s", n, s.Head, cures[n-1]), twoLines
			if d.measure(regular, said)*guideSmall <= lampSays(width) {
				height = oneLine
			}
			d.lampRow(l, 10*time.Second, said, right, atRight, width, height)
			atRight += height
		case l.Signal == "awaited":
			d.lampRow(l, 10*time.Second, "Vàng dài, ngắn, dài: máy chủ đang đợi đúng máy này, đồng ý được", right, atRight, width, twoLines)
			atRight += twoLines
		default:
			height := oneLine
			if l.Red && l.Amber {
				height = twoLines
			}
			d.lampRow(l, 6*time.Second, doorLamps[l.Signal], guideLeft, atLeft, width, height)
			atLeft += height
		}
	}
	y = max(atLeft, atRight) + 0.6
	y = d.tight("Không đèn nào sáng quá hai phút: xem nguồn máy, nguồn đèn, dòng wired. Xanh sáng mãi: cắm lại nguồn, xem mạch đệm.", guideLeft, y, guideWidth)
	y = d.tight("Khi đang phục vụ, mất mạng: đèn vẫn như thường, máy vẫn nhận mã, có mạng thì tự gửi. Đưa mã mà đèn không đổi, hay đèn báo Đỏ 3: rút dây đầu đọc, cắm lại, đợi mười giây; chưa được thì ghi sổ giấy và gọi số ở cuối trang.", guideLeft, y, guideWidth)
	// What package device/bare writes while there is no page.
	return d.tight("Màn hình hiện mã: M1 thiếu bộ nhớ, M2 trang không mở, M3 trang dừng, M4 thiếu chương trình, M5 chưa mở. Làm theo chữ ở đó.", guideLeft, y, guideWidth)
}

// cures is what to do about each trouble, in few words.
var cures = [guide.Troubles]string{
	"Cắm chặt cáp.", "Xem mật khẩu, đưa lại mã.", "Cắm lại.", "Xem mạng, đợi.", "Làm tiếp.", "Lấy mã mới.", "Sửa dòng máy báo.", "Thay thẻ nhớ.",
}

// scanned reads a number out of a signal's name.
func scanned(s, format string, n *int) bool {
	_, err := fmt.Sscanf(s, format, n)
	return err == nil
}

// doorLamps is what the lamps of an open door do and mean, in few words.
var doorLamps = map[string]string{
	"ready":      "1 nháy mỗi 3 giây: mời đưa mã",
	"reading":    "nháy nhanh, đều: đang đọc mã, đợi",
	"admitted":   "xanh, sáng vài giây: mời vào",
	"again":      "2 nháy rồi nghỉ: đã ghi rồi, cứ đi",
	"refused":    "nháy đều mỗi giây: hỏi bảo vệ",
	"amber":      "sáng dài, tắt ngắn: đi, ghi sổ giấy",
	"full":       "2 dài rồi nghỉ: bên trong đã đủ",
	"wrong_lane": "3 nháy rồi nghỉ: sang lối kia",
	"fault":      "đỏ và vàng CÙNG nháy mỗi 2 giây: máy hỏng, ghi sổ, gọi số cuối trang",
	"locked":     "đỏ và vàng CÙNG sáng, chớp tắt mỗi 3 giây: máy đã ngừng dùng",
	"ordered":    "1 ngắn 1 dài: đã làm theo thẻ lệnh",
	"here":       "đỏ và vàng CÙNG nháy đôi: quản lý đang tìm máy này",
}

// Where the rhythm of a row stands, and how wide it is.
const (
	lampStrip     = 7.4
	lampStripWide = 27.0
)

// lampSays is how wide the words of a row are.
func lampSays(width float64) float64 { return width - lampStrip - lampStripWide - 1.6 }

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
	const thick = 2.8
	sx, sy, sh := x+lampStrip, y+(height-thick)/2, thick
	d.fill(tint, rect(sx, sy, lampStripWide, sh))
	mm := func(t time.Duration) float64 { return lampStripWide * float64(t) / float64(over) }
	for i, c := range lit {
		h := sh / float64(len(lit))
		top := sy + float64(i)*h
		if len(l.Blink) == 0 {
			d.fill(c, rect(sx, top, lampStripWide, h))
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
	d.middle(means, x+width-lampSays(width), y, lampSays(width), height, style{size: guideSmall, least: guideSmall, leading: 1.05, colour: ink}, left)
}

// wallCodes draws the three codes that answer for whoever has no touch.
func (d *drawing) wallCodes(y float64) error {
	const side, height = 21.0, 31.8
	d.fill(amber, roundRect(guideLeft, y, guideWidth, height, 1.6))
	d.set("Đưa MỘT mã trước đầu đọc; lấy tay che hai mã kia.", guideLeft+3, y+1, guideWidth-6, 5, style{face: bold, size: guideSmall, least: guideSmall, colour: brown}, centre)
	say := map[guide.Answer]string{guide.Yes: "đúng, thấy, nghe", guide.No: "sai, không thấy", guide.Next: "bỏ qua, đi tiếp"}
	x := guideLeft + 4
	for _, a := range guide.Answers() {
		sym, err := encode(string(a))
		if err != nil {
			return err
		}
		d.code(sym, x+sym.margin(side), y+7, side)
		tx := x + side + 2*sym.margin(side) + 1.5
		d.middle(guide.Text(words.Vietnamese, a.Key()), tx, y+8.9, 26, 10, style{face: bold, size: 16 * pt, least: 11 * pt, colour: brown}, left)
		d.set(say[a], tx, y+18.4, 26, 10, style{size: guideSmall, least: guideSmall, colour: brown}, left)
		x += 62
	}
	return nil
}
