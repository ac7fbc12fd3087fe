//go:build full

package e2e_test

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/qrgate/qrgate/sync/e2e/browser"
	"github.com/qrgate/qrgate/sync/e2e/stage"
)

// Operations staff do in a browser all that a fleet asks of them, beside the real
// programs: what the kiosk sees is a picture of the page.
func TestFleetInABrowser(t *testing.T) {
	t.Parallel()
	w := newWalk(t)
	w.page.Visit(w.base + "/thiet-bi/them")
	w.page.Press("Đặt ở đây")
	w.page.Fill("Tên cổng", "B7")
	k, id := w.enrol("first")
	face := w.faceOf["first"]

	t.Log("it is watched")
	w.page.Press("Xem thiết bị " + id)
	w.page.Wait(`document.body.innerText.includes("Trực tuyến")`)
	w.page.Visit(w.base + "/thiet-bi")
	w.page.Wait(`!document.querySelector("[data-when=live]").hidden`)
	row := fmt.Sprintf(`document.querySelector("[data-kiosk=%s]").innerText`, id)
	w.page.Wait(row + `.includes("Trực tuyến")`)
	k.kill()
	w.page.Wait(row + `.includes("Mất liên lạc")`)
	k.start()
	w.page.Wait(row + `.includes("Trực tuyến")`)

	t.Log("it is configured, refuses an address at which nobody answers, and returns")
	at := w.base + "/thiet-bi/" + id + "/cau-hinh"
	w.configure(at, "Số trợ giúp trên màn hình", "0234 3822 999")
	w.says(at, "Đang chạy bản mới nhất")
	w.until("the screen shows it", func() bool { return strings.Contains(fetch(t, "http://"+face), "0234 3822 999") })
	nowhere, err := stage.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	w.configure(at, "Địa chỉ máy chủ", "tls://"+nowhere)
	w.says(at, "Kiosk từ chối")
	w.says(at, "không máy chủ nào trả lời")
	w.page.Press("Trở lại bản này")
	w.page.Press("Lưu")
	w.says(at, "Đang chạy bản mới nhất")

	t.Log("it restarts, and its door is opened too late")
	w.order(id, "Khởi động lại")
	if err := k.run.Wait(); err != nil {
		t.Errorf("told to restart, the kiosk ended with %v", err)
	}
	k.start()
	w.page.Wait(`document.body.innerText.includes("Đã làm")`)
	w.order(id, "Chuẩn bị mở")
	w.page.Wait(`[...document.querySelectorAll("button")].some((b) => b.innerText.includes("MỞ CỬA"))`)
	k.pause()
	w.page.Press("MỞ CỬA")
	time.Sleep(11 * time.Second) // longer than a press lasts
	k.goOn()
	w.says(w.base+"/thiet-bi/"+id+"/lenh", "Hết hạn")
	if n := k.pulses(); n != 0 {
		t.Errorf("the door was opened %d times", n)
	}

	t.Log("it is revoked")
	w.until("it is connected", func() bool { return w.metric("qrgate_broker_clients") == "2" })
	w.page.Visit(w.base + "/thiet-bi/" + id + "/danh-tinh")
	w.page.Eval("window.confirm = () => true")
	began := time.Now()
	w.page.Press("Thu hồi thiết bị")
	w.until("it is cut off", func() bool { return w.metric("qrgate_broker_clients") == "1" })
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %s to cut it off", took)
	}
	w.page.Wait(`document.body.innerText.includes("đã thu hồi")`)
	k.stop()

	t.Log("other hardware takes its place")
	w.page.Press("Thay thiết bị")
	_, next := w.enrol("second")
	w.page.Press("Danh tính thiết bị")
	for _, want := range []string{"Các thiết bị ở cổng này", id, next, "Thay cho"} {
		w.page.Wait(fmt.Sprintf("document.body.innerText.includes(%q)", want))
	}
	if c := w.page.Complaints(); len(c) > 0 {
		t.Errorf("the browser complains: %v", c)
	}
}

// A walk is somebody with a browser, a server, and kiosks in their boxes.
type walk struct {
	*play
	base   string
	page   *browser.Tab
	faceOf map[string]string // address of the screen of a kiosk, by the name of its folder
}

func newWalk(t *testing.T) *walk {
	t.Helper()
	p, _ := onStage(t, stage.Options{})
	s := p.stage
	w := &walk{play: p, base: "http://" + s.Portal, faceOf: map[string]string{}}
	w.startServers()
	(&organiser{signIn(t, s, "owner.ba")}).placeOf("Chợ Đông Ba")
	operator := signIn(t, s, "van-hanh", "-role", "operator")
	operator.confirm("/thiet-bi")
	w.page = browser.Start(t).Open()
	w.page.Look(1280, 1000, "light")
	at, err := url.Parse(w.base)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range operator.Jar.Cookies(at) {
		w.page.Call(w.page.Session, "Network.setCookie", browser.Args{"name": c.Name, "value": c.Value, "url": w.base}, nil)
	}
	return w
}

// enrol makes a code for the door that the page asks for, holds the page before the
// camera of a new kiosk, and confirms its words.
func (w *walk) enrol(name string) (*visited, string) {
	w.Helper()
	face, err := stage.FreeAddress()
	if err != nil {
		w.Fatal(err)
	}
	w.faceOf[name] = face
	frames := filepath.Join(w.stage.Dir, name+"-frames") // what its camera sees
	if err := os.Mkdir(frames, 0o700); err != nil {
		w.Fatal(err)
	}
	made, err := w.stage.NewKiosk(name, fmt.Sprintf("[server]\ntrial = \"3s\"\n[screen]\nlisten = %q\n[[camera]]\nkind = \"files\"\npath = %q\nrate = 5\n", face, frames))
	if err != nil {
		w.Fatal(err)
	}
	k := &visited{Kiosk: made, t: w.T}
	k.start()
	w.page.Press("Tạo mã")
	w.page.Wait(`document.querySelector(".enrol-code img").complete`)
	seen := filepath.Join(frames, "page.png")
	w.page.Shoot(strings.TrimSuffix(seen, ".png"))
	w.page.Wait(`document.querySelector(".enrol-words") !== null`)
	if err := os.Remove(seen); err != nil {
		w.Fatal(err)
	}
	words := w.page.Eval(`document.querySelector(".enrol-words").innerText`).(string)
	var shown []string
	for _, m := range screenWord.FindAllStringSubmatch(fetch(w.T, "http://"+face), -1) {
		shown = append(shown, m[1])
	}
	if words != strings.Join(shown, " ") {
		w.Fatalf("the page shows %q, the kiosk %q", words, shown)
	}
	w.page.Click("✓ Giống nhau, xác nhận")
	w.page.Wait(`document.body.innerText.includes("Thiết bị đã sẵn sàng")`)
	made.ID = w.page.Eval(`document.querySelector("main a[href$='/danh-tinh']").pathname.split("/")[2]`).(string)
	w.until("the door is open", func() bool { return strings.Contains(fetch(w.T, "http://"+face), "Chợ Đông Ba") })
	return k, made.ID
}

// configure sets one thing on a page of a configuration, and confirms it.
func (w *walk) configure(at, label, value string) {
	w.Helper()
	w.page.Visit(at)
	w.page.Fill(label, value)
	w.page.Fill("Vì sao thay đổi", "thử")
	w.page.Press("Xem thay đổi")
	w.page.Wait(fmt.Sprintf("document.querySelector('ins').innerText == %q", value))
	w.page.Press("Lưu")
}

// says waits until a page says something, and reads it again as people do.
func (w *walk) says(at, want string) {
	w.Helper()
	w.until("the page says "+want, func() bool {
		w.page.Visit(at)
		return w.page.Eval(fmt.Sprintf("document.body.innerText.includes(%q)", want)) == true
	})
}

// order gives a kiosk an order, and is sure of it.
func (w *walk) order(kiosk, words string) {
	w.Helper()
	w.page.Visit(w.base + "/thiet-bi/" + kiosk + "/lenh")
	w.page.Press(words)
	if w.page.Eval(`document.querySelector("h1").innerText`) == "Xin xác nhận" {
		w.page.Press(words)
	}
}

// pause stops the kiosk where it stands, as a machine that hangs; goOn is its end.
func (v *visited) pause() { v.signal(syscall.SIGSTOP) }
func (v *visited) goOn()  { v.signal(syscall.SIGCONT) }

func (v *visited) signal(s syscall.Signal) {
	v.t.Helper()
	if err := syscall.Kill(v.run.PID(), s); err != nil {
		v.t.Fatal(err)
	}
}
