package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/qrgate/qrgate/sync/e2e/initramfs"

	"github.com/qrgate/qrgate/sync/sdcard"
)

// A kernel is Debian's, unpacked.
type kernel struct {
	release string
	modules string // with modules.dep
	image   string
}

// boards are the modules that bring up the card, on the boards and in qemu. One that a
// kernel does not have is of another board.
var boards = []string{
	"mmc_block", "sdhci_iproc", "sdhci_brcmstb", "bcm2835", "bcm2835_wdt", "virtio_pci", "virtio_blk", "usb_storage", "uas", "sd_mod", "xhci_pci",
}

// systems are the modules that read the card, which every kernel must have, in itself or
// beside it.
var systems = []string{"loop", "squashfs", "overlay", "ext4", "vfat", "nls_cp437", "nls_ascii", "nls_iso8859_1", "nls_utf8"}

// checksum is what an older ext4 looks up by its name, which depmod knows nothing of but
// that it was said. In newer kernels it is a part of the kernel.
const checksum = "crc32c_generic"

// early returns the modules that a kernel is started with.
func (k kernel) early() ([]initramfs.Module, error) {
	var all []initramfs.Module
	for _, name := range boards {
		mods, err := initramfs.Resolve(k.modules, []string{name})
		if err != nil {
			fmt.Fprintln(os.Stderr, "image:", err)
		}
		all = append(all, mods...)
	}
	wanted := systems
	said, err := os.ReadFile(filepath.Join(k.modules, "modules.softdep"))
	if err != nil {
		return nil, err
	}
	if regexp.MustCompile(`(?m)^softdep ext4 pre:.*\bcrc32c\b`).Match(said) {
		wanted = append([]string{checksum}, wanted...)
	}
	mods, err := initramfs.Resolve(k.modules, wanted)
	return append(all, mods...), err
}

func (b *build) kernel(ctx context.Context) (kernel, error) {
	dirs, _ := filepath.Glob(b.parts("unpacked/usr/lib/modules/*")) // the patterns are well formed
	images, _ := filepath.Glob(b.parts("unpacked/usr/lib/modules/*/vmlinuz"))
	older, _ := filepath.Glob(b.parts("unpacked/boot/vmlinuz-*"))
	if images = append(images, older...); len(dirs) != 1 || len(images) != 1 {
		return kernel{}, fmt.Errorf("kernels: %q, %q", dirs, images)
	}
	k := kernel{modules: dirs[0], release: filepath.Base(dirs[0]), image: images[0]}
	if _, err := os.Stat(filepath.Join(k.modules, "modules.dep")); err != nil {
		// depmod wants the modules where a system has them: below lib.
		if err := b.must(ctx, "depmod", "-b", b.parts("unpacked", "usr"), k.release); err != nil {
			return k, err
		}
	}
	return k, nil
}

// boot returns the file system that the firmware and the kernel start from.
func (b *build) boot(ctx context.Context, k kernel) (string, error) {
	dir := filepath.Join(b.work, "boot")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	initrd, err := b.initrd(ctx, k)
	if err != nil {
		return "", fmt.Errorf("initramfs: %w", err)
	}
	// A Pi 5 would keep the current on a coil whose program was killed.
	cmdline := sdcard.CmdlineStart + " pinctrl_rp1.persist_gpio_outputs=0 console=tty1 quiet loglevel=4 panic=10 net.ifnames=0 systemd.show_status=false\n"
	config, err := os.ReadFile(filepath.Join(here, "config.txt"))
	if err != nil {
		return "", err
	}
	if b.arch == armhf {
		config = bytes.Replace(config, []byte("arm_64bit=1"), []byte("arm_64bit=0"), 1)
	}
	for name, content := range map[string][]byte{"initrd.img": initrd, "cmdline.txt": []byte(cmdline), "config.txt": config} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return "", err
		}
	}
	copies := map[string]string{k.image: "vmlinuz"}
	for _, pattern := range []string{
		b.parts("unpacked/usr/lib/linux-image-*", b.arch.boards),
		b.parts("unpacked/usr/lib/raspi-firmware/start*.elf"), b.parts("unpacked/usr/lib/raspi-firmware/fixup*.dat"),
	} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			return "", fmt.Errorf("nothing at %s: %v", pattern, err)
		}
		for _, path := range found {
			copies[path] = filepath.Base(path)
		}
	}
	for from, to := range copies {
		// Of the firmware's variants those with more cameras and codecs, or that
		// debug, are for others.
		if slices.ContainsFunc([]string{"_x.", "_db.", "x.elf", "x.dat", "db.elf", "db.dat", "cd.elf", "cd.dat"}, func(s string) bool { return strings.Contains(to, s) }) {
			continue
		}
		content, err := os.ReadFile(from)
		if err == nil && filepath.Ext(to) == ".dtb" {
			content, err = b.board(ctx, from)
		}
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(dir, to), content, 0o644); err != nil {
			return "", err
		}
	}
	fat := filepath.Join(b.work, "boot.fat")
	return fat, b.fat(ctx, fat, 32, sdcard.RootOffset, "QRGATE-SYS", dir)
}

// fat makes a file system of so many bytes that holds the files of a folder.
func (b *build) fat(ctx context.Context, path string, bits int, size int64, label, dir string) error {
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		return err
	}
	if err := os.Truncate(path, size); err != nil {
		return err
	}
	if err := b.must(ctx, "mkfs.fat", "--invariant", "-F", fmt.Sprint(bits), "-n", label, "-i", "51524731", path); err != nil {
		return err
	}
	return filepath.WalkDir(dir, func(from string, d fs.DirEntry, err error) error { // in order
		if err != nil || from == dir {
			return err
		}
		name, err := filepath.Rel(dir, from)
		if err != nil {
			return err
		}
		if err := os.Chtimes(from, b.made, b.made); err != nil {
			return err
		}
		return b.must(ctx, "mcopy", "-m", "-i", path, from, "::"+name)
	})
}

// initrd makes the initramfs: our own first program and the modules that it loads.
func (b *build) initrd(ctx context.Context, k kernel) ([]byte, error) {
	program := filepath.Join(b.work, "qrgate-init")
	if err := b.goBuild(ctx, program, "./device/system/qrgate-init"); err != nil {
		return nil, err
	}
	var a initramfs.Archive
	for _, d := range []string{"modules", "proc", "sys", "dev", "sysroot"} {
		a.Add(d, os.ModeDir|0o755, nil)
	}
	content, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	a.Add("init", 0o755, content)
	var list strings.Builder
	done := map[string]bool{}
	mods, err := k.early()
	if err != nil {
		return nil, err
	}
	for _, m := range mods {
		name := strings.TrimSuffix(filepath.Base(m.Path), ".xz")
		if done[name] {
			continue
		}
		done[name] = true
		content, err := unpacked(m.Path)
		if err != nil {
			return nil, err
		}
		a.Add("modules/"+name, 0o644, content)
		fmt.Fprintln(&list, name)
	}
	a.Add("modules/list", 0o644, []byte(list.String()))
	return a.Packed()
}

func (b *build) goBuild(ctx context.Context, out, source string) error {
	c := b.command(ctx, "go", "build", "-buildvcs=false", "-trimpath", "-ldflags", fmt.Sprintf("-s -w -X main.version=%s -X main.built=%d", b.version, b.made.Unix()), "-o", out, source)
	c.Env = append(c.Env, "GOOS=linux", "GOARCH="+b.arch.goarch, "GOARM=7", "GOARM64=v8.0")
	if text, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", source, err, text)
	}
	return nil
}

// unpacked returns a file that may be packed by xz.
func unpacked(path string) ([]byte, error) {
	if !strings.HasSuffix(path, ".xz") {
		return os.ReadFile(path)
	}
	return exec.Command("xz", "-dc", path).Output()
}

// system puts the two halves of a system into one file.
func (b *build) system(path, fat, squashfs string) error {
	w, err := os.Create(path)
	if err != nil {
		return err
	}
	defer w.Close()
	if n, err := copyFile(w, fat); err != nil || n != sdcard.RootOffset {
		return errors.Join(fmt.Errorf("%d bytes of FAT", n), err)
	}
	n, err := copyFile(w, squashfs)
	if err != nil {
		return err
	}
	if _, err := w.Write(make([]byte, -n&511)); err != nil {
		return err
	}
	return w.Close()
}

// layout is how a card is divided. A slot has room for a system that grows.
func (b *build) layout() sdcard.Layout {
	l := sdcard.Layout{Start: 32 << 20, System: 512 << 20, Data: 16 << 20}
	if b.variant == "screen" {
		l.System = 1024 << 20
	}
	return l
}

// card makes the image of a card with a system in slot A. What is empty takes no room
// on the disk.
func (b *build) card(ctx context.Context, path, systemPath string) error {
	l := b.layout()
	dir := filepath.Join(b.work, "start")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	boot, err := os.ReadFile(b.parts("unpacked/usr/lib/raspi-firmware/bootcode.bin"))
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{"autoboot.txt": sdcard.Autoboot(sdcard.A), "bootcode.bin": boot} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return err
		}
	}
	if err := b.settings(dir); err != nil {
		return err
	}
	first := filepath.Join(b.work, "start.fat")
	if err := b.fat(ctx, first, 16, l.Start, "QRGATE", dir); err != nil {
		return err
	}
	w, err := os.Create(path)
	if err != nil {
		return err
	}
	defer w.Close()
	if err := w.Truncate(l.Size()); err != nil {
		return err
	}
	if _, err := w.WriteAt(l.Table(), 0); err != nil {
		return err
	}
	if _, err := copyFile(io.NewOffsetWriter(w, l.StartAt()), first); err != nil {
		return err
	}
	sys, err := os.Open(systemPath)
	if err != nil {
		return err
	}
	defer sys.Close()
	if info, err := sys.Stat(); err != nil || info.Size() > l.System {
		return errors.Join(fmt.Errorf("the system has %d bytes, a slot %d", info.Size(), l.System), err)
	}
	if err := sparse(io.NewOffsetWriter(w, l.At(sdcard.A)), sdcard.Label(sys, sdcard.A)); err != nil {
		return err
	}
	return w.Close()
}

// sparse copies what is not empty.
func sparse(w *io.OffsetWriter, r io.Reader) error {
	b, zero := make([]byte, 64<<10), make([]byte, 64<<10)
	for at := int64(0); ; {
		n, err := io.ReadFull(r, b)
		if n > 0 && !bytes.Equal(b[:n], zero[:n]) {
			if _, err := w.WriteAt(b[:n], at); err != nil {
				return err
			}
		}
		at += int64(n)
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// settings puts the file that somebody edits on another machine into the first
// partition, with the line ends of Windows.
func (b *build) settings(dir string) error {
	text, err := os.ReadFile("device/dist/qrgate.txt")
	if err != nil {
		return err
	}
	text = bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n"))
	return os.WriteFile(filepath.Join(dir, "qrgate.txt"), text, 0o644)
}
