//go:build full

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A root is a Debian in a mount namespace of its own: what is installed there is
// gone with the test, and the machine's own files stay as they are.
type root struct {
	*testing.T
	dir    string // inside the namespace
	holder int    // process that keeps the namespace
}

// newRoot lays a writable layer over a tree of Debian and enters nothing yet.
func newRoot(t *testing.T, lower string) root {
	t.Helper()
	dir := t.TempDir()
	script := fmt.Sprintf(`set -e
mount -t tmpfs none %[1]s
mkdir %[1]s/upper %[1]s/work %[1]s/root
mount -t overlay overlay -o lowerdir=%[2]s,upperdir=%[1]s/upper,workdir=%[1]s/work %[1]s/root
mount -t proc proc %[1]s/root/proc
mount --rbind /dev %[1]s/root/dev
mount -t tmpfs none %[1]s/root/run
mount -t tmpfs none %[1]s/root/tmp
chmod 1777 %[1]s/root/tmp
echo ready
cat`, dir, lower)
	// cat ends with this process, however that ends, and the namespace with cat.
	c := exec.Command("unshare", "--mount", "--propagation", "private", "sh", "-c", script)
	var errs bytes.Buffer
	c.Stderr = &errs
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatalf("unshare: %v; it needs root and Debian's package util-linux", err)
	}
	t.Cleanup(func() { in.Close(); c.Wait() })
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		in.Close()
		c.Wait()
		t.Fatalf("mounts: %q, %v: %s", line, err, errs.String())
	}
	return root{t, filepath.Join(dir, "root"), c.Process.Pid}
}

// command is one that runs in the root as user.
func (r root) command(user string, args ...string) *exec.Cmd {
	enter := []string{"--target", fmt.Sprint(r.holder), "--mount", "chroot", "--userspec=" + user + ":", r.dir}
	c := exec.Command("nsenter", append(enter, args...)...)
	c.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8"}
	return c
}

// must runs a command to its end and returns what it printed.
func (r root) must(user string, args ...string) string {
	r.Helper()
	out, err := r.command(user, args...).CombinedOutput()
	if err != nil {
		r.Fatalf("%s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// write puts a file into the root.
func (r root) write(path, content string) {
	r.Helper()
	c := r.command("root", "tee", path)
	c.Stdin, c.Stdout = strings.NewReader(content), io.Discard
	if err := c.Run(); err != nil {
		r.Fatalf("write %s: %v", path, err)
	}
}

// install copies packages into the root and installs them.
func (r root) install(debs ...string) string {
	r.Helper()
	args := []string{"dpkg", "--install"}
	for _, deb := range debs {
		b, err := os.ReadFile(deb)
		if err != nil {
			r.Fatal(err)
		}
		name := "/tmp/" + filepath.Base(deb)
		r.write(name, string(b))
		args = append(args, name)
	}
	return r.must("root", args...)
}
