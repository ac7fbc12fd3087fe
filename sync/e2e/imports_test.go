package e2e_test

import (
	"encoding/json"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/qrgate/qrgate/"

// mayImport says, for each folder at the top, which others its code may use.
// Device and server meet only over the wire.
var mayImport = map[string][]string{
	"hw":     {"hw"},
	"sync":   {"sync"},
	"device": {"device", "hw", "sync"},
	"server": {"server", "sync"},
}

type goPackage struct {
	ImportPath   string
	Imports      []string
	TestImports  []string
	XTestImports []string
}

func packages(t *testing.T) []goPackage {
	t.Helper()
	out, err := exec.Command("go", "list", "-tags", "full", "-json=ImportPath,Imports,TestImports,XTestImports", "../../...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []goPackage
	dec := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p goPackage
		switch err := dec.Decode(&p); err {
		case nil:
			all = append(all, p)
		case io.EOF:
			return all
		default:
			t.Fatal(err)
		}
	}
}

func TestImportRules(t *testing.T) {
	for _, p := range packages(t) {
		inside := strings.TrimPrefix(p.ImportPath, module)
		top, rest, _ := strings.Cut(inside, "/")
		allowed, ok := mayImport[top]
		if !ok {
			t.Errorf("%s: Go code lies in device, server, sync and hw only", p.ImportPath)
			continue
		}
		if rest == "" && (top == "sync" || top == "hw") {
			t.Errorf("%s: no Go file lies directly in %s", p.ImportPath, top)
		}
		imports := slices.Concat(p.Imports, p.TestImports, p.XTestImports)
		for _, i := range imports {
			ours, found := strings.CutPrefix(i, module)
			if !found {
				continue
			}
			if other, _, _ := strings.Cut(ours, "/"); !slices.Contains(allowed, other) {
				t.Errorf("%s imports %s: %s may import only %s", p.ImportPath, i, top, strings.Join(allowed, ", "))
			}
		}
		if inside != "server/qrgate" {
			continue
		}
		for _, i := range p.Imports {
			if strings.HasPrefix(i, module+"server/") {
				t.Errorf("server/qrgate imports %s: the domain knows nothing of the rest of the server", i)
			}
		}
	}
}
