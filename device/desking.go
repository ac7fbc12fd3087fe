package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"

	"golang.org/x/sync/errgroup"

	"github.com/qrgate/qrgate/device/desk"
	"github.com/qrgate/qrgate/sync/pairing"
)

// deskSources are the scanners of a desk without a configuration: whichever is plugged
// in. A keyboard whose maker makes more than scanners is nobody's but the clerk's.
const deskSources = "[[serial]]\ndevice = \"auto\"\n[[keyboard]]\ndevice = \"auto\"\n"

// deskScanner sends what scanners read to a clerk's page until ctx ends.
func deskScanner(ctx context.Context, env environment) error {
	if len(env.args) > 1 {
		return fmt.Errorf("%w: desk [CODE]", errUsage)
	}
	var codes []pairing.Code
	for _, text := range env.args {
		c, err := desk.Check(text)
		if err != nil {
			return fmt.Errorf("%w: %w", errUsage, err)
		}
		codes = append(codes, c)
	}
	c, err := readDesk(env.path)
	if err != nil {
		return err
	}
	o := desk.Options{Say: func(w desk.Word) { fmt.Fprintln(env.out, w) }}
	if env.ca != "" {
		if o.Roots, err = readRoots(env.ca); err != nil {
			return err
		}
	}
	// Of scanners only what a person has to look at: they are beside them.
	sources, _, closeSources, err := openSources(c, newLog(env.stderr, max(c.LogLevel, slog.LevelWarn)))
	if err != nil {
		return err
	}
	defer closeSources()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	tasks, ctx := errgroup.WithContext(ctx)
	tasks.Go(func() error { return sources.Run(ctx) })
	tasks.Go(func() error { defer stop(); return desk.New(o).Run(ctx, sources, codes...) })
	return tasks.Wait()
}

// readDesk reads the scanners of a configuration, or takes whichever there are if the
// file is the default one and is not there.
func readDesk(path string) (Config, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && path == defaultConfig {
		b, err = []byte(deskSources), nil
	}
	if err != nil {
		return Config{}, fmt.Errorf("%w: configuration: %w", errUsage, err)
	}
	c, err := parseConfig(string(b))
	if err != nil {
		return Config{}, fmt.Errorf("%w: configuration %s: %w", errUsage, path, err)
	}
	return c, nil
}

// readRoots adds the certificates of a file to those that this computer believes.
func readRoots(path string) (*x509.CertPool, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUsage, err)
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if !roots.AppendCertsFromPEM(b) {
		return nil, fmt.Errorf("%w: no certificate in %s", errUsage, path)
	}
	return roots, nil
}
