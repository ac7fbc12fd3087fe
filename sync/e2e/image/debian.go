package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// debian makes the Debian that a variant stands on, in the cache, unless it is there.
func debian(ctx context.Context, cache, variant string) error {
	done := filepath.Join(cache, "parts", variant, "root.tar")
	if _, err := os.Stat(done); err == nil {
		return nil
	}
	script, err := filepath.Abs(filepath.Join(here, "base.sh"))
	if err != nil {
		return err
	}
	c := exec.CommandContext(ctx, "sh", script, cache, variant)
	if os.Geteuid() != 0 {
		c = exec.CommandContext(ctx, "unshare", "--user", "--map-root-user", "--map-auto", "--mount", "--pid", "--fork", "--mount-proc", "sh", script, cache, variant)
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
