// Package browser drives Debian's Chromium in tests of pages, through its
// debugging pipe. Only tests import it.
//
//	tab := browser.Start(t).Open()
//	tab.Look(360, 640, "light")
//	tab.Visit(url)
//	tab.Wait(`document.querySelector("h1") !== null`)
//	tab.Shoot("first")
//
// The promise: a test that cannot have its browser fails and says so; a Wait that
// does not come true fails with what the page says.
package browser

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// A Browser is Debian's browser, spoken to through its debugging pipe: JSON
// messages that end with a zero byte, on descriptors 3 and 4.
type Browser struct {
	t testing.TB
	*pipe
}

// A pipe is what a browser is spoken to through.
type pipe struct {
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

// Start starts a browser that ends with the test.
func Start(t testing.TB) *Browser {
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
		"--disable-dev-shm-usage", "--hide-scrollbars", "--accept-lang=vi-VN,vi", "about:blank")
	cmd.Env = append(os.Environ(), "HOME="+home, "LANG=vi_VN.UTF-8")
	cmd.ExtraFiles = []*os.File{toRead, toWrite}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	toRead.Close()
	toWrite.Close()
	c := &Browser{t, &pipe{in: in, answers: map[int]chan answer{}}}
	var reading sync.WaitGroup
	reading.Go(func() { c.read(out) })
	t.Cleanup(func() {
		c.try("", "Browser.close", Args{}, nil)
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

func (c *Browser) read(out io.Reader) {
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

// Call runs a method of the debugging protocol and reads its result into to.
func (c *Browser) Call(session, method string, params, to any) {
	c.t.Helper()
	if err := c.try(session, method, params, to); err != nil {
		c.t.Fatal(err)
	}
}

func (c *Browser) try(session, method string, params, to any) error {
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

// A Tab is one page in the browser.
type Tab struct {
	*Browser
	Session string // of the debugging protocol
}

// Args are the parameters of a method of the debugging protocol.
type Args = map[string]any

// For returns the browser for a test of its own within the one that started it.
func (c *Browser) For(t testing.TB) *Browser { return &Browser{t: t, pipe: c.pipe} }

// Open returns a new page.
func (c *Browser) Open() *Tab {
	c.t.Helper()
	return c.open(Args{"url": "about:blank"})
}

// Private returns a new page that shares nothing with others, as in another
// browser.
func (c *Browser) Private() *Tab {
	c.t.Helper()
	var made struct{ BrowserContextID string }
	c.Call("", "Target.createBrowserContext", Args{}, &made)
	return c.open(Args{"url": "about:blank", "browserContextId": made.BrowserContextID})
}

func (c *Browser) open(target Args) *Tab {
	c.t.Helper()
	var made struct{ TargetID, SessionID string }
	c.Call("", "Target.createTarget", target, &made)
	c.Call("", "Target.attachToTarget", Args{"targetId": made.TargetID, "flatten": true}, &made)
	p := &Tab{Browser: c, Session: made.SessionID}
	for _, domain := range []string{"Page", "Runtime", "Log"} {
		p.Call(p.Session, domain+".enable", Args{}, nil)
	}
	return p
}

// Look sets the size of the window in pixels and "light" or "dark".
func (p *Tab) Look(width, height int, scheme string) {
	p.t.Helper()
	p.Call(p.Session, "Emulation.setDeviceMetricsOverride", Args{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}, nil)
	p.Call(p.Session, "Emulation.setEmulatedMedia", Args{"features": []Args{{"name": "prefers-color-scheme", "value": scheme}}}, nil)
}

// Script switches JavaScript on or off.
func (p *Tab) Script(on bool) {
	p.t.Helper()
	p.Call(p.Session, "Emulation.setScriptExecutionDisabled", Args{"value": !on}, nil)
}

// Visit goes to an address and waits until all of it is there.
func (p *Tab) Visit(url string) {
	p.t.Helper()
	var v struct{ ErrorText string }
	p.Call(p.Session, "Page.navigate", Args{"url": url}, &v)
	if v.ErrorText != "" {
		p.t.Fatalf("visit %s: %s", url, v.ErrorText)
	}
	p.Wait("document.readyState === 'complete' && location.href.startsWith(" + fmt.Sprintf("%q", url) + ")")
}

// Eval returns what an expression has as its value.
func (p *Tab) Eval(expression string) any {
	p.t.Helper()
	value, err := p.tryEval(expression)
	if err != nil {
		p.t.Fatal(err)
	}
	return value
}

func (p *Tab) tryEval(expression string) (any, error) {
	var v struct {
		Result           struct{ Value any }
		ExceptionDetails json.RawMessage
	}
	err := p.try(p.Session, "Runtime.evaluate", Args{"expression": expression, "returnByValue": true, "awaitPromise": true}, &v)
	if err == nil && v.ExceptionDetails != nil {
		err = fmt.Errorf("chromium: %s: %s", expression, v.ExceptionDetails)
	}
	return v.Result.Value, err
}

// Wait waits until an expression is true. It has no value while a page is
// loading, nor if it asks for something that is not there yet.
func (p *Tab) Wait(expression string) {
	p.t.Helper()
	for begin := time.Now(); ; {
		value, err := p.tryEval(expression)
		if err == nil && value == true {
			return
		}
		if time.Since(begin) > 30*time.Second {
			p.t.Fatalf("%s is %v, %v after 30 seconds; the page says %v", expression, value, err, p.Eval("document.body.innerText"))
		}
		<-time.After(20 * time.Millisecond) // the browser has no other way to tell
	}
}

// Fill writes into the field with a label that begins with the given words, or
// chooses what begins with value where the field is a choice, or checks a box.
func (p *Tab) Fill(label, value string) {
	p.t.Helper()
	done := p.Eval(fmt.Sprintf(`(() => {
		const says = (e, text) => e.textContent.trim().replace(/\s+/g, " ").startsWith(text);
		const label = [...document.querySelectorAll("label")].find((l) => l.control && l.control.checkVisibility() && says(l, %[1]q));
		const field = label?.control;
		if (!field) return "no field";
		field.focus();
		if (field.type === "radio" || field.type === "checkbox") {
			if (!field.checked) field.click();
			return "";
		}
		if (field.tagName === "SELECT") {
			const option = [...field.options].find((o) => says(o, %[2]q));
			if (!option) return "no choice";
			field.value = option.value;
		} else field.value = %[2]q;
		field.dispatchEvent(new Event("input", {bubbles: true}));
		field.dispatchEvent(new Event("change", {bubbles: true}));
		return "";
	})()`, label, value))
	if done != "" {
		p.t.Fatalf("fill %q with %q: %v; the page says %v", label, value, done, p.Eval("document.body.innerText"))
	}
}

// Press is Click that waits until another page is there.
func (p *Tab) Press(words string) {
	p.t.Helper()
	p.Eval("window.pressed = true")
	p.Click(words)
	p.Wait("window.pressed !== true && document.readyState === 'complete'")
}

// Click presses the button or follows the link whose words begin as given. Where
// several are alike it is the first in the main part of the page.
func (p *Tab) Click(words string) {
	p.t.Helper()
	done := p.Eval(fmt.Sprintf(`(() => {
		const all = [...document.querySelectorAll("main :is(a, button, summary)"), ...document.querySelectorAll("a, button")];
		document.querySelector("#menu:not(:checked)")?.click(); // on a phone, to see what is in it
		const found = all.find((e) => e.checkVisibility() && e.textContent.trim().replace(/\s+/g, " ").startsWith(%q));
		if (!found) return false;
		found.click();
		return true;
	})()`, words))
	if done != true {
		p.t.Fatalf("press %q: there is no such button or link; the page says %v", words, p.Eval("document.body.innerText"))
	}
}

// Shoot leaves a picture of the window among the test's artifacts, or where name
// says if it is an absolute path. Without go test -artifacts, which would throw it away,
// none is taken.
func (p *Tab) Shoot(name string) {
	p.t.Helper()
	if wanted(name) {
		p.shoot(name, Args{"format": "png"})
	}
}

// wanted reports whether anybody will see a picture.
func wanted(name string) bool {
	kept := flag.Lookup("test.artifacts")
	return filepath.IsAbs(name) || kept != nil && kept.Value.String() == "true"
}

func (p *Tab) shoot(name string, how Args) {
	p.t.Helper()
	var v struct{ Data string }
	p.Call(p.Session, "Page.captureScreenshot", how, &v)
	png, err := base64.StdEncoding.DecodeString(v.Data)
	if !filepath.IsAbs(name) {
		name = filepath.Join(p.t.ArtifactDir(), name)
	}
	if err == nil {
		err = os.WriteFile(name+".png", png, 0o644)
	}
	if err != nil {
		p.t.Error(err)
	}
}

// ShootAll is Shoot of the whole page, however long.
func (p *Tab) ShootAll(name string) {
	p.t.Helper()
	if wanted(name) {
		p.shoot(name, Args{"format": "png", "captureBeyondViewport": true, "clip": p.Eval(
			`({x: 0, y: 0, width: document.documentElement.clientWidth, height: Math.min(document.documentElement.scrollHeight, 6000), scale: 1})`)})
	}
}

// Complaints returns what the console has complained of.
func (c *Browser) Complaints() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.faults
}
