//go:build full

package e2e_test

import (
	"net/url"
	"testing"
	"time"
)

// Whoever presses while the line is cut opens nothing, however soon the line is back; and
// a kiosk that is told to restart ends as its unit wants it, and says that it is back.
func TestDoorThatIsOpenedTooLate(t *testing.T) {
	t.Parallel()
	p, o := operate(t)
	o.give("restart")
	if err := p.kiosk.run.Wait(); err != nil {
		t.Errorf("told to restart, the kiosk ended with %v", err)
	}
	p.kiosk.start()
	o.until("the restart", func(page string) bool { return o.state(page, "Khởi động lại") == "Đã làm" })

	o.give("door")
	at := o.ready()
	p.proxy.Down.Store(true)
	p.proxy.Cut()
	o.post(at, url.Values{})
	time.Sleep(11 * time.Second) // longer than a press lasts
	p.proxy.Down.Store(false)
	o.until("that nobody opened it", func(page string) bool { return o.state(page, "Mở cửa") == "Hết hạn" })
	if n := p.kiosk.pulses(); n != 0 {
		t.Errorf("the door was opened %d times", n)
	}
}
