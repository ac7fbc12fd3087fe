package update_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/qrgate/qrgate/device/update"
	"github.com/qrgate/qrgate/sync/release"
)

// Each of these is a repository, on a server and on a stick, that somebody altered
// after a kiosk took 1.1.0 from it, and that offers 1.2.0.
var tampered = []struct {
	name   string
	how    func(r *repo)
	reason release.Reason
}{
	{"a wrong signature", func(r *repo) {
		r.release("1.2.0", program(12))
		b := r.content("3.targets.json")
		r.file("3.targets.json", []byte(strings.Replace(string(b), `"length":200000`, `"length":200001`, 1)))
	}, release.Unsigned},
	{"below the threshold", func(r *repo) {
		r.release("1.2.0", program(12))
		r.putTargets(targetKeys[0])
	}, release.Unsigned},
	{"one key signs twice", func(r *repo) {
		r.release("1.2.0", program(12))
		b := sign(r, r.targets, targetKeys[0])
		r.file("3.targets.json", twice(b))
		r.snapshot.Signed.Meta["targets.json"] = meta(3, twice(b))
		r.putSnapshot(onlineKey)
	}, release.Unsigned},
	{"targets signed by the server's own key", func(r *repo) {
		r.release("1.2.0", program(12))
		r.putTargets(onlineKey, targetKeys[0])
	}, release.Unsigned},
	{"keys that nobody knows", func(r *repo) {
		r.release("1.2.0", program(12))
		r.putTargets(key(90), key(91))
	}, release.Unsigned},
	{"an expired timestamp", func(r *repo) {
		r.timestamp.Signed.Expires = start.Add(-day)
		r.release("1.2.0", program(12))
	}, release.Expired},
	{"an expired snapshot", func(r *repo) {
		r.snapshot.Signed.Expires = start.Add(-day)
		r.release("1.2.0", program(12))
	}, release.Expired},
	{"expired targets", func(r *repo) {
		r.targets.Signed.Expires = start.Add(-day)
		r.release("1.2.0", program(12))
	}, release.Expired},
	{"an expired root", func(r *repo) {
		r.root.Signed.Version, r.root.Signed.Expires = 2, start.Add(-day)
		r.putRoot(rootKeys...)
		r.release("1.2.0", program(12))
	}, release.Expired},
	{"the timestamp of before", func(r *repo) { // roll-back
		r.release("1.2.0", program(12))
		r.timestamp.Signed.Version = 1
		r.putTimestamp(onlineKey)
	}, release.Unsigned},
	{"the snapshot of before", func(r *repo) {
		r.timestamp.Signed.Version = 9
		r.timestamp.Signed.Meta["snapshot.json"] = meta(1, r.content("1.snapshot.json"))
		r.putTimestamp(onlineKey)
	}, release.Unsigned},
	{"the targets of before", func(r *repo) {
		r.snapshot.Signed.Version, r.timestamp.Signed.Version = 9, 9
		r.snapshot.Signed.Meta["targets.json"] = meta(1, r.content("1.targets.json"))
		r.putSnapshot(onlineKey)
	}, release.Unsigned},
	{"targets no longer named", func(r *repo) {
		r.snapshot.Signed.Version, r.timestamp.Signed.Version = 9, 9
		r.snapshot.Signed.Meta = map[string]*metadata.MetaFiles{}
		r.putSnapshot(onlineKey)
	}, release.Unsigned},
	{"nothing new, for ever", func(r *repo) { // freeze: 1.2.0 is announced and withheld
	}, release.Unlisted},
	{"the targets of one edition with the snapshot of another", func(r *repo) { // mix and match
		r.release("1.2.0", program(12))
		b := r.content("3.targets.json")
		r.release("1.3.0", program(13))
		r.file("4.targets.json", b)
	}, release.Unsigned},
	{"a wrong hash", func(r *repo) {
		r.release("1.2.0", program(12))
		r.file(r.path(release.Name("1.2.0", "arm64")), program(66))
	}, release.Unsigned},
	{"too short", func(r *repo) {
		r.release("1.2.0", program(12))
		r.file(r.path(release.Name("1.2.0", "arm64")), program(12)[:1000])
	}, release.Unreached}, // it may still come
	{"too long", func(r *repo) {
		r.release("1.2.0", program(12))
		r.file(r.path(release.Name("1.2.0", "arm64")), append(program(12), 0))
	}, release.Unsigned},
	{"metadata without end", func(r *repo) {
		r.file("timestamp.json", make([]byte, 1<<20))
	}, release.Unsigned},
	{"a root without end", func(r *repo) {
		r.file("2.root.json", make([]byte, 2<<20))
	}, release.Unsigned},
	{"a build for other machines", func(r *repo) {
		r.releaseAs(release.Name("1.2.0", "arm64"), release.About{Product: release.Product, Version: "1.2.0", Arch: "amd64"}, program(12))
	}, release.Unsigned},
	{"another product", func(r *repo) {
		r.releaseAs(release.Name("1.2.0", "arm64"), release.About{Product: "qrgate-server", Version: "1.2.0", Arch: "arm64"}, program(12))
	}, release.Unsigned},
	{"an old version under a new name", func(r *repo) {
		r.releaseAs(release.Name("1.2.0", "arm64"), release.About{Product: release.Product, Version: "0.9.0", Arch: "arm64"}, program(12))
	}, release.Unsigned},
	{"nothing said of the build", func(r *repo) {
		r.release("1.2.0", program(12))
		r.targets.Signed.Targets[release.Name("1.2.0", "arm64")].Custom = nil
		r.rise()
		r.put()
	}, release.Unsigned},
	{"no hash that counts", func(r *repo) {
		r.release("1.2.0", program(12))
		r.targets.Signed.Targets[release.Name("1.2.0", "arm64")].Hashes = metadata.Hashes{"md5": make([]byte, 16)}
		r.rise()
		r.put()
	}, release.Unsigned},
	{"a program larger than any", func(r *repo) {
		r.release("1.2.0", program(12))
		r.targets.Signed.Targets[release.Name("1.2.0", "arm64")].Length = release.MaxProgram + 1
		r.rise()
		r.put()
	}, release.Unsigned},
	{"the key of a revoked root", func(r *repo) {
		r.revoke(targetKeys[0], metadata.TARGETS)
		r.add(key(14), metadata.TARGETS)
		r.root.Signed.Version = 2
		r.putRoot(rootKeys...)
		r.release("1.2.0", program(12)) // signed by it all the same
	}, release.Unsigned},
	{"a root signed by new keys alone", func(r *repo) {
		for i, k := range rootKeys {
			r.add(key(60+byte(i)), metadata.ROOT)
			r.revoke(k, metadata.ROOT)
		}
		r.root.Signed.Version = 2
		r.putRoot(key(60), key(61))
	}, release.Unsigned},
	{"a root signed by one key", func(r *repo) {
		r.root.Signed.Version = 2
		r.putRoot(rootKeys[0])
	}, release.Unsigned},
	{"a root that skips a version", func(r *repo) {
		r.root.Signed.Version = 3
		b := sign(r, r.root, rootKeys...)
		r.file("2.root.json", b)
	}, release.Unsigned},
	{"another kind of document", func(r *repo) {
		r.file("timestamp.json", r.content("1.snapshot.json"))
	}, release.Unsigned},
	{"a timestamp that names nothing", func(r *repo) {
		r.timestamp.Signed.Version = 9
		r.timestamp.Signed.Meta = map[string]*metadata.MetaFiles{}
		r.putTimestamp(onlineKey)
	}, release.Unsigned},
	{"no JSON", func(r *repo) { r.file("timestamp.json", []byte("<html>sign in to this network</html>")) }, release.Unsigned},
}

// twice repeats a document's signature.
func twice(b []byte) []byte {
	var doc struct {
		Signed     json.RawMessage   `json:"signed"`
		Signatures []json.RawMessage `json:"signatures"`
	}
	if err := json.Unmarshal(b, &doc); err != nil {
		panic(err)
	}
	doc.Signatures = append(doc.Signatures, doc.Signatures[0])
	out, err := json.Marshal(doc)
	if err != nil {
		panic(err)
	}
	return out
}

func TestTamperedUpdatesAreRefused(t *testing.T) {
	for _, tt := range tampered {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRepo(t)
			r.release("1.1.0", program(11))
			server, stick := newKiosk(t, r), newKiosk(t, r)
			src := r.serve()
			for _, k := range []*kiosk{server, stick} {
				if _, err := k.take(src, ""); err != nil {
					t.Fatal(err)
				}
			}
			tt.how(r)
			dir := t.TempDir()
			if err := os.CopyFS(dir, r.files); err != nil {
				t.Fatal(err)
			}
			server.refuses(src, "1.2.0", tt.reason)
			stick.refuses(update.Folder(dir), "1.2.0", tt.reason)
		})
	}
}

func (k *kiosk) refuses(src update.Source, version string, why release.Reason) {
	k.t.Helper()
	for range 2 { // and is no weaker the second time
		f, err := k.take(src, version)
		if err == nil || update.Why(err) != why {
			k.t.Errorf("take = %+v, %v (%s), want %s", f, err, update.Why(err), why)
		}
	}
	if _, err := os.Stat(k.versions.File("1.2.0")); err == nil {
		k.t.Error("1.2.0 is there all the same")
	}
	k.holds("1.1.0", program(11))
}

func TestADowngradeIsRefused(t *testing.T) {
	r := newRepo(t)
	r.release("1.1.0", program(11))
	r.release("1.2.0", program(12))
	k := newKiosk(t, r)
	k.ask.Running = "1.2.0"
	src := r.serve()
	for _, v := range []string{"1.1.0", "1.2.0", ""} {
		if _, err := k.take(src, v); update.Why(err) != release.Older {
			t.Errorf("take %q = %v, want older", v, err)
		}
	}
}

func TestWhatWasWithdrawnIsRefused(t *testing.T) {
	r := newRepo(t)
	r.release("1.1.0", program(11))
	r.release("1.2.0", program(12))
	delete(r.targets.Signed.Targets, release.Name("1.2.0", "arm64"))
	r.rise()
	r.put()
	if _, err := newKiosk(t, r).take(r.serve(), "1.2.0"); update.Why(err) != release.Unlisted {
		t.Errorf("take = %v, want unlisted", err)
	}
}

func TestAVersionThatIsAPathIsRefused(t *testing.T) {
	r := newRepo(t)
	k := newKiosk(t, r)
	src := r.serve()
	for _, v := range []string{"../../../etc/passwd", "1.2.0/../../x", "/bin/sh", "1.2.0\x00", "..", "1.2.0-arm64"} {
		name := release.Product + "-" + v + "-arm64"
		r.releaseAs(name, release.About{Product: release.Product, Version: v, Arch: "arm64"}, program(12))
		if _, err := k.take(src, v); update.Why(err) != release.Unlisted {
			t.Errorf("take %q = %v, want unlisted", v, err)
		}
		if _, err := k.take(src, ""); update.Why(err) != release.Unlisted {
			t.Errorf("the newest, with %q listed = %v, want unlisted", v, err)
		}
	}
}

func TestAStickOfLinksIsRefused(t *testing.T) {
	r := newRepo(t)
	r.release("1.1.0", program(11))
	k := newKiosk(t, r)
	dir, outside := t.TempDir(), t.TempDir()
	if err := os.CopyFS(dir, r.files); err != nil {
		t.Fatal(err)
	}
	name := r.path(release.Name("1.1.0", "arm64"))
	secret := filepath.Join(outside, "secret")
	if err := os.WriteFile(secret, program(11), 0o600); err != nil { // even what would fit
		t.Fatal(err)
	}
	for _, to := range []string{secret, "../../../../../../.." + secret} {
		os.Remove(filepath.Join(dir, name))
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		if _, err := k.take(update.Folder(dir), ""); err == nil {
			t.Errorf("a link to %s is followed", to)
		}
	}
	os.Remove(filepath.Join(dir, name))
	if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := k.take(update.Folder(dir), ""); err == nil {
		t.Error("a folder is read as a program")
	}
}

func TestAnEndlessProgramEnds(t *testing.T) {
	r := newRepo(t)
	r.release("1.1.0", program(11))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if !strings.Contains(q.URL.Path, "/targets/") {
			r.ServeHTTP(w, q)
			return
		}
		for q.Context().Err() == nil {
			if _, err := w.Write(program(11)); err != nil {
				return
			}
		}
	}))
	defer s.Close()
	if _, err := newKiosk(t, r).take(site(t, s.URL), ""); update.Why(err) != release.Unsigned {
		t.Errorf("take = %v, want it refused", err)
	}
}
