package release_test

import (
	"errors"
	"testing"

	"github.com/qrgate/qrgate/sync/release"
)

func TestVersionsAreOrdered(t *testing.T) {
	order := []string{"dev", "0.9.0", "1.0.0", "1.0.9", "1.0.10", "1.2.0", "2.0.0", "10.0.0"}
	for i, a := range order {
		for j, b := range order {
			want := 0
			if i < j {
				want = -1
			} else if i > j {
				want = 1
			}
			if got := release.Compare(a, b); got != want {
				t.Errorf("Compare(%q, %q) = %d, want %d", a, b, got, want)
			}
		}
	}
}

func TestWhatIsNoVersion(t *testing.T) {
	for _, v := range []string{"", "1", "1.2", "1.2.3.4", "01.2.3", "1.2.-3", "+1.2.3", "1.2.3 ", "../../x", "1.2.3/..", "1.2.100000", "1.2.3-rc", "١.٢.٣"} {
		if release.Valid(v) {
			t.Errorf("Valid(%q) = true", v)
		}
	}
}

func TestABuildIsWhatItIsSignedAs(t *testing.T) {
	a := release.About{Product: release.Product, Version: "1.4.0", Arch: "arm64", Note: "Sửa lỗi máy quét"}
	got, err := release.ParseAbout(a.Encode())
	if err != nil || got != a {
		t.Fatalf("ParseAbout = %+v, %v, want %+v", got, err, a)
	}
	if err := got.Is("1.4.0", "arm64"); err != nil {
		t.Errorf("Is(1.4.0, arm64) = %v", err)
	}
	for _, other := range [][2]string{{"1.4.1", "arm64"}, {"1.4.0", "arm"}} {
		if err := got.Is(other[0], other[1]); !errors.Is(err, release.ErrInvalid) {
			t.Errorf("Is%q = %v, want ErrInvalid", other, err)
		}
	}
	a.Product = "qrgate-server"
	if err := a.Is("1.4.0", "arm64"); !errors.Is(err, release.ErrInvalid) {
		t.Errorf("another product: %v", err)
	}
}

func FuzzParseAbout(f *testing.F) {
	f.Add([]byte(`{"product":"qrgate-kiosk","version":"1.4.0","arch":"arm64"}`))
	f.Add([]byte(`{"product":"qrgate-kiosk","version":"../..","arch":"arm64"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := release.ParseAbout(b)
		if err != nil {
			return
		}
		if again, err := release.ParseAbout(a.Encode()); err == nil && again != a {
			t.Fatalf("%+v came back as %+v", a, again)
		}
	})
}
