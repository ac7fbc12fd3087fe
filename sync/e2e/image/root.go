package main

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// A layer is what is laid over Debian's root, by name without a leading slash.
type layer map[string]entry

type entry struct {
	tar.Header
	content []byte
	from    string // file whose content it is, if content is nil
}

// root packs Debian's root, with the kiosk laid over it, into a file system that
// cannot be written.
func (b *build) root(ctx context.Context, k kernel, out string) error {
	over := layer{}
	for _, add := range []func(context.Context, kernel, layer) error{b.addSettled, b.addModules, b.addFirmware, b.addKiosk, b.addOwn} {
		if err := add(ctx, k, over); err != nil {
			return err
		}
	}
	level := "15"
	if b.probe {
		level = "3" // a test has less time than a card has room
	}
	c := b.command(ctx, "mksquashfs", "-", out, "-tar", "-noappend", "-quiet", "-no-progress", "-reproducible", "-comp", "zstd", "-Xcompression-level", level,
		"-b", "256K", "-processors", fmt.Sprint(runtime.NumCPU()))
	var said bytes.Buffer
	c.Stdout, c.Stderr = &said, &said
	in, err := c.StdinPipe()
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return err
	}
	err = b.pour(in, over)
	err = errors.Join(err, in.Close())
	if wait := c.Wait(); wait != nil {
		err = errors.Join(err, fmt.Errorf("mksquashfs: %w: %s", wait, said.Bytes()))
	}
	return err
}

// pour writes the root with its layer as one archive.
func (b *build) pour(w io.Writer, over layer) error {
	f, err := os.Open(b.parts("root.tar"))
	if err != nil {
		return err
	}
	defer f.Close()
	out, in := tar.NewWriter(w), tar.NewReader(f)
	for {
		h, err := in.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		name := clean(h.Name)
		e, replaced := over[name]
		both := h.Typeflag == tar.TypeDir && e.Typeflag == tar.TypeDir
		if replaced && !both || unwanted(name) {
			continue
		}
		if both {
			delete(over, name) // Debian knows better whose it is
		}
		if err := out.WriteHeader(h); err != nil {
			return err
		}
		if _, err := io.Copy(out, in); err != nil {
			return err
		}
	}
	names := slices.Sorted(func(yield func(string) bool) {
		for n := range over {
			if !yield(n) {
				return
			}
		}
	})
	for _, n := range names {
		if err := b.pourOne(out, n, over[n]); err != nil {
			return fmt.Errorf("%s: %w", n, err)
		}
	}
	return out.Close()
}

func (b *build) pourOne(out *tar.Writer, name string, e entry) error {
	content := e.content
	if e.from != "" {
		var err error
		if content, err = os.ReadFile(e.from); err != nil {
			return err
		}
	}
	h := e.Header
	h.Name, h.Size, h.ModTime, h.Format = "./"+name, int64(len(content)), b.made, tar.FormatGNU
	h.Uname, h.Gname = "", ""
	if err := out.WriteHeader(&h); err != nil {
		return err
	}
	_, err := out.Write(content)
	return err
}

func clean(name string) string { return strings.TrimPrefix(path.Clean("/"+name), "/") }

// unwanted are files of Debian that no kiosk needs, or that are another's on each
// machine.
func unwanted(name string) bool {
	for _, p := range []string{
		"etc/machine-id", "var/lib/dbus/machine-id", "etc/resolv.conf", "etc/hostname", "etc/apt/apt.conf.d/99mmdebstrap",
	} {
		if name == p {
			return true
		}
	}
	if strings.Contains(name, "/perl-base/unicore/") {
		return true
	}
	for _, p := range []string{
		"dev/", "var/cache/", "var/log/", "var/lib/apt/", "var/lib/dpkg/info/", "usr/share/bash-completion/", "usr/share/zsh/",
		"usr/share/lintian/", "usr/share/man/", "usr/share/info/", "usr/share/locale/", "usr/share/sounds/",
	} {
		if strings.HasPrefix(name, "usr/share/doc/") && path.Base(name) != "copyright" && path.Ext(name) != "" {
			return true
		}
		if strings.HasPrefix(name, p) && name != strings.TrimSuffix(p, "/") {
			return true
		}
	}
	return false
}

func (l layer) file(name string, mode int64, content []byte) {
	l.dirs(name)
	l[name] = entry{Header: tar.Header{Typeflag: tar.TypeReg, Mode: mode}, content: content}
}

// tree adds all files of a folder.
func (l layer) tree(own fs.FS) error {
	return fs.WalkDir(own, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(own, p)
		l.file(p, 0o644, content)
		return err
	})
}

func (l layer) link(name, to string) {
	l.dirs(name)
	l[name] = entry{Header: tar.Header{Typeflag: tar.TypeSymlink, Mode: 0o777, Linkname: to}}
}

func (l layer) dirs(name string) {
	for d := path.Dir(name); d != "."; d = path.Dir(d) {
		if _, ok := l[d]; ok {
			return
		}
		// What is a link in Debian's own root (lib) must not become a folder.
		l[d] = entry{Header: tar.Header{Typeflag: tar.TypeDir, Mode: 0o755}}
	}
}

// others are modules of machines that no kiosk is.
var others = []string{
	"kernel/drivers/gpu/drm/amd", "kernel/drivers/gpu/drm/nouveau", "kernel/drivers/gpu/drm/radeon", "kernel/drivers/gpu/drm/msm", "kernel/drivers/gpu/drm/xe",
	"kernel/drivers/gpu/drm/i915", "kernel/drivers/infiniband", "kernel/drivers/scsi/", "kernel/drivers/media/pci", "kernel/drivers/media/dvb-frontends",
	"kernel/drivers/media/tuners", "kernel/drivers/media/usb/dvb-usb", "kernel/drivers/isdn", "kernel/drivers/atm", "kernel/drivers/accel",
	"kernel/drivers/net/ethernet/mellanox", "kernel/drivers/net/ethernet/intel", "kernel/drivers/net/ethernet/chelsio", "kernel/drivers/net/ethernet/qlogic",
	"kernel/drivers/net/ethernet/netronome", "kernel/drivers/net/ethernet/marvell", "kernel/drivers/net/ethernet/sfc", "kernel/drivers/net/ethernet/amazon",
	"kernel/drivers/net/wireless/intel", "kernel/drivers/net/wireless/ath", "kernel/drivers/net/wireless/marvell", "kernel/drivers/net/wireless/ti",
	"kernel/drivers/net/can", "kernel/drivers/net/hamradio", "kernel/drivers/iio", "kernel/drivers/staging/rtl", "kernel/drivers/nfc", "kernel/drivers/comedi",
	"kernel/drivers/crypto", "kernel/drivers/edac", "kernel/drivers/target", "kernel/drivers/block/drbd", "kernel/drivers/bluetooth",
	"kernel/fs/ocfs2", "kernel/fs/gfs2", "kernel/fs/ceph", "kernel/fs/btrfs", "kernel/fs/xfs", "kernel/fs/jfs", "kernel/fs/nfs", "kernel/fs/nfsd", "kernel/fs/smb",
	"kernel/fs/f2fs", "kernel/fs/afs", "kernel/fs/bcachefs", "kernel/fs/dlm", "kernel/fs/orangefs", "kernel/fs/ubifs", "kernel/fs/coda", "kernel/fs/9p",
	"kernel/net/ceph", "kernel/net/sctp", "kernel/net/tipc", "kernel/net/batman-adv", "kernel/net/openvswitch", "kernel/net/rds", "kernel/net/bluetooth", "kernel/net/sunrpc",
	"kernel/sound/pci", "kernel/sound/soc/mediatek", "kernel/sound/soc/qcom", "kernel/sound/soc/rockchip", "kernel/sound/soc/tegra", "kernel/sound/soc/fsl",
	"kernel/sound/soc/sof", "kernel/sound/firewire", "kernel/sound/soc/meson", "kernel/sound/soc/samsung", "kernel/sound/soc/intel",
}

// addModules adds the kernel's modules, as far as a kiosk may need them.
func (b *build) addModules(_ context.Context, k kernel, l layer) error {
	return filepath.WalkDir(k.modules, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(k.modules, p)
		if err != nil || d.IsDir() || !d.Type().IsRegular() {
			return err
		}
		if rel == "vmlinuz" || rel == "System.map" || rel == "config" || strings.HasPrefix(rel, "dtb/") {
			return nil
		}
		if slices.ContainsFunc(others, func(o string) bool { return strings.HasPrefix(rel, o) }) {
			return nil
		}
		name := "usr/lib/modules/" + k.release + "/" + rel
		l.dirs(name)
		l[name] = entry{Header: tar.Header{Typeflag: tar.TypeReg, Mode: 0o644}, from: p}
		return nil
	})
}

// addFirmware adds what the boards' own Wi-Fi needs.
func (b *build) addFirmware(_ context.Context, _ kernel, l layer) error {
	dir := b.parts("unpacked")
	found := 0
	err := filepath.WalkDir(filepath.Join(dir, "usr", "lib", "firmware"), func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := d.Name()
		ours := slices.ContainsFunc([]string{"43430", "43436", "43455", "43456"}, func(chip string) bool { return strings.Contains(base, chip) })
		if d.IsDir() || !ours {
			return nil
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		rel = strings.TrimPrefix(rel, "usr/")
		if d.Type()&fs.ModeSymlink != 0 {
			to, err := os.Readlink(p)
			if err != nil {
				return err
			}
			l.link("usr/"+rel, to)
			return nil
		}
		l.dirs("usr/" + rel)
		l["usr/"+rel] = entry{Header: tar.Header{Typeflag: tar.TypeReg, Mode: 0o644}, from: p}
		found++
		return nil
	})
	if err == nil && found < 3 {
		err = fmt.Errorf("firmware of the boards' Wi-Fi: %d files", found)
	}
	return err
}

// addKiosk adds what the kiosk's package holds. What its scripts would do is done by
// base.sh (users) and addOwn (units).
func (b *build) addKiosk(ctx context.Context, _ kernel, l layer) error {
	dir := filepath.Join(b.work, "deb")
	if err := b.must(ctx, "go", "run", "./sync/e2e/pack", "-only", "qrgate-kiosk", "-arch", b.arch.deb, "-version", b.version, "-time", fmt.Sprint(b.made.Unix()), "-out", dir); err != nil {
		return err
	}
	found, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil || len(found) != 1 {
		return errors.Join(fmt.Errorf("packages of the kiosk: %q", found), err)
	}
	out, err := b.command(ctx, "dpkg-deb", "--fsys-tarfile", found[0]).Output()
	if err != nil {
		return fmt.Errorf("dpkg-deb: %w", err)
	}
	in := tar.NewReader(bytes.NewReader(out))
	for {
		h, err := in.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		content, err := io.ReadAll(in)
		if err != nil {
			return err
		}
		name := clean(h.Name)
		if strings.HasPrefix(name, "lib/") {
			name = "usr/" + name // where Debian's /lib leads
		}
		l.file(name, h.Mode, content)
	}
}

// addOwn adds what makes a Debian a kiosk: the files below root/, and which units run.
func (b *build) addOwn(ctx context.Context, _ kernel, l layer) error {
	if err := l.tree(os.DirFS(filepath.Join(here, "root"))); err != nil {
		return err
	}
	if b.variant == "screen" {
		if err := l.tree(os.DirFS(filepath.Join(here, "screen"))); err != nil {
			return err
		}
	}
	program := filepath.Join(b.work, "qrgate-system")
	if err := b.goBuild(ctx, program, "./device/system/qrgate-system"); err != nil {
		return err
	}
	content, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	l.file("usr/libexec/qrgate/qrgate-system", 0o755, content)
	if err := b.addProbe(ctx, l); err != nil {
		return err
	}
	wanted := []string{"qrgate-kiosk.service", "qrgate-system.service"}
	if b.variant == "screen" {
		wanted = append(wanted, "qrgate-screen.service", "qrgate-words.service")
	}
	// What Debian's scripts would have switched on.
	for at, unit := range map[string]string{
		"multi-user.target.wants/NetworkManager.service": "NetworkManager.service",
		"dbus-org.freedesktop.nm-dispatcher.service":     "NetworkManager-dispatcher.service",
		"sysinit.target.wants/systemd-timesyncd.service": "systemd-timesyncd.service",
		"dbus-org.freedesktop.timesync1.service":         "systemd-timesyncd.service",
		"dbus-fi.w1.wpa_supplicant1.service":             "wpa_supplicant.service",
		"multi-user.target.wants/wpa_supplicant.service": "wpa_supplicant.service",
	} {
		l.link("etc/systemd/system/"+at, "/usr/lib/systemd/system/"+unit)
	}
	for _, unit := range wanted {
		from := "/usr/lib/systemd/system/"
		if _, ok := l["etc/systemd/system/"+unit]; ok {
			from = "/etc/systemd/system/"
		}
		l.link("etc/systemd/system/multi-user.target.wants/"+unit, from+unit)
	}
	l.link("etc/systemd/system/default.target", "/usr/lib/systemd/system/multi-user.target")
	// Nobody logs in, nothing is brought up to date in place, and nothing pages.
	for _, unit := range []string{
		"getty@.service", "serial-getty@.service", "console-getty.service", "container-getty@.service", "getty-static.service", "getty.target", "apt-daily.timer",
		"apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer", "e2scrub_reap.service", "fstrim.timer", "systemd-machine-id-commit.service",
		"systemd-firstboot.service", "NetworkManager-wait-online.service", "ldconfig.service", "systemd-sysusers.service", "swap.target",
		"systemd-hwdb-update.service", "systemd-journal-catalog-update.service", "systemd-update-done.service", "rescue.service", "emergency.service",
		"systemd-networkd.service", "systemd-networkd.socket", "debug-shell.service", "sshd.service", "ssh.socket",
	} {
		l.link("etc/systemd/system/"+unit, "/dev/null")
	}
	l.link("etc/systemd/system-generators/systemd-getty-generator", "/dev/null")
	l.link("etc/systemd/system-generators/systemd-ssh-generator", "/dev/null")
	l.link("etc/systemd/system-generators/systemd-gpt-auto-generator", "/dev/null")
	l["data"] = entry{Header: tar.Header{Typeflag: tar.TypeDir, Mode: 0o755}}
	l.dirs("boot/firmware/x")
	for _, d := range []string{"media", "srv", "mnt", "run", "proc", "sys", "dev", "tmp", "var/cache", "var/log"} {
		if _, ok := l[d]; !ok {
			l[d] = entry{Header: tar.Header{Typeflag: tar.TypeDir, Mode: 0o755}}
		}
	}
	for dir, who := range map[string]int{"var/lib/qrgate": 961, "var/lib/qrgate-screen": 962} {
		l.dirs(dir + "/x")
		l[dir] = entry{Header: tar.Header{Typeflag: tar.TypeDir, Mode: 0o700, Uid: who, Gid: who}}
	}
	// What a script of Debian's base-files makes of two of its folders.
	l.link("var/run", "/run")
	l.link("var/lock", "/run/lock")
	l.file("etc/os-release", 0o644, fmt.Appendf(nil, "PRETTY_NAME=\"QRGate %[1]s\"\nNAME=QRGate\nID=debian\nVERSION_ID=13\nVERSION_CODENAME=trixie\nIMAGE_ID=qrgate-%[2]s\nIMAGE_VERSION=%[1]s\n", b.version, b.variant))
	return nil
}

// addProbe adds what a test asks the machine by.
func (b *build) addProbe(ctx context.Context, l layer) error {
	if !b.probe {
		return nil
	}
	program := filepath.Join(b.work, "probe")
	if err := b.goBuild(ctx, program, "./"+here+"/probe"); err != nil {
		return err
	}
	content, err := os.ReadFile(program)
	l.file("usr/libexec/qrgate/probe", 0o755, content)
	l.file("usr/lib/systemd/system/probe.service", 0o644, []byte("[Unit]\nDescription=Does what a test says\nConditionKernelCommandLine=qrgate.probe\n[Service]\nExecStart=/usr/libexec/qrgate/probe\nRestart=always\nRestartSec=1\n"))
	l.link("etc/systemd/system/multi-user.target.wants/probe.service", "/usr/lib/systemd/system/probe.service")
	return err
}
