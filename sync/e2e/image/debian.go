package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// debian makes the Debian that an image stands on, in the cache, unless it is there.
func (b *build) debian(ctx context.Context) error {
	if _, err := os.Stat(b.parts("root.tar")); err == nil {
		return nil
	}
	script, err := filepath.Abs(filepath.Join(here, "base.sh"))
	if err != nil {
		return err
	}
	args := []string{"sh", script, b.cache, b.variant, b.arch.deb, b.name()}
	c := exec.CommandContext(ctx, args[0], args[1:]...)
	if os.Geteuid() != 0 {
		c = exec.CommandContext(ctx, "unshare", append([]string{"--user", "--map-root-user", "--map-auto", "--mount", "--pid", "--fork", "--mount-proc"}, args...)...)
	} else {
		c.SysProcAttr = inside()
	}
	c.Stdout, c.Stderr = os.Stderr, os.Stderr
	if err := c.Run(); err != nil {
		return fmt.Errorf("base.sh: %w", err)
	}
	return nil
}

// inside is a user namespace with all the users of a Debian, which root may have
// without asking newuidmap.
func inside() *syscall.SysProcAttr {
	all := []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 65536}}
	return &syscall.SysProcAttr{
		Cloneflags:                 syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID,
		UidMappings:                all,
		GidMappings:                all,
		GidMappingsEnableSetgroups: true,
	}
}
