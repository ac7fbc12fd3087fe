package print

import (
	"fmt"
	"image/color"

	"github.com/qrgate/qrgate/sync/guide"
)

// stepPictures are the pictures of the steps of a first start, in order.
var stepPictures = [guide.Steps]pictogram{picLanguage, picNetwork, picEnrol, picScanner, picLamps, picSound, picVoice, picDirection, done}

func picLanguage(c *canvas, x, y, u float64, line, paper color.RGBA) {
	c.fill(line, roundRect(x, y, 8*u, 6*u, u), stroke(x+2*u, y+6*u, x+2*u, y+7.4*u, 0.8*u))
	c.fill(paper, stroke(x+1.8*u, y+1.6*u, x+2.8*u, y+4.4*u, 0.7*u), stroke(x+3.8*u, y+1.6*u, x+2.8*u, y+4.4*u, 0.7*u), stroke(x+5.8*u, y+1.6*u, x+5.8*u, y+4.4*u, 0.7*u))
	c.fill(line, roundRect(x+5*u, y+7*u, 7*u, 5*u, u))
	for i := range 3 {
		c.fill(paper, rect(x+6*u, y+(7.9+1.3*float64(i))*u, 5*u, 0.6*u))
	}
}

func picNetwork(c *canvas, x, y, u float64, line, paper color.RGBA) {
	c.fill(line, stroke(x+6*u, y, x+6*u, y+4*u, 1.2*u), roundRect(x+3*u, y+3.5*u, 6*u, 8.5*u, 0.8*u))
	for i := range 4 {
		c.fill(paper, rect(x+(3.8+1.25*float64(i))*u, y+8*u, 0.6*u, 3.2*u))
	}
	c.fill(paper, rect(x+4.4*u, y+4.6*u, 3.2*u, 1.4*u))
}

func picEnrol(c *canvas, x, y, u float64, line, paper color.RGBA) {
	c.fill(line, roundRect(x, y, 12*u, 9*u, u), rect(x+4*u, y+9*u, 4*u, 1.4*u), rect(x+2.5*u, y+10.4*u, 7*u, u))
	c.fill(paper, roundRect(x+0.9*u, y+0.9*u, 10.2*u, 7.2*u, 0.4*u))
	c.fill(line, finder(x+4*u, y+2.4*u, u))
}

func picScanner(c *canvas, x, y, u float64, line, paper color.RGBA) {
	c.fill(line, roundRect(x+2*u, y, 8*u, 3.4*u, 0.8*u))
	c.fill(paper, rect(x+3.4*u, y+1.9*u, 5.2*u, 0.8*u))
	c.fill(line, stroke(x+3.6*u, y+3.8*u, x+2.6*u, y+5.6*u, 0.35*u), stroke(x+8.4*u, y+3.8*u, x+9.4*u, y+5.6*u, 0.35*u))
	card(c, x+1.5*u, y+4.8*u, 0.75*u, line, paper)
}

func picLamps(c *canvas, x, y, u float64, line, _ color.RGBA) {
	c.fill(line, roundRect(x+3*u, y, 6*u, 12*u, 1.6*u))
	for i, l := range []color.RGBA{lampRed, lampAmber, lampGreen} {
		c.fill(l, circle(x+6*u, y+(2.4+3.6*float64(i))*u, 1.5*u))
	}
}

func picSound(c *canvas, x, y, u float64, line, _ color.RGBA) {
	var p path
	p.move(x+0.5*u, y+4*u)
	p.line(x+3*u, y+4*u)
	p.line(x+6*u, y+1.2*u)
	p.line(x+6*u, y+10.8*u)
	p.line(x+3*u, y+8*u)
	p.line(x+0.5*u, y+8*u)
	c.fill(line, p, stroke(x+8*u, y+4.4*u, x+8*u, y+7.6*u, 0.8*u), stroke(x+10.2*u, y+2.6*u, x+10.2*u, y+9.4*u, 0.8*u))
}

func picVoice(c *canvas, x, y, u float64, line, paper color.RGBA) {
	c.fill(line, roundRect(x, y+0.6*u, 12*u, 8*u, 1.4*u), stroke(x+3*u, y+8.6*u, x+2.4*u, y+11*u, 1.2*u))
	for i, h := range []float64{1.6, 4, 2.4, 5, 3} {
		c.fill(paper, rect(x+(1.8+1.9*float64(i))*u, y+(4.6-h/2)*u, 0.9*u, h*u))
	}
}

func picDirection(c *canvas, x, y, u float64, line, _ color.RGBA) {
	c.fill(line, frame(x+6*u, y, 6*u, 12*u, 0, 0.9*u), circle(x+10*u, y+6*u, 0.6*u))
	c.fill(line, arrow(x, y+6*u, 8.4*u, 5*u))
}

// arrow is an arrow to the right with its tail at x, y.
func arrow(x, y, length, height float64) path {
	var p path
	p.move(x, y-height*0.18)
	p.line(x+length-height*0.6, y-height*0.18)
	p.line(x+length-height*0.6, y-height/2)
	p.line(x+length, y)
	p.line(x+length-height*0.6, y+height/2)
	p.line(x+length-height*0.6, y+height*0.18)
	p.line(x, y+height*0.18)
	return p
}

// Colours of wires, each also told by its label.
var (
	wireSignal = color.RGBA{0x1d, 0x4e, 0x9e, 255}
	wireGround = color.RGBA{0x30, 0x36, 0x3d, 255}
	wirePlus   = color.RGBA{0xb3, 0x17, 0x1d, 255}
)

// wire draws a wire through points, each straight on or square.
func (d *drawing) wire(c color.RGBA, points ...point) {
	var p path
	for i := 1; i < len(points); i++ {
		p = append(p, stroke(points[i-1].x, points[i-1].y, points[i].x, points[i].y, 0.55)...)
	}
	d.fill(c, p)
}

// part draws a box with a title and what stands below it.
func (d *drawing) part(title, about string, x, y, w, h float64) {
	d.fill(ink, frame(x, y, w, h, 1.2, 0.4))
	end := d.set(title, x+1.5, y+0.8, w-3, h, style{face: bold, size: guideText, least: guideSmall, leading: 1.12, colour: ink}, left)
	d.set(about, x+1.5, end, w-3, h-(end-y), style{size: guideSmall, least: guideSmall, leading: 1.12, colour: soft}, left)
}

// pinOf returns the pin of a part.
func pinOf(part string) guide.Pin {
	for _, p := range guide.Pins() {
		if p.Part == part {
			return p
		}
	}
	panic("print: no pin for " + part) // a bug of ours: the table is ours
}

// wiring draws the board's header and what hangs on it, and returns where it ends.
func (d *drawing) wiring(y float64) float64 {
	const height = 107.0
	d.fill(grey, frame(guideLeft, y, guideWidth, height, 1.6, 0.25))
	d.header(guideLeft+3, y+2, height-4)
	terms := d.terminals(guideLeft+34, y+8)
	d.lampsPart(y, terms)
	d.doorPart(terms)
	return y + height
}

// header draws the 40 pins as they lie on the board, and marks those that are used.
func (d *drawing) header(x, y, height float64) {
	d.set("Hàng 40 chân của Raspberry Pi", x, y, 26, 9, style{face: bold, size: guideSmall, least: guideSmall, leading: 1.1, colour: ink}, centre)
	top, step := y+10.5, (height-25)/20
	d.fill(ink, frame(x+7.2, top-1.6, 11.6, 20*step+1.4, 1, 0.35))
	used := map[int]color.RGBA{2: wirePlus, 14: wireGround, 20: wireGround, 30: wireGround, 34: wireGround}
	for _, p := range guide.Pins() {
		used[p.Header] = wireSignal
	}
	for i := range 40 {
		n := i + 1
		px, py := x+10.4, top+0.8+float64(i/2)*step
		label, a := x+1, right
		if n%2 == 0 {
			px, label, a = x+15.6, x+19.8, left
		}
		c, ok := used[n]
		if !ok {
			d.fill(grey, frame(px-1.3, py-1.3, 2.6, 2.6, 1.3, 0.3))
			continue
		}
		d.fill(c, circle(px, py, 1.5))
		d.middle(fmt.Sprint(n), label, py-2.2, 5.4, 4.4, style{face: bold, size: guideSmall, least: guideSmall, colour: c}, a)
	}
	d.set("1", x+1, top-0.9, 5.4, 5, style{size: guideSmall, least: guideSmall, colour: soft}, right)
	d.set("Chân 1: góc gần thẻ nhớ. Số chẵn: hàng sát mép bo.", x-1.5, top+20*step+1.6, 29, 12, style{size: guideSmall, least: guideSmall, leading: 1.06, colour: soft}, centre)
}

// terminals draws the list of pins from which wires go, and returns where each begins.
func (d *drawing) terminals(x, y float64) map[string]point {
	at := map[string]point{}
	const width, step, high = 31.0, 7.2, 5.4
	row := func(i float64, key, label string, c color.RGBA) {
		top := y + i*step
		d.fill(tint, roundRect(x, top, width, high, 0.9))
		d.fill(c, roundRect(x, top, 1.6, high, 0.5))
		d.middle(label, x+2.4, top, width-2.6, high, style{face: bold, size: guideSmall, least: guideSmall, colour: c}, left)
		at[key] = point{x + width, top + high/2}
	}
	put := func(i float64, part string) {
		p := pinOf(part)
		row(i, part, fmt.Sprintf("chân %d · %s", p.Header, p.Line), wireSignal)
	}
	put(0, "red")
	put(1, "amber")
	put(2, "green")
	put(3, "buzzer")
	row(4, "ground lamps", "chân 14 · GND", wireGround)
	row(5.9, "5V", "chân 2 · 5 V", wirePlus)
	put(6.9, "relay")
	row(7.9, "ground relay", "chân 20 · GND", wireGround)
	put(9.3, "fire")
	row(10.3, "ground fire", "chân 30 · GND", wireGround)
	put(11.7, "button")
	row(12.7, "ground button", "chân 34 · GND", wireGround)
	return at
}

// pinned sets what a pin of a part is called, on the height of its wire.
func (d *drawing) pinned(name string, x, width, y float64, a align) {
	d.middle(name, x, y-2.2, width, 4.4, style{size: guideSmall, least: guideSmall, colour: ink}, a)
}

// note sets a few lines in small letters.
func (d *drawing) note(s string, x, y, width float64, c color.RGBA) {
	d.set(s, x, y, width, 60, style{size: guideSmall, least: guideSmall, leading: 1.1, colour: c}, left)
}

// partLeft and partWide are where the driver and the relay stand.
const (
	partLeft = guideLeft + 79.0
	partWide = 36.0
)

// lampsPart draws the driver, the lamps and the buzzer. Pins are those of the driver's
// case with 18 of them.
func (d *drawing) lampsPart(y float64, at map[string]point) {
	const x = partLeft
	g := at["ground lamps"]
	d.part("Mạch đệm ULN2803", "", x, y+1.6, partWide, g.y+4-(y+1.6))
	lx := x + partWide + 20.0
	for i, part := range []string{"red", "amber", "green", "buzzer"} {
		p := at[part]
		d.wire(wireSignal, p, point{x, p.y})
		d.pinned(fmt.Sprintf("IN%d (%d)", i+1, i+1), x+1.2, 15, p.y, left)
		d.pinned(fmt.Sprintf("OUT%d (%d)", i+1, 18-i), x+partWide-17.2, 16, p.y, right)
		d.wire(wireSignal, point{x + partWide, p.y}, point{lx - 2.6, p.y})
		if part == "buzzer" {
			d.fill(ink, frame(lx-2.6, p.y-2.2, 5.2, 4.4, 0.8, 0.5))
		} else {
			d.fill([]color.RGBA{lampRed, lampAmber, lampGreen}[i], circle(lx, p.y, 2.4))
		}
		d.middle([]string{"đèn ĐỎ", "đèn VÀNG", "đèn XANH", "còi"}[i], lx-20, p.y-4.7, 16.8, 4.4, style{size: guideSmall, least: guideSmall, colour: ink}, right)
		d.wire(wirePlus, point{lx + 2.6, p.y}, point{lx + 7, p.y})
	}
	d.wire(wireGround, g, point{x, g.y})
	d.pinned("GND (9)", x+1.2, 15, g.y, left)
	// The supply's plus goes to every lamp and to COM, its minus to the driver's ground.
	d.wire(wirePlus, point{lx + 7, at["red"].y}, point{lx + 7, g.y}, point{x + partWide, g.y})
	d.pinned("COM (10)", x+partWide-17.2, 16, g.y, right)
	tx := lx + 8.4
	width := guideLeft + guideWidth - 1.5 - tx
	d.wire(wirePlus, point{lx + 7, at["red"].y}, point{tx + 1, at["red"].y})
	d.middle("+12 V NGUỒN ĐÈN", tx+1.6, at["red"].y-2.5, width-1.6, 5, style{face: bold, size: guideSmall, least: guideSmall, colour: wirePlus}, left)
	d.note("Cực ÂM (0 V) nguồn đèn: nối vào GND (9) của ULN2803. Đèn, còi: dây dương chung vào +12 V, dây âm vào OUT. Mỗi cái dưới 0,2 A, cả bốn dưới 0,5 A. Chân 1: bên trái vết khuyết, đếm ngược chiều kim đồng hồ.", tx+0.6, at["red"].y+3.2, width, ink)
}

// doorPart draws the relay, the lock with what cuts its current, and the inputs.
func (d *drawing) doorPart(at map[string]point) {
	const x = partLeft
	com, no := at["5V"], at["ground relay"]
	top := com.y - 7
	d.part("Mạch rơ-le 5 V", "", x, top, partWide, no.y+3.4-top)
	for _, t := range []struct {
		key, name string
		c         color.RGBA
	}{{"5V", "VCC", wirePlus}, {"relay", "IN", wireSignal}, {"ground relay", "GND", wireGround}} {
		p := at[t.key]
		d.wire(t.c, p, point{x, p.y})
		d.pinned(t.name, x+1.2, 12, p.y, left)
	}
	// Plus of the lock's supply, through a fuse and three contacts, to COM; from NO to the lock.
	d.pinned("COM", x+partWide-13.2, 12, com.y, right)
	d.pinned("NO", x+partWide-13.2, 12, no.y, right)
	from := x + partWide
	for i, name := range []string{"nút ra", "phá kính", "báo cháy 1"} {
		to := x + partWide + 4 + 16.5*float64(i)
		d.wire(wirePlus, point{from, com.y}, point{to, com.y})
		d.contact(to, com.y, name)
		from = to + 9
	}
	d.fill(ink, frame(from+8, com.y-1.3, 7, 2.6, 0.4, 0.4))
	d.wire(wirePlus, point{from, com.y}, point{from + 20, com.y})
	d.set("cầu chì", from+4, com.y+1.2, 15, 5, style{size: guideSmall, least: guideSmall, colour: ink}, centre)
	d.middle("+12 V NGUỒN KHÓA", from-17, com.y-7, 37.5, 5, style{face: bold, size: guideSmall, least: guideSmall, colour: wirePlus}, right)
	lock := guideLeft + guideWidth - 30
	d.part("Khóa từ 12 V", "hết điện là MỞ", lock, no.y-5, 28, 10.2)
	d.wire(wirePlus, point{x + partWide, no.y}, point{x + partWide + 3, no.y}, point{x + partWide + 3, no.y - 2.4}, point{lock, no.y - 2.4})
	d.wire(wireGround, point{lock - 4, no.y + 2.6}, point{lock, no.y + 2.6})
	d.middle("cực ÂM (0 V) nguồn khóa", lock-47, no.y+0.3, 42, 4.6, style{size: guideSmall, least: guideSmall, colour: wireGround}, right)

	fire, ground := at["fire"], at["ground fire"]
	mid := (fire.y + ground.y) / 2
	d.wire(wireSignal, fire, point{x + 5, fire.y}, point{x + 5, mid})
	d.wire(wireGround, ground, point{x + 14, ground.y}, point{x + 14, mid})
	d.contact(x+5, mid, "")
	const note = x + 20
	width := guideLeft + guideWidth - 1.5 - note
	d.note("Báo cháy 2: tiếp điểm khô, thường đóng, KHÁC với báo cháy 1. Cháy hay đứt dây thì hở: máy nhả khóa. Nhà không có tủ báo cháy: nối tắt báo cháy 1, bỏ báo cháy 2, không ghi fire.", note, fire.y-2.7, width, ink)

	button, ground := at["button"], at["ground button"]
	mid = (button.y + ground.y) / 2
	d.wire(wireSignal, button, point{x + 5, button.y}, point{x + 5, mid})
	d.wire(wireGround, ground, point{x + 14, ground.y}, point{x + 14, mid})
	d.fill(ink, circle(x+5, mid, 0.9), circle(x+14, mid, 0.9), stroke(x+6, mid-1.8, x+13, mid-1.8, 0.6), stroke(x+9.5, mid-1.8, x+9.5, mid-3.4, 0.6))
	d.note("Nút bảo vệ (thường hở). Lần đầu bật máy: bấm ngắn là CÓ; giữ ba giây rồi nhả: máy nhận mã đăng ký thêm mười phút. Ngày thường nút không làm gì, KHÔNG mở cửa.", note, button.y-2.7, width, ink)
}

// contact draws a contact that is closed unless something happens, nine millimetres wide.
func (d *drawing) contact(x, y float64, name string) {
	d.fill(ink, circle(x, y, 0.9), circle(x+9, y, 0.9), stroke(x, y-0.9, x+9, y-0.9, 0.6), stroke(x+7, y-2.6, x+7, y+0.6, 0.5))
	if name != "" {
		d.set(name, x-7, y+1.2, 23, 5, style{size: guideSmall, least: guideSmall, colour: ink}, centre)
	}
}
