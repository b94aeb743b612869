package identity

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cloudflare/circl/sign/ed448"

	"sotto/shared/key"
)

// ErrExists is returned, wrapped with the file's name, by [Create] when the directory already holds an identity or
// a part of one. An identity is never overwritten: without its authority, the relay's address is lost.
var ErrExists = errors.New("already exists, and the identity of a relay is never overwritten")

// Create makes a new identity in dir: an offline authority and an online certificate for commonName, the relay's
// host name or IP address. It writes [FileAuthorityKey], [FileAuthority], [FileKey], [FileCertificate] and
// [FileFingerprint], which appear together even if the machine stops halfway, and are durable when Create returns.
// The directory is created if needed. It returns [ErrExists] if any of the files is there.
func Create(dir, commonName string, now time.Time) (*Identity, error) {
	unlock, err := openDir(dir)
	if err != nil {
		return nil, err
	}
	defer unlock()
	return create(dir, commonName, now)
}

// LoadOrCreate loads the identity in dir, or creates one if dir holds no part of an identity. Two processes that
// start at once on the same directory get the same identity. If dir holds a part of an identity, it is an error
// that says which file is missing.
func LoadOrCreate(dir, commonName string, now time.Time) (id *Identity, created bool, err error) {
	unlock, err := openDir(dir)
	if err != nil {
		return nil, false, err
	}
	defer unlock()
	id, err = create(dir, commonName, now)
	if err == nil {
		return id, true, nil
	}
	if !errors.Is(err, ErrExists) {
		return nil, false, err
	}
	id, err = load(inDir(dir), now)
	if err != nil {
		return nil, false, err
	}
	if err := checkFingerprint(filepath.Join(dir, FileFingerprint), id.Fingerprint()); err != nil {
		return nil, false, err
	}
	return id, false, nil
}

// Renew replaces the online key and certificate in dir by new ones for commonName, issued by the authority there,
// whose key ([FileAuthorityKey]) may be Ed25519 or Ed448. The fingerprint, and with it the relay's address, stays.
// It is how a relay leaves an Ed448 online certificate behind.
//
// Spec: smp.md 3.1
func Renew(dir, commonName string, now time.Time) (*Identity, error) {
	unlock, err := openDir(dir)
	if err != nil {
		return nil, err
	}
	defer unlock()
	ca, err := loadAuthority(dir)
	if err != nil {
		return nil, err
	}
	leaf, private, err := ca.issue(commonName, now)
	if err != nil {
		return nil, err
	}
	online, err := onlineFiles(leaf, private)
	if err != nil {
		return nil, err
	}
	if err := writeFiles(dir, suffixReplacement, online); err != nil {
		return nil, fmt.Errorf("write identity: %w", err)
	}
	return newIdentity([][]byte{leaf.Raw, ca.cert.Raw}, leaf, private), nil
}

// create is [Create] in a locked directory.
func create(dir, commonName string, now time.Time) (*Identity, error) {
	for _, name := range createdFiles {
		path := filepath.Join(dir, name)
		free, err := missing(path)
		if err != nil {
			return nil, fmt.Errorf("identity directory: %w", err)
		}
		if !free {
			return nil, fmt.Errorf("%s: %w", path, ErrExists)
		}
	}
	ca, err := newAuthority(now)
	if err != nil {
		return nil, err
	}
	leaf, private, err := ca.issue(commonName, now)
	if err != nil {
		return nil, err
	}
	id := newIdentity([][]byte{leaf.Raw, ca.cert.Raw}, leaf, private)
	files, err := identityFiles(id, ca)
	if err != nil {
		return nil, err
	}
	if err := writeFiles(dir, suffixCreating, files); err != nil {
		return nil, fmt.Errorf("write identity: %w", err)
	}
	return id, nil
}

// identityFiles encodes a new identity, in the order of createdFiles.
func identityFiles(id *Identity, ca *authority) ([]file, error) {
	caKey, err := encodePrivateKey(ca.key.(ed25519.PrivateKey))
	if err != nil {
		return nil, err
	}
	online, err := onlineFiles(id.leaf, id.leafKey)
	if err != nil {
		return nil, err
	}
	return []file{
		{FileAuthorityKey, modePrivate, caKey},
		{FileAuthority, modePublic, encodeCertificate(ca.cert)},
		online[0],
		online[1],
		{FileFingerprint, modePublic, []byte(formatFingerprint(id.Fingerprint()) + "\n")},
	}, nil
}

// onlineFiles encodes an online key and certificate, in the order of renewedFiles.
func onlineFiles(leaf *x509.Certificate, private ed25519.PrivateKey) ([]file, error) {
	online, err := encodePrivateKey(private)
	if err != nil {
		return nil, err
	}
	return []file{
		{FileKey, modePrivate, online},
		{FileCertificate, modePublic, encodeCertificate(leaf)},
	}, nil
}

// loadAuthority reads the authority's key and certificate and checks that they belong together.
func loadAuthority(dir string) (*authority, error) {
	keyPath, certPath := filepath.Join(dir, FileAuthorityKey), filepath.Join(dir, FileAuthority)
	content, err := os.ReadFile(keyPath)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is missing: put the authority's key there for the renewal, then take it away again", keyPath)
	}
	if err != nil {
		return nil, fmt.Errorf("read the authority's key: %w", err)
	}
	private, err := parsePrivateKey(content)
	if err != nil {
		return nil, fmt.Errorf("%s %w: put the authority's private key there", keyPath, err)
	}
	cert, err := loadAuthorityCertificate(certPath)
	if err != nil {
		return nil, err
	}
	if !belongs(private, cert.key) {
		return nil, fmt.Errorf("%s is not the key of the certificate in %s: put the two that were created together there",
			keyPath, certPath)
	}
	return &authority{cert: cert.Certificate, key: private}, nil
}

// belongs reports whether private is the private half of public.
func belongs(private crypto.Signer, public key.Public) bool {
	switch k := private.Public().(type) {
	case ed25519.PublicKey:
		return public.Algorithm() == key.Ed25519 && bytes.Equal(k, public.Raw())
	case ed448.PublicKey:
		return public.Algorithm() == key.Ed448 && bytes.Equal(k, public.Raw())
	default:
		return false
	}
}

// formatFingerprint writes a fingerprint as in server addresses.
//
// Spec: smp.md 1.4
func formatFingerprint(fingerprint [sha256.Size]byte) string {
	return base64.URLEncoding.EncodeToString(fingerprint[:])
}

// checkFingerprint compares the fingerprint file, if there is one, with the authority that was loaded, so that a
// swapped certificate does not quietly give the relay another address.
func checkFingerprint(path string, want [sha256.Size]byte) error {
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the saved fingerprint: %w", err)
	}
	saved := strings.TrimSpace(string(content))
	if strings.TrimRight(saved, "=") == strings.TrimRight(formatFingerprint(want), "=") {
		return nil
	}
	return fmt.Errorf("%s is not the fingerprint of the authority beside it: restore the certificate this relay's "+
		"address was made from, or delete the file if the address is meant to change", path)
}
