package e2e_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// A card that a clerk revokes or replaces in the portal is refused at the door: at
// once where there is a network, and from the next connection on where there was
// none. What the door was told it keeps, through starts, a damaged file and a
// server that has forgotten.
func TestVoidCardsAreRefusedAtTheDoor(t *testing.T) {
	t.Parallel()
	p, clerk := setCards(t, "")
	s := p.stage
	for _, name := range []string{"Nguyễn Văn An", "Trần Thị Bình", "Lê Văn Cường", "Phạm Thị Dung", "Hoàng Văn Em"} {
		clerk.issue(name, "card")
	}
	clerk.issue("Võ Thị Giang", "family")
	card := func(number, issue int, more ...string) string {
		return p.command(append([]string{"card", "-number", fmt.Sprint(number), "-issue", fmt.Sprint(issue)}, more...)...)
	}
	an, binh, binhAgain, cuong, dung := card(1, 1), card(2, 1), card(2, 2), card(3, 1), card(4, 1)
	giang := card(6, 1, "-kind", "family")

	t.Log("online")
	p.told(1)
	for _, text := range []string{an, binh, cuong, giang} {
		p.kiosk.show(text)
	}
	backup := filepath.Join(t.TempDir(), "backup")
	p.command("backup", backup)
	clerk.revoke(1)
	clerk.replace(2, 1)
	clerk.revoke(6)
	began := time.Now()
	p.told(4)
	if took := time.Since(began); took > time.Minute {
		t.Errorf("a kiosk with a network heard of a void card after %s, want within a minute", took)
	} else {
		t.Logf("the kiosk heard of three void cards after %s", took.Round(time.Second))
	}
	for _, text := range []string{an, binh, giang} {
		p.kiosk.refused(text)
	}
	p.kiosk.show(binhAgain)

	t.Log("offline")
	p.proxy.Down.Store(true)
	p.proxy.Cut()
	clerk.revoke(3)
	p.kiosk.show(cuong) // nobody could tell
	p.kiosk.kill()
	p.kiosk.start()
	p.kiosk.refused(an)
	p.kiosk.refused(binh)
	p.proxy.Down.Store(false)
	p.told(5)
	p.kiosk.refused(cuong)

	t.Log("a damaged file")
	p.kiosk.stop()
	list := filepath.Join(p.kiosk.State(), "void.list")
	b, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	bad := bytes.Clone(b)
	bad[len(bad)/2] ^= 0x10
	if err := os.WriteFile(list, bad, 0o600); err != nil {
		t.Fatal(err)
	}
	p.kiosk.start()
	p.until("the kiosk has the list again", func() bool {
		again, err := os.ReadFile(list)
		return err == nil && bytes.Equal(again, b)
	})
	p.kiosk.refused(an)
	p.kiosk.refused(cuong)

	t.Log("a server restored from before")
	p.killServers()
	files, err := filepath.Glob(filepath.Join(s.ServerState(), "qrgate.db*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("the database is not where it should be: %v", err)
	}
	for _, f := range files {
		if err := os.Remove(f); err != nil {
			t.Fatal(err)
		}
	}
	p.command("restore", backup)
	p.command("cards", "revoke", "4", "-reason", "stolen")
	p.startServers()
	p.told(2)
	for _, text := range []string{dung, an, binh, cuong, giang} { // the server knows of the first alone
		p.kiosk.refused(text)
	}
	p.command("cards", "confirm")
	p.told(3)
	p.kiosk.refused(dung)
	p.kiosk.show(an)
	if got := p.command("cards", "list"); !strings.Contains(got, "version 3: 1 void cards; confirmed") {
		t.Errorf("cards list = %s", got)
	}
}

// setCards starts a server, a clerk who has signed in, and a kiosk on a line that
// can be cut.
func setCards(t *testing.T, config string) (*play, *clerk) {
	t.Helper()
	p, _ := atOneDoor(t, "cho-dong-ba-1", "Chợ Đông Ba", config)
	p.kiosk.start()
	return p, newClerk(t, p.stage)
}

var versionTold = regexp.MustCompile(`\(version (\d+)\)\s+\d{4}-`)

// told waits until the kiosk says that it holds a version of the list, and that the
// server has no newer one.
func (p *play) told(version int) {
	p.Helper()
	p.until(fmt.Sprintf("the kiosk holds list %d", version), func() bool {
		m := versionTold.FindStringSubmatch(p.command("kiosk", "list"))
		return m != nil && m[1] == fmt.Sprint(version)
	})
}
