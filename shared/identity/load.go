package identity

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"sotto/shared/key"
)

// paths are the three files a relay needs to run.
type paths struct {
	authority, certificate, key string
}

// inDir returns the usual files of an identity directory.
func inDir(dir string) paths {
	return paths{
		authority:   filepath.Join(dir, FileAuthority),
		certificate: filepath.Join(dir, FileCertificate),
		key:         filepath.Join(dir, FileKey),
	}
}

// Load reads an identity from PEM files: the authority's certificate, the online certificate (alone, or followed by
// those above it) and its PKCS#8 private key. It checks all that clients will check, and that the key belongs to the
// certificate. An error names the file and says what to do about it.
//
// Spec: smp.md 3.3
func Load(caCert, cert, keyFile string) (*Identity, error) {
	return load(paths{authority: caCert, certificate: cert, key: keyFile}, time.Now())
}

// load is [Load] at a given time.
func load(p paths, now time.Time) (*Identity, error) {
	ca, err := loadAuthorityCertificate(p.authority)
	if err != nil {
		return nil, err
	}
	certs, err := loadChain(p, ca)
	if err != nil {
		return nil, err
	}
	private, err := loadKey(p, certs[0])
	if err != nil {
		return nil, err
	}
	chain := make([][]byte, len(certs))
	for i, c := range certs {
		chain[i] = bytes.Clone(c.Raw)
	}
	if _, err := VerifyChain(chain, sha256.Sum256(ca.Raw), now); err != nil {
		return nil, fmt.Errorf("clients would refuse %s (%w): issue a new certificate with the authority's key", p.certificate, err)
	}
	return newIdentity(chain, certs[0].Certificate, private), nil
}

// loadAuthorityCertificate reads the first certificate of a file.
func loadAuthorityCertificate(path string) (*certificate, error) {
	content, err := readFile(path)
	if err != nil {
		return nil, err
	}
	certs, err := parseCertificates(content)
	if err != nil {
		return nil, fmt.Errorf("%s %w: put the certificate of the relay's authority there", path, reason(err))
	}
	return certs[0], nil
}

// loadChain reads the online certificate and returns the chain to present: what the file holds, or the leaf and the
// authority if it holds the leaf alone. It refuses a leaf that the authority did not issue or that TLS cannot use.
func loadChain(p paths, ca *certificate) ([]*certificate, error) {
	content, err := readFile(p.certificate)
	if err != nil {
		return nil, err
	}
	certs, err := parseCertificates(content)
	if err != nil {
		return nil, fmt.Errorf("%s %w: put the relay's online certificate there", p.certificate, reason(err))
	}
	leaf := certs[0]
	if leaf.key.Algorithm() != key.Ed25519 {
		return nil, fmt.Errorf("%s holds an Ed448 certificate, with which this relay cannot serve: "+
			"issue an Ed25519 one with the authority's key, the relay's address stays the same", p.certificate)
	}
	if len(certs) == 1 {
		certs = append(certs, ca)
	}
	if !bytes.Equal(certs[identityIndex].Raw, ca.Raw) {
		return nil, fmt.Errorf("the second certificate of %s is not that of %s: leave only the first one there",
			p.certificate, p.authority)
	}
	if !bytes.Equal(leaf.RawIssuer, ca.RawSubject) || !ca.signed(leaf) {
		return nil, fmt.Errorf("%s was not issued by the authority of %s: use the two files that belong together",
			p.certificate, p.authority)
	}
	return certs, nil
}

// loadKey reads the private key of leaf.
func loadKey(p paths, leaf *certificate) (ed25519.PrivateKey, error) {
	content, err := readFile(p.key)
	if err != nil {
		return nil, err
	}
	parsed, err := parsePrivateKey(content)
	if err != nil {
		return nil, fmt.Errorf("%s %w: put the Ed25519 key of %s there", p.key, err, p.certificate)
	}
	private, ok := parsed.(ed25519.PrivateKey)
	if !ok || !belongs(private, leaf.key) {
		return nil, fmt.Errorf("%s is not the key of the certificate in %s: use the two files that were created together",
			p.key, p.certificate)
	}
	return private, nil
}

// readFile reads a file of the identity.
func readFile(path string) ([]byte, error) {
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is missing: restore it from a backup, it is a part of the relay's identity", path)
	}
	if err != nil {
		return nil, fmt.Errorf("read a file of the relay's identity: %w", err)
	}
	return content, nil
}

// reason turns an error of [parseCertificates] into one that continues a sentence after the file's name.
func reason(err error) error {
	switch {
	case errors.Is(err, ErrKey):
		return fmt.Errorf("holds an unsuitable certificate (%w)", err)
	case errors.Is(err, ErrCertificate):
		return fmt.Errorf("holds something else than certificates (%w)", err)
	default:
		return err
	}
}
