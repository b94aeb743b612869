package certs

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
)

// watchInterval is how often the operator's files are looked at. Programs that renew certificates replace them in several
// ways, which are seen alike by looking.
const watchInterval = 5 * time.Second

// maxFile bounds the operator's files. A chain of certificates has some KB.
const maxFile = 1 << 20

// file is the operator's own certificate.
type file struct {
	cert, key string // paths
	log       zerolog.Logger
	now       atomic.Pointer[tls.Certificate]
	seen      stamp // of what was read last; of the goroutine that watches
}

// stamp tells whether files have changed.
type stamp struct {
	certTime, keyTime time.Time
	certSize, keySize int64
}

// openFile reads the files for the first time.
func openFile(cert, key string, log zerolog.Logger) (*file, error) {
	f := &file{cert: cert, key: key, log: log}
	f.seen = f.stamp()
	return f, f.load()
}

// load reads the files. What was there before stays if they are of no use.
func (f *file) load() error {
	if f.seen.certSize > maxFile || f.seen.keySize > maxFile {
		return errors.New("or its key is too large to be one")
	}
	pair, err := tls.LoadX509KeyPair(f.cert, f.key)
	var path *fs.PathError
	switch {
	case errors.As(err, &path):
		return fmt.Errorf("or its key cannot be read: %w", err)
	case err != nil:
		return fmt.Errorf("and its key are no certificate and its key: %w", err)
	}
	f.now.Store(&pair)
	return nil
}

func (f *file) certificate() *tls.Certificate { return f.now.Load() }

// trouble tells what browsers will not like about the certificate of a name; "" if there is nothing.
func (f *file) trouble(name string) string {
	leaf := f.certificate().Leaf
	switch now := time.Now(); {
	case now.After(leaf.NotAfter):
		return "the certificate in your files has ended: renew it"
	case now.Before(leaf.NotBefore):
		return "the certificate in your files is not valid yet: look at this machine's clock"
	case leaf.VerifyHostname(name) != nil:
		return "the certificate in your files is for other names: get one for " + name
	}
	return ""
}

// warn tells the operator of such trouble.
func (f *file) warn(names []string) {
	for _, name := range names {
		if trouble := f.trouble(name); trouble != "" {
			f.log.Warn().Str("host", name).Str("cause", trouble).Msg("browsers will not trust the certificate")
		}
	}
}

func (f *file) expires() time.Time { return f.certificate().Leaf.NotAfter }

// stamp describes the files as they are. Files that are not there have an empty stamp.
func (f *file) stamp() stamp {
	var s stamp
	if info, err := os.Stat(f.cert); err == nil {
		s.certTime, s.certSize = info.ModTime(), info.Size()
	}
	if info, err := os.Stat(f.key); err == nil {
		s.keyTime, s.keySize = info.ModTime(), info.Size()
	}
	return s
}

// watch reads the files when they change, until ctx ends, and tells changed of it.
func (f *file) watch(ctx context.Context, changed func()) {
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			f.look(changed)
		}
	}
}

// look reads the files if they have changed.
func (f *file) look(changed func()) {
	stamp := f.stamp()
	if stamp == f.seen {
		return
	}
	f.seen = stamp
	if err := f.load(); err != nil {
		f.log.Error().Str("cause", err.Error()).Msg("the new certificate file is of no use: the old certificate stays")
		return
	}
	f.log.Info().Time("until", f.expires()).Msg("the new certificate file is in use")
	changed()
}

// selfSignedTime is for how long a certificate holds that nobody trusts.
const selfSignedTime = 10 * 365 * 24 * time.Hour

// SelfSigned makes a certificate for names that nobody trusts.
func SelfSigned(names []string) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "certificate of a relay that has no other yet"}, DNSNames: names,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(selfSignedTime),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}
