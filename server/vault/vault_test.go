package vault_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/vault"
	"github.com/qrgate/qrgate/sync/pass"
)

var (
	now   = time.Date(2026, 11, 24, 8, 0, 0, 0, qrgate.Zone)
	today = qrgate.DayOf(now)
)

func at(t *time.Time) vault.Options {
	return vault.Options{Now: func() time.Time { return *t }}
}

func open(t testing.TB, dir vault.Dir, m vault.Master, o vault.Options) *vault.Vault {
	t.Helper()
	v, err := vault.Open(dir, m, o)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// newVault returns a vault at now, and what else opens it.
func newVault(t testing.TB) (*vault.Vault, vault.Dir, vault.Master) {
	t.Helper()
	dir, m := vault.Dir(filepath.Join(t.TempDir(), "vault")), vault.NewMaster()
	if err := vault.Init(dir, m); err != nil {
		t.Fatal(err)
	}
	return open(t, dir, m, at(&now)), dir, m
}

func mustSubject(t testing.TB, v *vault.Vault, day qrgate.Day, p qrgate.Person) qrgate.Subject {
	t.Helper()
	s, err := v.Subject(day, p)
	if err != nil {
		t.Fatalf("Subject(%s) = %v, want nil", day, err)
	}
	return s
}

func TestSubject(t *testing.T) {
	v, dir, m := newVault(t)
	again := open(t, dir, m, at(&now))
	rapid.Check(t, func(t *rapid.T) {
		p := qrgate.Person(rapid.Uint64().Draw(t, "person"))
		day := today + qrgate.Day(rapid.IntRange(-vault.DaysBack, vault.DaysAhead).Draw(t, "day"))
		s, err := v.Subject(day, p)
		if err != nil {
			t.Fatalf("Subject(%s, %d) = %v", day, p, err)
		}
		if got, err := again.Person(day, s); got != p || err != nil {
			t.Fatalf("Person(%s, Subject(%d)) = %d, %v", day, p, got, err)
		}
		if same, err := again.Subject(day, p); same != s || err != nil {
			t.Fatalf("Subject(%s, %d) = %x, %v, then %x", day, p, s, err, same)
		}
	})
}

func TestSubjectsOfTwoDaysHaveNothingInCommon(t *testing.T) {
	v, _, _ := newVault(t)
	p := vault.NewPerson()
	a, b := mustSubject(t, v, today, p), mustSubject(t, v, today-1, p)
	if a == b {
		t.Errorf("Subject is %x on both days", a)
	}
	if got, err := v.Person(today-1, a); !errors.Is(err, vault.ErrSubject) {
		t.Errorf("Person of another day's subject = %d, %v, want ErrSubject", got, err)
	}
}

func TestOnlyDaysNearTodayGetAKey(t *testing.T) {
	v, _, _ := newVault(t)
	for _, tt := range []struct {
		day  qrgate.Day
		want error
	}{
		{today - vault.DaysBack - 1, vault.ErrDay},
		{today - vault.DaysBack, nil},
		{today + vault.DaysAhead, nil},
		{today + vault.DaysAhead + 1, vault.ErrDay},
	} {
		if _, err := v.Subject(tt.day, 1); !errors.Is(err, tt.want) {
			t.Errorf("Subject(%s) = %v, want %v", tt.day, err, tt.want)
		}
	}
	if _, err := v.Person(today-5, qrgate.Subject{1}); !errors.Is(err, qrgate.ErrNotFound) {
		t.Errorf("Person of a day without a key = %v, want ErrNotFound", err)
	}
	days, err := v.Days()
	if diff := cmp.Diff([]qrgate.Day{today - vault.DaysBack, today + vault.DaysAhead}, days); diff != "" || err != nil {
		t.Errorf("Days() (-want +got):\n%s, error %v", diff, err)
	}
}

func TestKeyOfAnOldDayIsStillUsed(t *testing.T) {
	clock := now
	_, dir, m := newVault(t)
	v := open(t, dir, m, at(&clock))
	s := mustSubject(t, v, today, 7)
	clock = now.AddDate(0, 0, vault.DaysBack+10)
	if got, err := v.Person(today, s); got != 7 || err != nil {
		t.Errorf("Person = %d, %v, want 7", got, err)
	}
	if got := mustSubject(t, v, today, 7); got != s {
		t.Errorf("Subject = %x, want %x", got, s)
	}
}

func TestShred(t *testing.T) {
	v, dir, m := newVault(t)
	s := mustSubject(t, v, today, 7)
	mustSubject(t, v, today-1, 7)
	old, err := os.Open(filepath.Join(string(dir), "days", today.String()+".key"))
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	for range 2 { // the second time is harmless
		if err := v.Shred(today); err != nil {
			t.Fatalf("Shred = %v", err)
		}
	}
	if err := v.Shred(today - 2); err != nil {
		t.Fatalf("Shred of a day without a key = %v", err)
	}
	for name, v := range map[string]*vault.Vault{"same": v, "opened again": open(t, dir, m, at(&now))} {
		if _, err := v.Person(today, s); !errors.Is(err, vault.ErrShredded) {
			t.Errorf("%s: Person = %v, want ErrShredded", name, err)
		}
		for _, day := range []qrgate.Day{today, today - 2} {
			if _, err := v.Subject(day, 7); !errors.Is(err, vault.ErrShredded) {
				t.Errorf("%s: Subject(%s) = %v, want ErrShredded", name, day, err)
			}
		}
		if days, err := v.Days(); !cmp.Equal(days, []qrgate.Day{today - 1}) || err != nil {
			t.Errorf("%s: Days() = %v, %v, want yesterday alone", name, days, err)
		}
	}
	b := make([]byte, 200)
	n, _ := old.ReadAt(b, 0)
	if n == 0 || len(bytes.Trim(b[:n], "\x00")) != 0 {
		t.Errorf("the old file holds %x, want zeros", b[:n])
	}
}

// A power cut after the key is overwritten and before the mark is there.
func TestShredThatWasCutShort(t *testing.T) {
	v, dir, m := newVault(t)
	mustSubject(t, v, today, 7)
	path := filepath.Join(string(dir), "days", today.String()+".key")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, make([]byte, info.Size()), 0o600); err != nil {
		t.Fatal(err)
	}
	again := open(t, dir, m, at(&now))
	if _, err := again.Subject(today, 7); !errors.Is(err, vault.ErrShredded) {
		t.Errorf("Subject = %v, want ErrShredded", err)
	}
	if err := again.Shred(today); err != nil {
		t.Errorf("Shred = %v, want nil", err)
	}
}

func TestAnotherProcessForgetsAShreddedKeyWithinAMinute(t *testing.T) {
	clock := now
	a, dir, m := newVault(t)
	b := open(t, dir, m, at(&clock))
	s := mustSubject(t, b, today, 7)
	if err := a.Shred(today); err != nil {
		t.Fatal(err)
	}
	clock = now.Add(time.Minute)
	if _, err := b.Person(today, s); !errors.Is(err, vault.ErrShredded) {
		t.Errorf("Person a minute after another process's Shred = %v, want ErrShredded", err)
	}
}

func TestProcessesAgreeOnADay(t *testing.T) {
	_, dir, m := newVault(t)
	const processes, days = 8, 10
	var got [processes][days]qrgate.Subject
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range processes {
		v := open(t, dir, m, at(&now))
		wg.Go(func() {
			<-start
			for d := range days {
				s, err := v.Subject(today-qrgate.Day(d), 7)
				if err != nil {
					t.Errorf("Subject = %v", err)
				}
				got[i][d] = s
			}
		})
	}
	close(start)
	wg.Wait()
	for i := range processes {
		if got[i] != got[0] {
			t.Errorf("process %d has other keys than process 0", i)
		}
	}
}

func TestShreddingWhileOthersCreate(t *testing.T) {
	v, dir, m := newVault(t)
	for d := range 20 {
		day := today - qrgate.Day(d)
		other := open(t, dir, m, at(&now))
		var wg sync.WaitGroup
		wg.Go(func() { other.Subject(day, 7) })
		if err := v.Shred(day); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		if _, err := open(t, dir, m, at(&now)).Subject(day, 7); !errors.Is(err, vault.ErrShredded) {
			t.Errorf("Subject(%s) after Shred = %v, want ErrShredded", day, err)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	_, dir, m := newVault(t)
	if _, err := vault.Open(dir, vault.NewMaster(), vault.Options{}); !errors.Is(err, vault.ErrMaster) {
		t.Errorf("Open with another master key = %v, want ErrMaster", err)
	}
	if _, err := vault.Open(vault.Dir(t.TempDir()), m, vault.Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open of an empty directory = %v, want fs.ErrNotExist", err)
	}
	if err := vault.Init(dir, m); !errors.Is(err, fs.ErrExist) {
		t.Errorf("second Init = %v, want fs.ErrExist", err)
	}
}

func TestKeyUnderAnotherDaysNameDoesNotOpen(t *testing.T) {
	v, dir, m := newVault(t)
	mustSubject(t, v, today, 7)
	from := filepath.Join(string(dir), "days", today.String()+".key")
	to := filepath.Join(string(dir), "days", (today-1).String()+".key")
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, dir, m, at(&now)).Subject(today-1, 7); !errors.Is(err, vault.ErrMaster) {
		t.Errorf("Subject = %v, want ErrMaster", err)
	}
}

func TestIdentity(t *testing.T) {
	v, dir, m := newVault(t)
	a := v.Identity(pass.CCCD, "001099000001")
	if b := open(t, dir, m, vault.Options{}).Identity(pass.CCCD, "001099000001"); a != b {
		t.Errorf("Identity = %x, then %x", a, b)
	}
	other, _, _ := newVault(t)
	for name, b := range map[string][16]byte{
		"another kind":   v.Identity(pass.BHYT, "001099000001"),
		"another number": v.Identity(pass.CCCD, "001099000002"),
		"another vault":  other.Identity(pass.CCCD, "001099000001"),
	} {
		if a == b {
			t.Errorf("Identity of %s is the same", name)
		}
	}
}

func TestDetail(t *testing.T) {
	v, dir, m := newVault(t)
	p := vault.NewPerson()
	key := v.NewPersonKey(p)
	sealed, err := v.SealDetail(p, key, "name", []byte("Trần Thị B"))
	if err != nil {
		t.Fatal(err)
	}
	again := open(t, dir, m, vault.Options{})
	if got, err := again.OpenDetail(p, key, "name", sealed); string(got) != "Trần Thị B" || err != nil {
		t.Errorf("OpenDetail = %q, %v", got, err)
	}
	second, err := v.SealDetail(p, key, "name", []byte("Trần Thị B"))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(second, sealed) {
		t.Error("SealDetail twice gives the same bytes")
	}
	bad := bytes.Clone(sealed)
	bad[len(bad)-1] ^= 1
	for name, f := range map[string]func() ([]byte, error){
		"another field":  func() ([]byte, error) { return v.OpenDetail(p, key, "phone", sealed) },
		"another person": func() ([]byte, error) { return v.OpenDetail(p+1, key, "name", sealed) },
		"another key":    func() ([]byte, error) { return v.OpenDetail(p, v.NewPersonKey(p), "name", sealed) },
		"changed":        func() ([]byte, error) { return v.OpenDetail(p, key, "name", bad) },
		"empty":          func() ([]byte, error) { return v.OpenDetail(p, key, "name", nil) },
		"no key":         func() ([]byte, error) { return v.OpenDetail(p, nil, "name", sealed) },
		"seal, no key":   func() ([]byte, error) { return v.SealDetail(p, nil, "name", []byte("x")) },
	} {
		if got, err := f(); !errors.Is(err, vault.ErrDetail) {
			t.Errorf("%s: = %q, %v, want ErrDetail", name, got, err)
		}
	}
}

func TestMasterFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "master.key")
	m := vault.NewMaster()
	if err := m.Write(path); err != nil {
		t.Fatal(err)
	}
	if err := vault.NewMaster().Write(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("Write over a master key = %v, want fs.ErrExist", err)
	}
	got, err := vault.ReadMaster(path)
	if err != nil {
		t.Fatal(err)
	}
	if key, err := got.Unwrap("x", m.Wrap("x", []byte("key"))); string(key) != "key" || err != nil {
		t.Errorf("Unwrap by the master key that was read = %q, %v", key, err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode = %v, %v, want 0600", info.Mode(), err)
	}
	for _, mode := range []os.FileMode{0o640, 0o604, 0o660} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := vault.ReadMaster(path); err == nil || !strings.Contains(err.Error(), "chmod 0600") {
			t.Errorf("ReadMaster of mode %04o = %v, want a refusal", mode, err)
		}
	}
}

func TestKeysDoNotPrint(t *testing.T) {
	path := filepath.Join(t.TempDir(), "master.key")
	m := vault.NewMaster()
	if err := m.Write(path); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	secret := strings.Fields(string(b))[1][:8]
	within := struct{ m vault.Master }{m}
	for _, s := range []string{fmt.Sprint(m), fmt.Sprintf("%#v", m), fmt.Sprintf("%+v", within), fmt.Sprintf("%#v", within)} {
		if strings.Contains(s, secret) {
			t.Errorf("prints the key: %s", s)
		}
	}
}

func TestShredRemovesWhatACrashLeft(t *testing.T) {
	v, dir, _ := newVault(t)
	mustSubject(t, v, today, 7)
	old := filepath.Join(string(dir), "days", ".new-old")
	fresh := filepath.Join(string(dir), "days", ".new-fresh")
	for _, path := range []string{old, fresh} {
		if err := os.WriteFile(path, []byte("wrapped"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	past := time.Now().Add(-2 * time.Hour)
	if err := os.Chtimes(old, past, past); err != nil {
		t.Fatal(err)
	}
	if err := v.Shred(today - 1); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(old); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Shred left %s: %v", old, err)
	}
	if _, err := os.Stat(fresh); err != nil {
		t.Errorf("Shred took a file that another process may be writing: %v", err)
	}
	if days, err := v.Days(); !cmp.Equal(days, []qrgate.Day{today}) || err != nil {
		t.Errorf("Days() = %v, %v, want today", days, err)
	}
}

// FuzzDayKey reads any bytes as a day's key.
func FuzzDayKey(f *testing.F) {
	v, dir, m := newVault(f)
	mustSubject(f, v, today, 7)
	good, err := os.ReadFile(filepath.Join(string(dir), "days", today.String()+".key"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add([]byte("QGK1"))
	f.Add([]byte("QGX1\n"))
	f.Add(make([]byte, 76))
	f.Add([]byte{})
	path := filepath.Join(string(dir), "days", today.String()+".key")
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := open(t, dir, m, at(&now)).Subject(today, 7)
		if ok := bytes.Equal(b, good); ok != (err == nil) {
			t.Errorf("Subject with key file %x = %v", b, err)
		}
	})
}

func FuzzParseMaster(f *testing.F) {
	f.Add("qrgate-master-1 " + strings.Repeat("0f", 32) + "\n")
	f.Add("qrgate-master-1 0f")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		m, err := vault.ParseMaster(text)
		if err != nil {
			return
		}
		again, err := vault.ParseMaster(strings.ToLower(text))
		if err != nil {
			t.Fatalf("ParseMaster(%q) = nil, of its lower case %v", text, err)
		}
		if key, err := again.Unwrap("x", m.Wrap("x", []byte("key"))); string(key) != "key" || err != nil {
			t.Errorf("Unwrap = %q, %v", key, err)
		}
	})
}

func BenchmarkSubject(b *testing.B) {
	_, dir, m := newVault(b)
	v := open(b, dir, m, vault.Options{})
	day := qrgate.DayOf(time.Now())
	b.RunParallel(func(pb *testing.PB) {
		for p := qrgate.Person(0); pb.Next(); p++ {
			if _, err := v.Subject(day, p); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkPerson(b *testing.B) {
	_, dir, m := newVault(b)
	v := open(b, dir, m, vault.Options{})
	day := qrgate.DayOf(time.Now())
	s := mustSubject(b, v, day, 7)
	for b.Loop() {
		if _, err := v.Person(day, s); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpenDetail(b *testing.B) {
	v, _, _ := newVault(b)
	key := v.NewPersonKey(7)
	sealed, err := v.SealDetail(7, key, "name", []byte("Trần Thị B"))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := v.OpenDetail(7, key, "name", sealed); err != nil {
			b.Fatal(err)
		}
	}
}
