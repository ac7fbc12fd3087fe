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

// sbom returns the bill of materials of a binary, from what the linker wrote into
// it: what is in the file, not what the repository might need.
func (r release) sbom(p program, a arch, binary string) ([]byte, error) {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return nil, err
	}
	b, err := os.ReadFile(binary)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(b)
	digest := hex.EncodeToString(sum[:])
	const self = "SPDXRef-program"
	d := document{
		SPDXVersion: "SPDX-2.3", DataLicense: "CC0-1.0", SPDXID: "SPDXRef-DOCUMENT",
		Name:              fmt.Sprintf("%s %s %s", p.name, r.debian(), a.deb),
		DocumentNamespace: fmt.Sprintf("https://github.com/qrgate/qrgate/spdx/%s-%s-%s-%s", p.name, r.debian(), a.deb, digest),
		CreationInfo:      creation{r.time.Format(time.RFC3339), []string{"Tool: qrgate-pack"}},
		Packages: []component{{
			SPDXID: self, Name: p.name, Version: r.version, DownloadLocation: "https://github.com/qrgate/qrgate",
			LicenseConcluded: "Apache-2.0", LicenseDeclared: "Apache-2.0", CopyrightText: "QRGate contributors",
			Checksums: []checksum{{"SHA256", digest}},
		}},
		Relationships: []relationship{{"SPDXRef-DOCUMENT", "DESCRIBES", self}},
	}
	add := func(c component) {
		c.LicenseConcluded, c.LicenseDeclared, c.CopyrightText = unsaid, unsaid, unsaid
		d.Packages = append(d.Packages, c)
		d.Relationships = append(d.Relationships, relationship{self, "STATIC_LINK", c.SPDXID})
	}
	go1 := strings.TrimPrefix(info.GoVersion, "go")
	add(component{
		SPDXID: "SPDXRef-go", Name: "stdlib", Version: go1, DownloadLocation: "https://go.dev/dl/" + info.GoVersion + ".src.tar.gz",
		References: []reference{{"PACKAGE-MANAGER", "purl", "pkg:golang/stdlib@" + go1}},
	})
	for i, m := range info.Deps {
		add(module(i, m))
	}
	text, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return nil, err
	}
	return append(text, '\n'), nil
}

func module(i int, m *debug.Module) component {
	if m.Replace != nil {
		m = m.Replace
	}
	c := component{
		SPDXID: fmt.Sprintf("SPDXRef-module-%d", i+1), Name: m.Path, Version: m.Version,
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
