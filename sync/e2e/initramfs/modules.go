package initramfs

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// A Module is one that is to be loaded.
type Module struct{ Path, Params string }

// Resolve returns modules and all that they need, each after what it needs, by the
// list that depmod has made.
func Resolve(dir string, wanted []string) ([]Module, error) {
	b, err := os.ReadFile(filepath.Join(dir, "modules.dep"))
	if err != nil {
		return nil, err
	}
	name := func(path string) string {
		return strings.ReplaceAll(strings.TrimSuffix(strings.TrimSuffix(filepath.Base(path), ".xz"), ".ko"), "-", "_")
	}
	paths, needs := map[string]string{}, map[string][]string{}
	for line := range strings.Lines(string(b)) {
		path, deps, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		paths[name(path)] = filepath.Join(dir, path)
		for _, d := range strings.Fields(deps) {
			needs[name(path)] = append(needs[name(path)], name(d))
		}
	}
	builtin, err := os.ReadFile(filepath.Join(dir, "modules.builtin"))
	if err != nil {
		return nil, err
	}
	var all []Module
	done := map[string]bool{}
	var add func(n, params string) error
	add = func(n, params string) error {
		if done[n] {
			return nil
		}
		done[n] = true
		if paths[n] == "" {
			if bytes.Contains(builtin, []byte("/"+strings.ReplaceAll(n, "_", "-")+".ko")) || bytes.Contains(builtin, []byte("/"+n+".ko")) {
				return nil
			}
			return fmt.Errorf("the kernel has no module %s", n)
		}
		for _, d := range needs[n] {
			if err := add(d, ""); err != nil {
				return err
			}
		}
		all = append(all, Module{paths[n], params})
		return nil
	}
	for _, w := range wanted {
		n, params, _ := strings.Cut(w, " ")
		if err := add(n, params); err != nil {
			return nil, err
		}
	}
	return all, nil
}
