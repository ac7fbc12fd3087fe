package main

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// addSettled adds what the scripts of Debian's packages would have made of a root that
// was only unpacked: users, the list of trusted names of the web, who looks names up.
func (b *build) addSettled(ctx context.Context, _ kernel, l layer) error {
	dir := filepath.Join(b.work, "settle")
	var names []string
	certificates := map[string][]byte{}
	err := b.eachFile(func(name string, content func() ([]byte, error)) error {
		switch {
		case strings.HasPrefix(name, "usr/lib/sysusers.d/"):
			text, err := content()
			if err != nil {
				return err
			}
			// Users that cannot be logged in as: an older systemd knows no others.
			text = bytes.ReplaceAll(text, []byte("\nu! "), []byte("\nu "))
			text = bytes.TrimPrefix(bytes.ReplaceAll(append([]byte("\n"), text...), []byte("\nu! "), []byte("\nu ")), []byte("\n"))
			return put(filepath.Join(dir, name), text)
		case strings.HasPrefix(name, "usr/share/base-passwd/"):
			text, err := content()
			if err != nil {
				return err
			}
			return put(filepath.Join(dir, "etc", strings.TrimSuffix(filepath.Base(name), ".master")), text)
		case strings.HasPrefix(name, "usr/share/ca-certificates/") && strings.HasSuffix(name, ".crt"):
			text, err := content()
			certificates[name] = text
			names = append(names, name)
			return err
		}
		return nil
	})
	if err != nil {
		return err
	}
	slices.Sort(names)
	var bundle []byte
	for _, n := range names {
		bundle = append(bundle, certificates[n]...)
	}
	if len(bundle) == 0 {
		return errors.New("no certificates")
	}
	l.file("etc/ssl/certs/ca-certificates.crt", 0o644, bundle)

	own, err := os.ReadFile(filepath.Join(here, "users.conf"))
	if err != nil {
		return err
	}
	if err := put(filepath.Join(dir, "usr/lib/sysusers.d/00-qrgate-image.conf"), own); err != nil {
		return err
	}
	if err := b.must(ctx, "systemd-sysusers", "--root="+dir); err != nil {
		return err
	}
	for name, mode := range map[string]int64{"passwd": 0o644, "group": 0o644, "shadow": 0o600, "gshadow": 0o600} {
		text, err := os.ReadFile(filepath.Join(dir, "etc", name))
		if err != nil {
			return err
		}
		if name == "shadow" {
			text = b.dated(text)
		}
		l.file("etc/"+name, mode, text)
	}
	return nil
}

// dated returns the list of passwords, of which there are none, with the commit's day in
// place of that on which systemd-sysusers ran.
func (b *build) dated(shadow []byte) []byte {
	lines := strings.Split(string(shadow), "\n")
	for i, line := range lines {
		if f := strings.Split(line, ":"); len(f) > 2 {
			f[2] = fmt.Sprint(b.made.Unix() / (24 * 60 * 60))
			lines[i] = strings.Join(f, ":")
		}
	}
	return []byte(strings.Join(lines, "\n"))
}

func put(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o644)
}

// eachFile tells of each plain file of Debian's root.
func (b *build) eachFile(tell func(name string, content func() ([]byte, error)) error) error {
	f, err := os.Open(b.parts("root.tar"))
	if err != nil {
		return err
	}
	defer f.Close()
	in := tar.NewReader(f)
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
		if err := tell(clean(h.Name), func() ([]byte, error) { return io.ReadAll(in) }); err != nil {
			return fmt.Errorf("%s: %w", h.Name, err)
		}
	}
}
