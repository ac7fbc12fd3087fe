package main

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"
)

// changelog has one entry: what changed stands in the repository.
func (r release) changelog(p program) []byte {
	return fmt.Appendf(nil, `%s (%s) stable; urgency=medium

  * Built from %s.

 -- QRGate maintainers <qrgate@users.noreply.github.com>  %s
`, p.name, r.debian(), r.version, r.time.Format(time.RFC1123Z))
}

// compress returns b as gzip without name and time.
func compress(b []byte) ([]byte, error) {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(b); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// The parts of SPDX 2.3 that a bill of materials needs.
type (
	document struct {
		SPDXVersion       string         `json:"spdxVersion"`
		DataLicense       string         `json:"dataLicense"`
		SPDXID            string         `json:"SPDXID"`
		Name              string         `json:"name"`
		DocumentNamespace string         `json:"documentNamespace"`
		CreationInfo      creation       `json:"creationInfo"`
		Packages          []component    `json:"packages"`
		Relationships     []relationship `json:"relationships"`
	}
	creation struct {
		Created  string   `json:"created"`
		Creators []string `json:"creators"`
	}
	component struct {
		SPDXID           string      `json:"SPDXID"`
		Name             string      `json:"name"`
		Version          string      `json:"versionInfo"`
		DownloadLocation string      `json:"downloadLocation"`
		FilesAnalyzed    bool        `json:"filesAnalyzed"`
		LicenseConcluded string      `json:"licenseConcluded"`
		LicenseDeclared  string      `json:"licenseDeclared"`
		CopyrightText    string      `json:"copyrightText"`
		Comment          string      `json:"comment,omitempty"`
		Checksums        []checksum  `json:"checksums,omitempty"`
		References       []reference `json:"externalRefs,omitempty"`
	}
	checksum struct {
		Algorithm string `json:"algorithm"`
		Value     string `json:"checksumValue"`
	}
	reference struct {
		Category string `json:"referenceCategory"`
		Type     string `json:"referenceType"`
		Locator  string `json:"referenceLocator"`
	}
	relationship struct {
		Element string `json:"spdxElementId"`
		Type    string `json:"relationshipType"`
		Related string `json:"relatedSpdxElement"`
	}
)

const unsaid = "NOASSERTION"

// sbom returns the bill of materials of a package's binaries, from what the linker
// wrote into them: what is in the files, not what the repository might need.
func (r release) sbom(p program, a arch, binaries []string) ([]byte, error) {
	d := document{
		SPDXVersion: "SPDX-2.3", DataLicense: "CC0-1.0", SPDXID: "SPDXRef-DOCUMENT",
		Name:         fmt.Sprintf("%s %s %s", p.name, r.debian(), a.deb),
		CreationInfo: creation{r.time.Format(time.RFC3339), []string{"Tool: qrgate-pack"}},
	}
	all := sha256.New()
	ids := map[string]string{} // of modules, by path and version
	for _, binary := range binaries {
		b, err := os.ReadFile(binary)
		if err != nil {
			return nil, err
		}
		info, err := buildinfo.Read(bytes.NewReader(b))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", binary, err)
		}
		all.Write(b)
		sum := sha256.Sum256(b)
		self := "SPDXRef-" + filepath.Base(binary)
		d.Packages = append(d.Packages, component{
			SPDXID: self, Name: filepath.Base(binary), Version: r.version, DownloadLocation: "https://github.com/qrgate/qrgate",
			LicenseConcluded: "Apache-2.0", LicenseDeclared: "Apache-2.0", CopyrightText: "QRGate contributors",
			Checksums: []checksum{{"SHA256", hex.EncodeToString(sum[:])}},
		})
		d.Relationships = append(d.Relationships, relationship{d.SPDXID, "DESCRIBES", self})
		go1 := strings.TrimPrefix(info.GoVersion, "go")
		parts := []component{{
			Name: "stdlib", Version: go1, DownloadLocation: "https://go.dev/dl/" + info.GoVersion + ".src.tar.gz",
			References: []reference{{"PACKAGE-MANAGER", "purl", "pkg:golang/stdlib@" + go1}},
		}}
		for _, m := range info.Deps {
			parts = append(parts, module(m))
		}
		for _, c := range parts {
			key := c.Name + "@" + c.Version
			if ids[key] == "" {
				ids[key] = fmt.Sprintf("SPDXRef-module-%d", len(ids)+1)
				c.SPDXID, c.LicenseConcluded, c.LicenseDeclared, c.CopyrightText = ids[key], unsaid, unsaid, unsaid
				d.Packages = append(d.Packages, c)
			}
			d.Relationships = append(d.Relationships, relationship{self, "STATIC_LINK", ids[key]})
		}
	}
	d.DocumentNamespace = fmt.Sprintf("https://github.com/qrgate/qrgate/spdx/%s-%s-%s-%x", p.name, r.debian(), a.deb, all.Sum(nil))
	text, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return nil, err
	}
	return append(text, '\n'), nil
}

func module(m *debug.Module) component {
	if m.Replace != nil {
		m = m.Replace
	}
	c := component{
		Name: m.Path, Version: m.Version,
		DownloadLocation: "https://proxy.golang.org/" + lower(m.Path) + "/@v/" + lower(m.Version) + ".zip",
		References:       []reference{{"PACKAGE-MANAGER", "purl", "pkg:golang/" + m.Path + "@" + m.Version}},
	}
	// h1: is the checksum of go.sum, over the names and contents of a module's files,
	// and not that of any one file; so it is no checksum as SPDX has them.
	if raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(m.Sum, "h1:")); err == nil && len(raw) == sha256.Size {
		c.Comment = "go.sum " + m.Sum
	}
	return c
}

// lower writes a module's path as the proxy does, on which capitals do not
// count: !a for A.
func lower(path string) string {
	var b strings.Builder
	for _, r := range path {
		if r >= 'A' && r <= 'Z' {
			b.WriteByte('!')
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}
