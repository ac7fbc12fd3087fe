// Command qrgate-init is the first program of a start: the /init of the initramfs. It
// finds the kiosk's card, mounts the root of the system that the firmware has chosen,
// lays memory over what programs want to write, mends and mounts the data partition,
// and hands over to systemd.
//
// It promises that the door opens with whatever is left: data that cannot be mounted
// are replaced by memory for this start, with /run/qrgate-system/no-data to say so. A system
// that cannot be mounted is left for the other one.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/qrgate/qrgate/device/system"

	"github.com/qrgate/qrgate/sync/sdcard"
)

// root is where the system's root is put together.
const root = "/sysroot"

func main() {
	err := run()
	say("this system does not start: %v", err)
	leave(err)
}

func say(format string, args ...any) {
	line := fmt.Sprintf("<4>qrgate-init: "+format+"\n", args...)
	if f, err := os.OpenFile("/dev/kmsg", os.O_WRONLY, 0); err == nil {
		f.WriteString(line)
		f.Close()
		return
	}
	fmt.Print(line[3:])
}

func run() error {
	for _, m := range []struct{ what, at string }{{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}} {
		if err := mount(m.what, m.at, m.what, 0, ""); err != nil {
			return err
		}
	}
	cmdline, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return err
	}
	slot, err := sdcard.ParseSlot(string(cmdline))
	if err != nil {
		return err
	}
	if err := load("/modules"); err != nil {
		return err
	}
	disk, err := find(findFor)
	if err != nil {
		return err
	}
	say("card %s, system %s", disk, slot)
	if err := mountRoot(disk, slot); err != nil {
		return err
	}
	if err := mountData(disk); err != nil {
		say("no data: %v", err)
		if err := withoutData(); err != nil {
			return err
		}
	}
	if err := furnish(); err != nil {
		return err
	}
	if err := os.MkdirAll(root+"/run/qrgate-system", 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(root+"/run/qrgate-system/disk", []byte(disk+"\n"), 0o644); err != nil {
		return err
	}
	setClock()
	return handOver()
}

func mount(what, at, kind string, flags uintptr, options string) error {
	if err := os.MkdirAll(at, 0o755); err != nil && !os.IsExist(err) {
		return err
	}
	if err := unix.Mount(what, at, kind, flags, options); err != nil {
		return fmt.Errorf("mount %s on %s: %w", what, at, err)
	}
	return nil
}

// load loads the modules of a directory in the order of its list. A driver of another
// board than this one may refuse.
func load(dir string) error {
	list, err := os.ReadFile(filepath.Join(dir, "list"))
	if err != nil {
		return err
	}
	for name := range strings.FieldsSeq(string(list)) {
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		if err := unix.FinitModule(int(f.Fd()), "", 0); err != nil && err != unix.EEXIST && err != unix.ENODEV {
			say("module %s: %v", name, err)
		}
		f.Close()
	}
	return nil
}

// findFor is how long a card reader may take to show its card.
const findFor = 20 * time.Second

// find returns the disk that is the kiosk's card. A card in the board's own slot comes
// before a copy of it on a stick.
func find(patience time.Duration) (string, error) {
	end := time.Now().Add(patience)
	for {
		for _, pattern := range []string{"mmcblk*", "vd*", "nvme*", "sd*"} {
			all, _ := filepath.Glob("/sys/block/" + pattern) // the pattern is well formed
			for _, path := range all {
				disk := "/dev/" + filepath.Base(path)
				if isCard(disk) {
					return disk, nil
				}
			}
		}
		if time.Now().After(end) {
			return "", sdcard.ErrNoCard
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func isCard(disk string) bool {
	f, err := os.Open(disk)
	if err != nil {
		return false
	}
	defer f.Close()
	b := make([]byte, 512)
	_, err = f.ReadAt(b, 0)
	return err == nil && system.IsCard(b)
}

// partition returns the device of a partition, however the disk's driver calls it.
func partition(disk string, n int) string {
	if last := disk[len(disk)-1]; last >= '0' && last <= '9' {
		return fmt.Sprintf("%sp%d", disk, n)
	}
	return fmt.Sprintf("%s%d", disk, n)
}

// leave starts the board anew after a while in which somebody may read why: with the
// other system if this is the one that starts as a rule, and else with that.
func leave(why error) {
	time.Sleep(10 * time.Second)
	command := "qrgate"
	if disk, err := find(0); err == nil {
		if card, err := system.Open(disk); err == nil {
			line, _ := os.ReadFile("/proc/cmdline")
			slot, err := sdcard.ParseSlot(string(line))
			if d, errD := card.Default(); err == nil && errD == nil && d == slot {
				command = sdcard.TryCommand
			}
			card.Close()
		}
	}
	unix.Sync()
	system.Restart(command)
	select {}
}
