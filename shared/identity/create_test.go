package identity

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sotto/shared/auth"
	"sotto/shared/identity/identitytest"
	"sotto/shared/installed"
	"sotto/shared/key"
)

func TestCreate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deeper", "down")
	now := time.Now()
	id, err := Create(dir, "relay.example", now)
	if err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]fs.FileMode{
		"ca.key": 0o600, "ca.crt": 0o644, "server.key": 0o600, "server.crt": 0o644, "fingerprint": 0o644,
	} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode() != mode {
			t.Errorf("%s: %v %v", name, info, err)
		}
	}
	if got := names(t, dir); len(got) != len(createdFiles) {
		t.Errorf("files %v", got)
	}
	saved := string(read(t, dir, "fingerprint"))
	if saved != formatFingerprint(id.Fingerprint())+"\n" {
		t.Errorf("fingerprint %q", saved)
	}
	loaded, err := Load(filepath.Join(dir, "ca.crt"), filepath.Join(dir, "server.crt"), filepath.Join(dir, "server.key"))
	if err != nil {
		t.Fatal(err)
	}
	if loaded.Fingerprint() != id.Fingerprint() || !loaded.LeafKey().Equal(id.LeafKey()) {
		t.Error("loaded another identity")
	}
	leaf, err := VerifyChain(loaded.Chain, id.Fingerprint(), now)
	if err != nil {
		t.Fatal(err)
	}
	session := auth.NewX25519().Public()
	signed := loaded.SignSessionKey(session)
	if got, err := auth.VerifySignedKey(leaf, signed); err != nil || got != session || len(signed) != 122 {
		t.Errorf("session key: %d bytes, %v", len(signed), err)
	}
}

func TestCreatedCertificates(t *testing.T) {
	now := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	id, err := Create(t.TempDir(), "192.0.2.1", now)
	if err != nil {
		t.Fatal(err)
	}
	leaf, _ := x509.ParseCertificate(id.Chain[0])
	ca, _ := x509.ParseCertificate(id.Chain[1])
	if got := ca.Subject.String(); got != "CN=SMP server CA,O=SimpleX" || ca.Issuer.String() != got {
		t.Errorf("authority %s", got)
	}
	if !ca.IsCA || len(ca.SubjectKeyId) != keyIDSize || string(ca.SubjectKeyId) != string(ca.AuthorityKeyId) {
		t.Error("authority: wrong extensions")
	}
	if got := leaf.Subject.String(); got != "CN=192.0.2.1" || string(leaf.RawIssuer) != string(ca.RawSubject) {
		t.Errorf("leaf %s issued by %s", got, leaf.Issuer)
	}
	usage := x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment | x509.KeyUsageKeyAgreement
	if leaf.KeyUsage != usage || !slices.Equal(leaf.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}) {
		t.Error("leaf: wrong usage")
	}
	if leaf.IsCA || !leaf.BasicConstraintsValid || string(leaf.AuthorityKeyId) != string(ca.SubjectKeyId) {
		t.Error("leaf: wrong extensions")
	}
	for _, c := range []*x509.Certificate{ca, leaf} {
		if !c.NotBefore.Equal(now.Add(-24*time.Hour)) || !c.NotAfter.Equal(now.AddDate(0, 0, 999999)) {
			t.Errorf("dates %v %v", c.NotBefore, c.NotAfter)
		}
	}
	if !id.Expires().Equal(leaf.NotAfter) {
		t.Error("wrong expiry")
	}
}

// TestOpenSSLVerifies has the certificates judged by another implementation, Ed448 among them.
func TestOpenSSLVerifies(t *testing.T) {
	installed.Program(t, "openssl", "openssl")
	for _, c := range []struct {
		name  string
		setup func(t *testing.T, dir string)
	}{
		{"Ed25519", func(t *testing.T, dir string) {
			if _, err := Create(dir, "relay.example", time.Now()); err != nil {
				t.Fatal(err)
			}
		}},
		{"Ed448", func(t *testing.T, dir string) {
			writeOlder(t, dir)
			if _, err := Renew(dir, "relay.example", time.Now()); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			c.setup(t, dir)
			out, err := exec.Command("openssl", "verify", "-purpose", "sslserver", "-CAfile",
				filepath.Join(dir, FileAuthority), filepath.Join(dir, FileCertificate)).CombinedOutput()
			if err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

func TestNeverOverwrites(t *testing.T) {
	for _, name := range createdFiles {
		dir := t.TempDir()
		write(t, dir, name, []byte("precious"))
		if _, err := Create(dir, "relay.example", time.Now()); !errors.Is(err, ErrExists) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: Create: %v", name, err)
		}
		if _, created, err := LoadOrCreate(dir, "relay.example", time.Now()); err == nil || created {
			t.Errorf("%s: LoadOrCreate accepted a part of an identity", name)
		}
		if got := names(t, dir); !slices.Equal(got, []string{name}) || string(read(t, dir, name)) != "precious" {
			t.Errorf("%s: left %v", name, got)
		}
	}
}

func TestLoadOrCreate(t *testing.T) {
	dir := t.TempDir()
	first, created, err := LoadOrCreate(dir, "relay.example", time.Now())
	if err != nil || !created {
		t.Fatal(created, err)
	}
	if err := os.Remove(filepath.Join(dir, FileAuthorityKey)); err != nil { // as it should be: offline
		t.Fatal(err)
	}
	second, created, err := LoadOrCreate(dir, "other.example", time.Now())
	if err != nil || created || second.Fingerprint() != first.Fingerprint() {
		t.Fatal(created, err)
	}
	write(t, dir, FileFingerprint, []byte("HWAkKpzsYqiG1t-95vAUkJjK-UXQMdHWaA_ksfn4FZc=\n"))
	if _, _, err := LoadOrCreate(dir, "relay.example", time.Now()); err == nil || !strings.Contains(err.Error(), "fingerprint") {
		t.Errorf("another fingerprint: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, FileFingerprint)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := LoadOrCreate(dir, "relay.example", time.Now()); err != nil {
		t.Errorf("no fingerprint: %v", err)
	}
}

func TestLoadOrCreateAtOnce(t *testing.T) {
	dir := t.TempDir()
	const starts = 8
	ids := make([]*Identity, starts)
	createdBy := make([]bool, starts)
	var wg sync.WaitGroup
	for i := range starts {
		wg.Go(func() {
			var err error
			if ids[i], createdBy[i], err = LoadOrCreate(dir, "relay.example", time.Now()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	created := 0
	for i, id := range ids {
		if createdBy[i] {
			created++
		}
		if id == nil || id.Fingerprint() != ids[0].Fingerprint() {
			t.Fatal("two identities")
		}
	}
	if created != 1 {
		t.Errorf("created %d times", created)
	}
}

// TestInterruptedCreation starts from every state in which a crash can leave the directory.
func TestInterruptedCreation(t *testing.T) {
	whole := t.TempDir()
	id, err := Create(whole, "relay.example", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for staged := range len(createdFiles) + 1 {
		t.Run(fmt.Sprintf("%d staged", staged), func(t *testing.T) {
			dir := t.TempDir()
			for i, name := range createdFiles[:staged] {
				content := read(t, whole, name)
				if i == staged-1 {
					content = content[:len(content)/2]
				}
				write(t, dir, name+suffixCreating, content)
			}
			got, created, err := LoadOrCreate(dir, "relay.example", time.Now())
			if err != nil || !created || got.Fingerprint() == id.Fingerprint() {
				t.Errorf("created %v, %v", created, err)
			}
			checkWhole(t, dir)
		})
	}
	for renamed := 1; renamed <= len(createdFiles); renamed++ {
		t.Run(fmt.Sprintf("%d renamed", renamed), func(t *testing.T) {
			dir := t.TempDir()
			for i, name := range createdFiles {
				content := read(t, whole, name)
				if i >= renamed {
					name += suffixCreating
				}
				write(t, dir, name, content)
			}
			got, created, err := LoadOrCreate(dir, "relay.example", time.Now())
			if err != nil || created || got.Fingerprint() != id.Fingerprint() {
				t.Errorf("created %v, %v", created, err)
			}
			checkWhole(t, dir)
		})
	}
}

// TestInterruptedDiscard is a crash while what an earlier crash left is being removed.
func TestInterruptedDiscard(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, FileAuthorityKey+suffixCreating, []byte("half"))
	write(t, dir, FileKey+suffixCreating, []byte("half"))
	if err := discardFiles(dir, suffixCreating, createdFiles); err != nil {
		t.Fatal(err)
	}
	if got := names(t, dir); len(got) != 0 {
		t.Errorf("left %v", got)
	}
	write(t, dir, FileAuthorityKey+suffixCreating, []byte("half"))
	if _, created, err := LoadOrCreate(dir, "relay.example", time.Now()); err != nil || !created {
		t.Error(created, err)
	}
	checkWhole(t, dir)
}

func TestInterruptedRenewal(t *testing.T) {
	for staged, want := range []bool{false, false, true} { // the number of files already renamed is 0, 0, 1
		dir, renewed := t.TempDir(), t.TempDir()
		before, err := Create(dir, "relay.example", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range createdFiles {
			write(t, renewed, name, read(t, dir, name))
		}
		after, err := Renew(renewed, "relay.example", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		switch staged {
		case 0:
			write(t, dir, FileKey+suffixReplacement, []byte("half"))
		case 1:
			write(t, dir, FileKey+suffixReplacement, read(t, renewed, FileKey))
			write(t, dir, FileCertificate+suffixReplacement, read(t, renewed, FileCertificate))
		case 2:
			write(t, dir, FileKey, read(t, renewed, FileKey))
			write(t, dir, FileCertificate+suffixReplacement, read(t, renewed, FileCertificate))
		}
		got, created, err := LoadOrCreate(dir, "relay.example", time.Now())
		if err != nil || created {
			t.Fatal(created, err)
		}
		if got.LeafKey().Equal(after.LeafKey()) != want || got.LeafKey().Equal(before.LeafKey()) == want {
			t.Errorf("case %d: not the key expected", staged)
		}
		checkWhole(t, dir)
	}
}

func TestRenew(t *testing.T) {
	for name, setup := range map[string]func(t *testing.T, dir string){
		"Ed25519": func(t *testing.T, dir string) {
			if _, err := Create(dir, "old.example", time.Now()); err != nil {
				t.Fatal(err)
			}
		},
		"Ed448": writeOlder,
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			setup(t, dir)
			caKey, saved := read(t, dir, FileAuthorityKey), read(t, dir, FileFingerprint)
			id, err := Renew(dir, "new.example", time.Now())
			if err != nil {
				t.Fatal(err)
			}
			loaded, created, err := LoadOrCreate(dir, "other.example", time.Now())
			if err != nil || created || !loaded.LeafKey().Equal(id.LeafKey()) {
				t.Fatal(created, err)
			}
			leaf, err := VerifyChain(loaded.Chain, id.Fingerprint(), time.Now())
			if err != nil || leaf.Algorithm() != key.Ed25519 || loaded.leaf.Subject.CommonName != "new.example" {
				t.Errorf("leaf of %s, %v", loaded.leaf.Subject, err)
			}
			if formatFingerprint(id.Fingerprint())+"\n" != string(saved) || string(read(t, dir, FileAuthorityKey)) != string(caKey) {
				t.Error("the authority has changed")
			}
			checkWhole(t, dir)
		})
	}
}

func TestRenewRefuses(t *testing.T) {
	for _, c := range []struct {
		name, names string
		spoil       func(t *testing.T, dir string)
	}{
		{"no key", FileAuthorityKey, func(t *testing.T, dir string) { remove(t, dir, FileAuthorityKey) }},
		{"no certificate", FileAuthority, func(t *testing.T, dir string) { remove(t, dir, FileAuthority) }},
		{"not a key", FileAuthorityKey, func(t *testing.T, dir string) { write(t, dir, FileAuthorityKey, []byte("no")) }},
		{"key of the leaf", FileAuthorityKey, func(t *testing.T, dir string) { write(t, dir, FileAuthorityKey, read(t, dir, FileKey)) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if _, err := Create(dir, "relay.example", time.Now()); err != nil {
				t.Fatal(err)
			}
			before := read(t, dir, FileKey)
			c.spoil(t, dir)
			_, err := Renew(dir, "relay.example", time.Now())
			if err == nil || !strings.Contains(err.Error(), filepath.Join(dir, c.names)) {
				t.Error(err)
			}
			if string(read(t, dir, FileKey)) != string(before) {
				t.Error("changed the key")
			}
		})
	}
}

func TestPrintsNothing(t *testing.T) {
	id, err := Create(t.TempDir(), "relay.example", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		if got := fmt.Sprintf(format, id); got != "[identity]" {
			t.Errorf("%s: %s", format, got)
		}
	}
	if text, err := id.MarshalText(); err != nil || string(text) != "[identity]" {
		t.Errorf("%s %v", text, err)
	}
}

// writeOlder makes dir that of an older relay.
func writeOlder(t *testing.T, dir string) {
	t.Helper()
	identitytest.WriteEd448(t, dir, time.Now())
}

// checkWhole fails the test if dir holds anything but the files of an identity.
func checkWhole(t *testing.T, dir string) {
	t.Helper()
	want := slices.Sorted(slices.Values(createdFiles))
	if got := names(t, dir); !slices.Equal(got, want) {
		t.Errorf("files %v", got)
	}
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, e := range entries {
		found = append(found, e.Name())
	}
	return found
}

func read(t *testing.T, dir, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func write(t *testing.T, dir, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, dir, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}
