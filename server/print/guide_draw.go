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
	const height = 135.0
	d.fill(grey, frame(guideLeft, y, guideWidth, height, 1.6, 0.25))
	d.header(guideLeft+3, y+3, height-6)
	terms := d.terminals(guideLeft+34, y+10)
	d.lampsPart(y, terms)
	d.doorPart(y, terms)
	return y + height
}

// header draws the 40 pins as they lie on the board, and marks those that are used.
func (d *drawing) header(x, y, height float64) {
	d.set("Hàng 40 chân của Raspberry Pi", x, y, 26, 9, style{face: bold, size: guideSmall, least: guideSmall, leading: 1.1, colour: ink}, centre)
	top, step := y+10.5, (height-23)/20
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
	d.fill(ink, rect(x+9.2, top-0.6, 2.6, 0.3))
	d.set("Chân 1: góc gần thẻ nhớ. Số chẵn: hàng sát mép bo.", x-1.5, top+20*step, 29, 12, style{size: guideSmall, least: guideSmall, leading: 1.06, colour: soft}, centre)
}

// terminals draws the list of pins from which wires go, and returns where each begins.
func (d *drawing) terminals(x, y float64) map[string]point {
	at := map[string]point{}
	signal := func(part string) (key, label string, c color.RGBA) {
		p := pinOf(part)
		return part, fmt.Sprintf("chân %d · %s", p.Header, p.Line), wireSignal
	}
	const width, step = 31.0, 8.4
	row := func(i float64, key, label string, c color.RGBA) {
		top := y + i*step
		d.fill(tint, roundRect(x, top, width, 5.6, 0.9))
		d.fill(c, roundRect(x, top, 1.6, 5.6, 0.5))
		d.middle(label, x+2.4, top, width-2.6, 5.6, style{face: bold, size: guideSmall, least: guideSmall, colour: c}, left)
		at[key] = point{x + width, top + 2.8}
	}
	put := func(i float64, part string) { k, l, c := signal(part); row(i, k, l, c) }
	put(0, "red")
	put(1, "amber")
	put(2, "green")
	put(3, "buzzer")
	row(4, "ground lamps", "chân 14 · GND", wireGround)
	row(6.1, "5V", "chân 2 · 5 V", wirePlus)
	put(7.1, "relay")
	row(8.1, "ground relay", "chân 20 · GND", wireGround)
	put(10.2, "fire")
	row(11.2, "ground fire", "chân 30 · GND", wireGround)
	put(12.7, "button")
	row(13.7, "ground button", "chân 34 · GND", wireGround)
	return at
}

// lampsPart draws the driver, the lamps and the buzzer.
func (d *drawing) lampsPart(y float64, at map[string]point) {
	const x = guideLeft + 82
	d.part("Mạch đệm ULN2803", "", x, y+3, 34, 48)
	bottom := point{}
	for i, part := range []string{"red", "amber", "green", "buzzer"} {
		p := at[part]
		d.wire(wireSignal, p, point{x, p.y})
		d.middle(fmt.Sprintf("IN%d", i+1), x+1.2, p.y-0.4, 10, 4.4, style{size: guideSmall, least: guideSmall, colour: ink}, left)
		d.middle(fmt.Sprintf("OUT%d", i+1), x+20, p.y-0.4, 12.6, 4.4, style{size: guideSmall, least: guideSmall, colour: ink}, right)
		lx := x + 54
		d.wire(wireSignal, point{x + 34, p.y}, point{lx - 2.6, p.y})
		name := []string{"đèn ĐỎ", "đèn VÀNG", "đèn XANH", "còi"}[i]
		if part == "buzzer" {
			d.fill(ink, frame(lx-2.6, p.y-2.4, 5.2, 4.8, 0.8, 0.5))
		} else {
			d.fill([]color.RGBA{lampRed, lampAmber, lampGreen}[i], circle(lx, p.y, 2.6))
		}
		d.middle(name, lx-19, p.y-4.9, 15.5, 4.4, style{size: guideSmall, least: guideSmall, colour: ink}, right)
		d.wire(wirePlus, point{lx + 2.6, p.y}, point{lx + 8, p.y})
		bottom = point{lx + 8, p.y}
	}
	g := at["ground lamps"]
	d.wire(wireGround, g, point{x, g.y})
	d.middle("GND", x+1.2, g.y-0.4, 10, 4.4, style{size: guideSmall, least: guideSmall, colour: ink}, left)
	// The supply's plus goes to every lamp and to COM, its minus to the driver's ground.
	d.wire(wirePlus, point{bottom.x, at["red"].y}, point{bottom.x, g.y - 0.6}, point{x + 34, g.y - 0.6})
	d.middle("COM", x+20, g.y-2.8, 12.6, 4.4, style{size: guideSmall, least: guideSmall, colour: ink}, right)
	d.middle("+12 V", bottom.x+1.2, at["amber"].y-2, 14, 5, style{face: bold, size: guideText, least: guideSmall, colour: wirePlus}, left)
	d.set("nguồn đèn: dây −12 V nối chung với GND", bottom.x+1.2, at["amber"].y+3, 26, 16, style{size: guideSmall, least: guideSmall, leading: 1.1, colour: soft}, left)
}

// doorPart draws the relay, the lock with what cuts its current, and the inputs.
func (d *drawing) doorPart(y float64, at map[string]point) {
	const x = guideLeft + 82
	top := at["5V"].y - 9.6
	d.part("Mạch rơ-le 5 V", "", x, top, 34, 31)
	for _, t := range []struct {
		key, name string
		c         color.RGBA
	}{{"5V", "VCC", wirePlus}, {"relay", "IN", wireSignal}, {"ground relay", "GND", wireGround}} {
		p := at[t.key]
		d.wire(t.c, p, point{x, p.y})
		d.middle(t.name, x+1.2, p.y-0.3, 10, 4.4, style{size: guideSmall, least: guideSmall, colour: ink}, left)
	}
	// 12 V plus, through the alarm's contact and the glass, to COM; from NO to the lock.
	com, no := point{x + 34, at["5V"].y + 2.4}, point{x + 34, at["ground relay"].y}
	d.middle("COM", x+20, com.y-2.2, 12.6, 4.4, style{size: guideSmall, least: guideSmall, colour: ink}, right)
	d.middle("NO", x+20, no.y-2.2, 12.6, 4.4, style{size: guideSmall, least: guideSmall, colour: ink}, right)
	lock := guideLeft + guideWidth - 31
	d.wire(wirePlus, com, point{x + 44, com.y})
	d.contact(x+44, com.y, "nút phá kính")
	d.wire(wirePlus, point{x + 53, com.y}, point{x + 68, com.y})
	d.contact(x+68, com.y, "báo cháy 1")
	d.wire(wirePlus, point{x + 77, com.y}, point{x + 88, com.y})
	d.middle("+12 V", x+89, com.y-2.6, 16, 5, style{face: bold, size: guideText, least: guideSmall, colour: wirePlus}, left)
	d.part("Khóa từ 12 V", "hết điện là MỞ", lock, no.y-4.4, 28, 11)
	d.wire(wirePlus, no, point{lock, no.y})
	d.wire(wireGround, point{lock + 14, no.y + 6.6}, point{lock + 14, no.y + 10.4}, point{lock + 2, no.y + 10.4})
	d.middle("−12 V của nguồn khóa", lock-38, no.y+7.8, 39, 5, style{size: guideSmall, least: guideSmall, colour: wireGround}, right)

	fire, ground := at["fire"], at["ground fire"]
	d.wire(wireSignal, fire, point{x + 8, fire.y}, point{x + 8, (fire.y+ground.y)/2 - 1})
	d.wire(wireGround, ground, point{x + 17, ground.y}, point{x + 17, (fire.y+ground.y)/2 - 1})
	d.contact(x+8, (fire.y+ground.y)/2-1, "")
	d.text("Báo cháy 2: tiếp điểm thường đóng, không điện áp. Cháy hay đứt dây thì hở: máy nhả khóa. Nhà không có báo cháy: nối tắt báo cháy 1, bỏ báo cháy 2, không ghi fire.", x+24, fire.y-2.4, guideWidth-108, guideSmall, regular, ink)

	button, ground := at["button"], at["ground button"]
	d.wire(wireSignal, button, point{x + 8, button.y}, point{x + 8, (button.y+ground.y)/2 - 1})
	d.wire(wireGround, ground, point{x + 17, ground.y}, point{x + 17, (button.y+ground.y)/2 - 1})
	mid := (button.y+ground.y)/2 - 1
	d.fill(ink, circle(x+8, mid, 0.9), circle(x+17, mid, 0.9), stroke(x+9, mid-2, x+16, mid-2, 0.6), stroke(x+12.5, mid-2, x+12.5, mid-4, 0.6))
	d.text("Nút của bảo vệ (thường hở): lần đầu bật máy, bấm ngắn là CÓ; giữ ba giây thì máy nhận mã đăng ký thêm mười phút.", x+24, button.y-2.4, guideWidth-108, guideSmall, regular, ink)
}

// contact draws a contact that is closed unless something happens, nine millimetres wide.
func (d *drawing) contact(x, y float64, name string) {
	d.fill(ink, circle(x, y, 0.9), circle(x+9, y, 0.9), stroke(x, y-0.9, x+9, y-0.9, 0.6), stroke(x+7, y-2.6, x+7, y+0.6, 0.5))
	if name != "" {
		d.set(name, x-7, y+1.2, 23, 5, style{size: guideSmall, least: guideSmall, colour: ink}, centre)
	}
}
