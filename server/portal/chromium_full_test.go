//go:build full

package portal_test

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// A chromium is Debian's browser, spoken to through its debugging pipe: JSON
// messages that end with a zero byte, on descriptors 3 and 4.
type chromium struct {
	t  *testing.T
	in io.Writer

	mu      sync.Mutex
	next    int
	answers map[int]chan answer
	faults  []string // what the browser's console complained of
}

type answer struct {
	Result json.RawMessage
	Error  *struct{ Message string }
}

func startChromium(t *testing.T) *chromium {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("Debian's package chromium is needed: ", err)
	}
	toRead, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	out, toWrite, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	cmd := exec.Command(path, "--headless", "--no-sandbox", "--remote-debugging-pipe", "--user-data-dir="+filepath.Join(home, "profile"),
		"--no-first-run", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-sync",
		"--disable-dev-shm-usage", "--hide-scrollbars", "about:blank")
	cmd.Env = append(os.Environ(), "HOME="+home, "LANG=vi_VN.UTF-8")
	cmd.ExtraFiles = []*os.File{toRead, toWrite}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	toRead.Close()
	toWrite.Close()
	c := &chromium{t: t, in: in, answers: map[int]chan answer{}}
	var reading sync.WaitGroup
	reading.Go(func() { c.read(out) })
	t.Cleanup(func() {
		c.try("", "Browser.close", args{}, nil)
		in.Close()
		// It may hang in its end, which is not what is tested.
		kill := time.AfterFunc(10*time.Second, func() { cmd.Process.Kill() })
		defer kill.Stop()
		cmd.Wait()
		reading.Wait()
		out.Close()
	})
	return c
}

func (c *chromium) read(out io.Reader) {
	for r := bufio.NewReader(out); ; {
		text, err := r.ReadBytes(0)
		if err != nil {
			return
		}
		var m struct {
			ID     int
			Method string
			Params json.RawMessage
			answer
		}
		if err := json.Unmarshal(text[:len(text)-1], &m); err != nil {
			c.t.Errorf("chromium says %q: %v", text, err)
			return
		}
		c.mu.Lock()
		if to := c.answers[m.ID]; to != nil {
			to <- m.answer
			delete(c.answers, m.ID)
		}
		if m.Method == "Log.entryAdded" || m.Method == "Runtime.exceptionThrown" {
			c.faults = append(c.faults, string(m.Params))
		}
		c.mu.Unlock()
	}
}

// call runs a method of the debugging protocol and reads its result into to.
func (c *chromium) call(session, method string, params, to any) {
	c.t.Helper()
	if err := c.try(session, method, params, to); err != nil {
		c.t.Fatal(err)
	}
}

func (c *chromium) try(session, method string, params, to any) error {
	done := make(chan answer, 1)
	c.mu.Lock()
	c.next++
	c.answers[c.next] = done
	m := map[string]any{"id": c.next, "method": method, "params": params}
	if session != "" {
		m["sessionId"] = session
	}
	text, err := json.Marshal(m)
	if err == nil {
		_, err = c.in.Write(append(text, 0))
	}
	c.mu.Unlock()
	if err != nil {
		return fmt.Errorf("chromium: %s: %w", method, err)
	}
	select {
	case a := <-done:
		if a.Error != nil {
			return fmt.Errorf("chromium: %s: %s", method, a.Error.Message)
		}
		if to == nil {
			return nil
		}
		return json.Unmarshal(a.Result, to)
	case <-time.After(time.Minute):
		return fmt.Errorf("chromium: %s: no answer in a minute", method)
	}
}

// A tab is one page in the browser.
type tab struct {
	*chromium
	session string
}

type args = map[string]any

func (c *chromium) open() *tab {
	c.t.Helper()
	var made struct{ TargetID, SessionID string }
	c.call("", "Target.createTarget", args{"url": "about:blank"}, &made)
	c.call("", "Target.attachToTarget", args{"targetId": made.TargetID, "flatten": true}, &made)
	p := &tab{c, made.SessionID}
	for _, domain := range []string{"Page", "Runtime", "Log"} {
		p.call(p.session, domain+".enable", args{}, nil)
	}
	return p
}

func (p *tab) look(width, height int, scheme string) {
	p.t.Helper()
	p.call(p.session, "Emulation.setDeviceMetricsOverride", args{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}, nil)
	p.call(p.session, "Emulation.setEmulatedMedia", args{"features": []args{{"name": "prefers-color-scheme", "value": scheme}}}, nil)
}

func (p *tab) script(on bool) {
	p.t.Helper()
	p.call(p.session, "Emulation.setScriptExecutionDisabled", args{"value": !on}, nil)
}

func (p *tab) visit(url string) {
	p.t.Helper()
	var v struct{ ErrorText string }
	p.call(p.session, "Page.navigate", args{"url": url}, &v)
	if v.ErrorText != "" {
		p.t.Fatalf("visit %s: %s", url, v.ErrorText)
	}
	p.wait("document.readyState === 'complete' && location.href.startsWith(" + fmt.Sprintf("%q", url) + ")")
}

// eval returns what an expression has as its value.
func (p *tab) eval(expression string) any {
	p.t.Helper()
	value, err := p.tryEval(expression)
	if err != nil {
		p.t.Fatal(err)
	}
	return value
}

func (p *tab) tryEval(expression string) (any, error) {
	var v struct {
		Result           struct{ Value any }
		ExceptionDetails json.RawMessage
	}
	err := p.try(p.session, "Runtime.evaluate", args{"expression": expression, "returnByValue": true, "awaitPromise": true}, &v)
	if err == nil && v.ExceptionDetails != nil {
		err = fmt.Errorf("chromium: %s: %s", expression, v.ExceptionDetails)
	}
	return v.Result.Value, err
}

// wait waits until an expression is true. It has no value while a page is
// loading, nor if it asks for something that is not there yet.
func (p *tab) wait(expression string) {
	p.t.Helper()
	for begin := time.Now(); ; {
		value, err := p.tryEval(expression)
		if err == nil && value == true {
			return
		}
		if time.Since(begin) > 30*time.Second {
			p.t.Fatalf("%s is %v, %v after 30 seconds; the page says %v", expression, value, err, p.eval("document.body.innerText"))
		}
		<-time.After(20 * time.Millisecond) // the browser has no other way to tell
	}
}

// shoot leaves a picture of the page among the test's artifacts.
func (p *tab) shoot(name string) {
	p.t.Helper()
	var v struct{ Data string }
	p.call(p.session, "Page.captureScreenshot", args{"format": "png"}, &v)
	png, err := base64.StdEncoding.DecodeString(v.Data)
	if err == nil {
		err = os.WriteFile(filepath.Join(p.t.ArtifactDir(), name+".png"), png, 0o644)
	}
	if err != nil {
		p.t.Error(err)
	}
}

// complaints returns what the console has complained of.
func (c *chromium) complaints() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.faults
}
