package signin_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/qrgate/qrgate/server/qrgate"
	"github.com/qrgate/qrgate/server/signin"
)

// cheap hashes are no less hashes.
var cheap = signin.Params{Time: 1, MemoryKiB: 64, Threads: 1}

func hash(t testing.TB, h *signin.Hasher, password string) string {
	t.Helper()
	stored, err := h.Hash(t.Context(), password)
	if err != nil {
		t.Fatalf("Hash: %v", err)
	}
	return stored
}

func TestPassword(t *testing.T) {
	h := signin.NewHasher(signin.HashOptions{Params: cheap})
	const right = "chợ Đông Ba 8 giờ"
	stored := hash(t, h, right)
	if again := hash(t, h, right); again == stored {
		t.Errorf("two hashes of one password are equal: %s", again)
	}
	tests := []struct {
		name, stored, password string
		err                    error
	}{
		{"right", stored, right, nil},
		{"other", stored, "chợ Đông Ba 9 giờ", signin.ErrWrongPassword},
		{"no marks", stored, "cho Dong Ba 8 gio", signin.ErrWrongPassword},
		{"letters in parts", stored, "cho\u031b\u0323 Đo\u0302ng Ba 8 gio\u031b\u0300", nil},
		{"marks in the other order", stored, "cho\u0323\u031b Đông Ba 8 giờ", nil},
		{"no-break spaces", stored, strings.ReplaceAll(right, " ", "\u00a0"), nil},
		{"superscript is another character", stored, "chợ Đông Ba ⁸ giờ", signin.ErrWrongPassword},
		{"empty", stored, "", signin.ErrWrongPassword},
		{"unknown user", "", right, signin.ErrWrongPassword},
		{"unknown user, empty", "", "", signin.ErrWrongPassword},
		{"endless", stored, strings.Repeat("a", 1<<20), signin.ErrWrongPassword},
		{"damaged hash", stored[:len(stored)-2], right, signin.ErrBadHash},
		{"parameter with a zero in front", strings.Replace(stored, "t=1", "t=01", 1), right, signin.ErrBadHash},
		{"line end in the hash", stored[:len(stored)-4] + "\n" + stored[len(stored)-4:], right, signin.ErrBadHash},
		{"other scheme", "$2b$10$N9qo8uLOickgx2ZMRZoMye", right, signin.ErrBadHash},
		{"a hash that takes 4 TB", strings.Replace(stored, "m=64", "m=4294967295", 1), right, signin.ErrBadHash},
		{"a hash that takes 1 GB", strings.Replace(stored, "m=64", "m=1048576", 1), right, signin.ErrBadHash},
		{"a hash that takes a day", strings.Replace(stored, "t=1", "t=999999999", 1), right, signin.ErrBadHash},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rehash, err := h.Verify(t.Context(), tt.stored, tt.password)
			if !errors.Is(err, tt.err) {
				t.Errorf("Verify = %v, want %v", err, tt.err)
			}
			if rehash {
				t.Error("Verify wants a new hash of the same parameters")
			}
		})
	}
}

// The vector is of the reference implementation:
// echo -n password | argon2 somesalt -id -t 2 -m 16 -p 1
func TestHashOfReferenceImplementation(t *testing.T) {
	const stored = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	rehash, err := signin.NewHasher(signin.HashOptions{}).Verify(t.Context(), stored, "password")
	if err != nil {
		t.Fatalf("Verify = %v", err)
	}
	if !rehash {
		t.Error("Verify does not want a new hash, of today's parameters")
	}
}

func TestRehashWhenParametersChange(t *testing.T) {
	old := signin.NewHasher(signin.HashOptions{Params: cheap})
	stored := hash(t, old, "một mật khẩu dài")
	more := cheap
	more.Time++
	today := signin.NewHasher(signin.HashOptions{Params: more})
	if rehash, err := today.Verify(t.Context(), stored, "một mật khẩu dài"); err != nil || !rehash {
		t.Errorf("Verify of an old hash = %v, %v, want true, nil", rehash, err)
	}
	if rehash, err := today.Verify(t.Context(), stored, "wrong"); !errors.Is(err, signin.ErrWrongPassword) || rehash {
		t.Errorf("Verify of a wrong password = %v, %v, want false, %v", rehash, err, signin.ErrWrongPassword)
	}
}

func TestHashEndsWithContext(t *testing.T) {
	h := signin.NewHasher(signin.HashOptions{Params: signin.Params{Time: 8, MemoryKiB: 8 * 1024, Threads: 1}, Concurrent: 1})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	const waiting = 20
	errs := make(chan error)
	for range waiting {
		go func() {
			_, err := h.Verify(ctx, "", "x")
			errs <- err
		}()
	}
	ended := 0
	for range waiting {
		err := <-errs
		cancel() // after the first
		switch {
		case errors.Is(err, context.Canceled):
			ended++
		case !errors.Is(err, signin.ErrWrongPassword):
			t.Errorf("Verify = %v", err)
		}
	}
	if ended == 0 {
		t.Errorf("all of %d hashes were made one after the other, although their context had ended", waiting)
	}
	if _, err := h.Hash(ctx, "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("Hash after the end = %v, want %v", err, context.Canceled)
	}
}

func TestCheckPassword(t *testing.T) {
	names := []string{"cho.dongba", "thu@hue.example", "0905123456"}
	tests := []struct {
		password string
		err      error
	}{
		{"cây đa bến nước", nil},
		{"xe đạp cũ", nil},
		{"correct horse battery staple", nil},
		{"Tr0ng@ khoai", nil},
		{strings.Repeat("đường", 25) + "abc", nil}, // 128 characters
		{"🚲🚲🏍🛵🚌🛺🚕🚄", nil},
		{"", signin.ErrTooShort},
		{"ngắn quá"[:9], signin.ErrTooShort},
		{"e\u0302\u0301e\u0302\u0301a", signin.ErrTooShort}, // three letters
		{strings.Repeat("xy9k", 32) + "z", signin.ErrTooLong},
		{strings.Repeat("z", 1<<20), signin.ErrTooLong},
		{"with\x00zero", signin.ErrCharacters},
		{"not \xff utf-8", signin.ErrCharacters},
		{"12345678", signin.ErrCommon},
		{"123456789", signin.ErrCommon},
		{"87654321", signin.ErrCommon},
		{"00000000", signin.ErrCommon},
		{"12341234", signin.ErrCommon},
		{"Abcdefgh", signin.ErrCommon},
		{"matkhau1", signin.ErrCommon},
		{"Mật khẩu", signin.ErrCommon},
		{"MatKhau@2026", signin.ErrCommon},
		{"iloveyou", signin.ErrCommon},
		{"Iloveyou!!", signin.ErrCommon},
		{"anhyeuem", signin.ErrCommon},
		{"Anh Yêu Em", signin.ErrCommon},
		{"password", signin.ErrCommon},
		{"P@ssw0rd", signin.ErrCommon},
		{"qwertyuiop", signin.ErrCommon},
		{"vietnam2026", signin.ErrCommon},
		{"19001075", signin.ErrCommon},
		{"cho.dongba", signin.ErrUserName},
		{"Chợ.ĐôngBa", signin.ErrUserName},
		{"cho.dongba123", signin.ErrUserName},
		{"thu@hue.example", signin.ErrUserName},
		{"0905123456", signin.ErrUserName},
	}
	for _, tt := range tests {
		err := signin.CheckPassword(tt.password, names...)
		if !errors.Is(err, tt.err) {
			t.Errorf("CheckPassword(%.40q) = %v, want %v", tt.password, err, tt.err)
		}
		if err != nil && !errors.Is(err, qrgate.ErrInvalid) {
			t.Errorf("CheckPassword(%.40q) = %v, which is no qrgate.ErrInvalid", tt.password, err)
		}
	}
}

// FuzzHash: no stored hash panics or asks for much, and one that is accepted is
// in its one form, so that it can be compared as text.
func FuzzHash(f *testing.F) {
	h := signin.NewHasher(signin.HashOptions{Params: cheap})
	f.Add(hash(f, h, "matkhau"))
	f.Fuzz(func(t *testing.T, stored string) {
		// Hashes that are allowed to take a second say nothing more about the
		// parser than small ones.
		if strings.Contains(stored, "m=") && !strings.Contains(stored, "m=64,") {
			return
		}
		_, err := h.Verify(t.Context(), stored, "matkhau")
		if err != nil && !errors.Is(err, signin.ErrWrongPassword) && !errors.Is(err, signin.ErrBadHash) {
			t.Errorf("Verify(%q) = %v", stored, err)
		}
	})
}

func BenchmarkHash(b *testing.B) {
	h := signin.NewHasher(signin.HashOptions{})
	b.ReportAllocs()
	for b.Loop() {
		hash(b, h, "cây đa bến nước")
	}
}

func BenchmarkVerify(b *testing.B) {
	h := signin.NewHasher(signin.HashOptions{})
	stored := hash(b, h, "cây đa bến nước")
	for _, bb := range []struct {
		name, stored, password string
		err                    error
	}{
		{"right", stored, "cây đa bến nước", nil},
		{"wrong", stored, "cây đa bến đò", signin.ErrWrongPassword},
		{"unknown", "", "cây đa bến nước", signin.ErrWrongPassword},
	} {
		b.Run(bb.name, func(b *testing.B) {
			for b.Loop() {
				if _, err := h.Verify(b.Context(), bb.stored, bb.password); !errors.Is(err, bb.err) {
					b.Fatal(err)
				}
			}
		})
	}
}
