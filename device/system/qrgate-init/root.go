package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/qrgate/qrgate/device/system"

	"github.com/qrgate/qrgate/sync/sdcard"
)

// mountRoot mounts a slot's root, which cannot be written, and memory over what
// programs write to.
func mountRoot(disk string, slot sdcard.Slot) error {
	loop, err := loopAt(partition(disk, slot.Partition()), sdcard.RootOffset)
	if err != nil {
		return err
	}
	defer loop.Close() // without anybody who has it open it would be gone before it is mounted
	if err := mount(loop.Name(), root, "squashfs", unix.MS_RDONLY|unix.MS_NODEV, ""); err != nil {
		return err
	}
	if err := mount("tmpfs", root+"/run", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755,size=64m"); err != nil {
		return err
	}
	// Sticks are mounted in folders of their own.
	if err := mount("tmpfs", root+"/media", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=755,size=1m"); err != nil {
		return err
	}
	for _, dir := range []string{"etc", "var"} {
		layer := root + "/run/overlay/" + dir
		for _, sub := range []string{"/upper", "/work"} {
			if err := os.MkdirAll(layer+sub, 0o755); err != nil {
				return err
			}
		}
		options := fmt.Sprintf("lowerdir=%[1]s/%[2]s,upperdir=%[3]s/upper,workdir=%[3]s/work", root, dir, layer)
		if err := mount("overlay", root+"/"+dir, "overlay", unix.MS_NOSUID|unix.MS_NODEV, options); err != nil {
			return err
		}
	}
	// The settings that somebody wrote with another machine; a card without them starts.
	if err := mount(partition(disk, 1), root+"/boot/firmware", "vfat", unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "utf8,umask=022"); err != nil {
		say("%v", err)
	}
	return nil
}

// loopAt returns a block device that shows what lies in another one from an offset on,
// as long as it is open or mounted.
func loopAt(device string, offset uint64) (*os.File, error) {
	back, err := os.Open(device)
	if err != nil {
		return nil, err
	}
	defer back.Close()
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer control.Close()
	n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
	if err != nil {
		return nil, fmt.Errorf("loop: %w", err)
	}
	loop, err := os.Open(fmt.Sprintf("/dev/loop%d", n))
	if err != nil {
		return nil, err
	}
	config := unix.LoopConfig{Fd: uint32(back.Fd()), Info: unix.LoopInfo64{Offset: offset, Flags: unix.LO_FLAGS_READ_ONLY | unix.LO_FLAGS_AUTOCLEAR | unix.LO_FLAGS_DIRECT_IO}}
	if err := unix.IoctlLoopConfigure(int(loop.Fd()), &config); err != nil {
		return nil, errors.Join(fmt.Errorf("loop: %s at %d: %w", device, offset, err), loop.Close())
	}
	return loop, nil
}

// within runs a program of the system's root.
func within(args ...string) (status int, err error) {
	if _, err := os.Stat(root + args[0]); err != nil {
		return 0, err
	}
	c := exec.Command(args[0], args[1:]...)
	c.SysProcAttr = &syscall.SysProcAttr{Chroot: root}
	c.Dir, c.Env = "/", []string{"PATH=/usr/sbin:/usr/bin"}
	out, err := c.CombinedOutput()
	for line := range strings.Lines(string(out)) {
		say("%s: %s", filepath.Base(args[0]), strings.TrimSpace(line))
	}
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return exit.ExitCode(), nil
	}
	return 0, err
}

// Statuses of e2fsck from which on a file system was not put in order.
const fsckLeft = 4

// mountData mends and mounts the data partition, and makes it at the first start.
func mountData(disk string) error {
	card, err := system.Open(disk)
	if err != nil {
		return err
	}
	defer card.Close()
	device := partition(disk, 4)
	// Programs of the root open devices by their names in it.
	if err := unix.Mount("/dev", root+"/dev", "", unix.MS_BIND, ""); err != nil {
		return err
	}
	defer unix.Unmount(root+"/dev", unix.MNT_DETACH)
	if !card.DataMade() {
		if err := makeData(card, disk, device); err != nil {
			return err
		}
	}
	status, err := within("/usr/sbin/e2fsck", "-p", device)
	if err == nil && status >= fsckLeft {
		say("data: mended thoroughly")
		status, err = within("/usr/sbin/e2fsck", "-f", "-y", device)
	}
	if err != nil || status >= fsckLeft {
		say("data: e2fsck: status %d, %v", status, err)
	}
	return mount(device, root+"/data", "ext4", unix.MS_NOATIME|unix.MS_NOSUID|unix.MS_NODEV, "errors=remount-ro,commit=5,data=ordered")
}

// makeData makes the data partition as large as the card allows. It is one only when
// all of it is on the card: whoever pulls the plug before begins again.
func makeData(card *system.Card, disk, device string) error {
	f, err := os.Open(disk)
	if err != nil {
		return err
	}
	defer f.Close()
	whole, err := f.Seek(0, 2)
	if err != nil {
		return err
	}
	at, size := card.DataRoom(whole)
	if err := resize(f, 4, at, size); err != nil {
		return fmt.Errorf("grow %s: %w", device, err)
	}
	status, err := within("/usr/sbin/mke2fs", "-q", "-F", "-t", "ext4", "-L", "qrgate-data", "-m", "1", "-O", "^metadata_csum_seed,^orphan_file", "-E", "nodiscard", device)
	if err != nil || status != 0 {
		return fmt.Errorf("mke2fs: status %d, %w", status, err)
	}
	d, err := os.Open(device)
	if err != nil {
		return err
	}
	err = d.Sync()
	if err = errors.Join(err, d.Close()); err != nil {
		return err
	}
	say("data: made, %d MiB", size>>20)
	return card.MakeData(size)
}

// withoutData puts memory in the place of the data.
func withoutData() error {
	if err := mount("tmpfs", root+"/data", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755,size=64m"); err != nil {
		return err
	}
	if err := os.MkdirAll(root+"/run/qrgate-system", 0o755); err != nil {
		return err
	}
	return os.WriteFile(root+system.NoData, nil, 0o644)
}

// kept are the folders of the root that lie on the data partition.
var kept = []struct {
	at, in string
	mode   os.FileMode
}{
	{"/var/lib/qrgate", "/data/qrgate", 0o700},
	{"/var/lib/qrgate-system", "/data/system", 0o755},
	{"/var/lib/systemd/timesync", "/data/timesync", 0o755},
	{"/etc/NetworkManager/system-connections", "/data/network", 0o700},
}

// furnish puts what a kiosk keeps into the root.
func furnish() error {
	for _, k := range kept {
		if err := os.MkdirAll(root+k.in, k.mode); err != nil {
			return err
		}
		if err := os.MkdirAll(root+k.at, k.mode); err != nil {
			return err
		}
		// Whose a folder is stands in the system's root: the users are its.
		var st unix.Stat_t
		if err := unix.Stat(root+k.at, &st); err != nil {
			return err
		}
		if err := os.Chown(root+k.in, int(st.Uid), int(st.Gid)); err != nil {
			return err
		}
		if err := unix.Mount(root+k.in, root+k.at, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("mount %s: %w", k.at, err)
		}
	}
	return keepMachineID(root+"/data/machine-id", root+"/etc/machine-id")
}

// keepMachineID gives the machine the name that it has had since its first start.
func keepMachineID(at, to string) error {
	b, err := os.ReadFile(at)
	if err != nil || len(strings.TrimSpace(string(b))) != 32 {
		raw := make([]byte, 16)
		if _, err := unix.Getrandom(raw, 0); err != nil {
			return err
		}
		b = fmt.Appendf(nil, "%x\n", raw)
		if err := os.WriteFile(at, b, 0o444); err != nil {
			return err
		}
	}
	return os.WriteFile(to, b, 0o444)
}

// setClock sets a clock that woke before the last time that the kiosk wrote something.
func setClock() {
	latest := time.Time{}
	for _, pattern := range []string{"/etc/os-release", "/usr/lib/os-release", "/data/qrgate/*", "/data/timesync/*"} {
		all, _ := filepath.Glob(root + pattern) // the patterns are well formed
		for _, path := range all {
			if info, err := os.Stat(path); err == nil && info.ModTime().After(latest) {
				latest = info.ModTime()
			}
		}
	}
	if time.Now().After(latest) {
		return
	}
	tv := unix.NsecToTimeval(latest.UnixNano())
	if err := unix.Settimeofday(&tv); err != nil {
		say("clock: %v", err)
		return
	}
	say("clock set to %s, when something was last written", latest.UTC().Format(time.DateTime))
}

// handOver leaves the initramfs, whose memory is given back, and becomes systemd.
func handOver() error {
	for _, name := range []string{"/modules"} {
		os.RemoveAll(name)
	}
	for _, dir := range []string{"/proc", "/sys", "/dev"} {
		if err := unix.Mount(dir, root+dir, "", unix.MS_MOVE, ""); err != nil {
			return fmt.Errorf("move %s: %w", dir, err)
		}
	}
	if err := os.Chdir(root); err != nil {
		return err
	}
	if err := unix.Mount(".", "/", "", unix.MS_MOVE, ""); err != nil {
		return fmt.Errorf("move the root: %w", err)
	}
	if err := unix.Chroot("."); err != nil {
		return err
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	err := unix.Exec("/sbin/init", []string{"/sbin/init"}, []string{"TERM=linux", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"})
	return fmt.Errorf("systemd: %w", err)
}
