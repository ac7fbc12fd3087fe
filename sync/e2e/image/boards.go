package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// overlays are what Debian's descriptions of the boards lack, and the symbol of a board
// that each is for. They are laid on here, so that the firmware needs none of its own,
// which Debian does not have.
var overlays = []struct{ name, symbol string }{
	{"clock", "i2c1"},
	{"clock-rp1", "rp1_i2c1"},
	{"header-uart", "bt"},
}

// board returns Debian's description of a board with our overlays.
func (b *build) board(ctx context.Context, path string) ([]byte, error) {
	out := filepath.Join(b.work, filepath.Base(path))
	args := []string{"-i", path, "-o", out}
	for _, o := range overlays {
		if b.command(ctx, "fdtget", path, "/__symbols__", o.symbol).Run() != nil {
			continue
		}
		packed := filepath.Join(b.work, o.name+".dtbo")
		if err := b.must(ctx, "dtc", "-q", "-@", "-I", "dts", "-O", "dtb", "-o", packed, filepath.Join(here, "boards", o.name+".dts")); err != nil {
			return nil, err
		}
		args = append(args, packed)
	}
	if len(args) == 4 {
		return nil, fmt.Errorf("%s: a board without a place for a clock", filepath.Base(path))
	}
	if err := b.must(ctx, "fdtoverlay", args...); err != nil {
		return nil, err
	}
	return os.ReadFile(out)
}
