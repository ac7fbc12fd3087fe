package camera

import (
	"context"
	"fmt"
	"image"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// DefaultRate is the frames a second of image files when none is given.
const DefaultRate = 10

// FileOptions tune Files. The zero value plays a folder in a loop.
type FileOptions struct {
	Rate float64 // frames a second; 0 means DefaultRate, negative as fast as they are asked for
	Once bool    // end with io.EOF after the last picture instead of starting over
}

// Files plays image files as if a camera saw them. It stands in for hardware in
// the demo and in tests.
type Files struct {
	paths []string
	opt   FileOptions
	next  int
	due   time.Time
}

// OpenFiles returns the JPEG, PNG and PGM files of a folder in the order of
// their names, or the one file that path names.
func OpenFiles(path string, opt FileOptions) (*Files, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("camera: files: %w", err)
	}
	if opt.Rate == 0 {
		opt.Rate = DefaultRate
	}
	f := &Files{paths: []string{path}, opt: opt}
	if !info.IsDir() {
		return f, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, fmt.Errorf("camera: files: %w", err)
	}
	f.paths = nil
	for _, e := range entries {
		switch strings.ToLower(filepath.Ext(e.Name())) {
		case ".jpg", ".jpeg", ".png", ".pgm":
			f.paths = append(f.paths, filepath.Join(path, e.Name()))
		}
	}
	if len(f.paths) == 0 {
		return nil, fmt.Errorf("camera: files: no pictures in %s", path)
	}
	slices.Sort(f.paths)
	return f, nil
}

// Next waits until the next picture is due and loads it. A picture that cannot
// be read is a bad frame.
func (f *Files) Next(ctx context.Context) (*image.Gray, time.Time, error) {
	if f.next == len(f.paths) {
		if f.opt.Once {
			return nil, time.Time{}, io.EOF
		}
		f.next = 0
	}
	if err := f.wait(ctx); err != nil {
		return nil, time.Time{}, err
	}
	img, err := Load(f.paths[f.next])
	f.next++
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("%w: %w", ErrFrame, err)
	}
	return img, time.Now(), nil
}

func (f *Files) wait(ctx context.Context) error {
	if f.opt.Rate < 0 {
		return ctx.Err()
	}
	now := time.Now()
	if f.due.Before(now) {
		f.due = now
	}
	timer := time.NewTimer(f.due.Sub(now))
	defer timer.Stop()
	f.due = f.due.Add(time.Duration(float64(time.Second) / f.opt.Rate))
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// Close does nothing: no file stays open between two frames.
func (f *Files) Close() error { return nil }
