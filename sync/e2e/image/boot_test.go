package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestEarlyModules starts kernels that are built in different ways: what reads the card is
// in each, in itself or beside it, or there is no image.
func TestEarlyModules(t *testing.T) {
	beside := func(names ...string) (dep string) {
		for _, n := range names {
			dep += "kernel/" + n + ".ko.xz:\n"
		}
		return dep
	}
	without := func(name string) []string {
		return slices.DeleteFunc(slices.Clone(systems), func(n string) bool { return n == name })
	}
	const byName = "softdep ext4 pre: crypto-crc32c\n"
	for name, tt := range map[string]struct {
		dep, builtin, soft string
		missing            string // that is complained of
		sum                bool   // the checksum is loaded, before ext4
	}{
		"all beside it":                  {beside(systems...), "", "", "", false},
		"all in itself":                  {"", strings.ReplaceAll(beside(systems...), ".xz:", ""), "", "", false},
		"a checksum beside it":           {beside(append([]string{checksum}, systems...)...), "", byName, "", true},
		"a checksum in itself":           {beside(systems...), "kernel/crypto/crc32c_generic.ko\n", byName, "", false},
		"a checksum that nobody has":     {beside(systems...), "", byName, checksum, false},
		"a checksum that nobody asks of": {beside(systems...), "", "softdep btrfs pre: crypto-crc32c\n", "", false},
		"no ext4":                        {beside(without("ext4")...), "", "", "ext4", false},
		"no squashfs":                    {beside(without("squashfs")...), "", "", "squashfs", false},
	} {
		t.Run(name, func(t *testing.T) {
			k := kernel{modules: t.TempDir()}
			for file, text := range map[string]string{"modules.dep": tt.dep, "modules.builtin": tt.builtin, "modules.softdep": tt.soft} {
				if err := os.WriteFile(filepath.Join(k.modules, file), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			mods, err := k.early()
			if tt.missing != "" {
				if err == nil || !strings.Contains(err.Error(), tt.missing) {
					t.Errorf("early = %v, want that there is no %s", err, tt.missing)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			at := map[string]int{}
			for i, m := range mods {
				at[strings.TrimSuffix(filepath.Base(m.Path), ".ko.xz")] = i + 1
			}
			if sum := at[checksum]; sum > 0 != tt.sum || tt.sum && sum > at["ext4"] {
				t.Errorf("early = %v, checksum %v", mods, tt.sum)
			}
			if tt.dep != "" && at["ext4"] == 0 || tt.dep == "" && len(mods) > 0 {
				t.Errorf("early = %v", mods)
			}
		})
	}
}
