package identity

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"

	"github.com/cloudflare/circl/sign/ed448"
)

// PEM block types of the files.
const (
	pemCertificate = "CERTIFICATE"
	pemPrivateKey  = "PRIVATE KEY"
)

// pkcs8Ed448 is what PKCS#8 puts before the 57 bytes of an Ed448 private key.
var pkcs8Ed448 = []byte{
	0x30, 0x47, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x71, 0x04, 0x3b, 0x04, 0x39,
}

// Reasons why a file holds no usable key or certificate; they complete a sentence that begins with the file's name.
var (
	errNoKey         = errors.New("holds no PEM block \"PRIVATE KEY\"")
	errKeyEncoding   = errors.New("holds a private key that is not PKCS#8")
	errKeyAlgorithm  = errors.New("holds a private key that is neither Ed25519 nor Ed448")
	errNoCertificate = errors.New("holds no PEM block \"CERTIFICATE\"")
)

// parsePrivateKey reads the first private key of a PEM file: an ed25519.PrivateKey or an ed448.PrivateKey.
func parsePrivateKey(file []byte) (crypto.Signer, error) {
	block := nextBlock(&file, pemPrivateKey)
	if block == nil {
		return nil, errNoKey
	}
	if seed, ok := bytes.CutPrefix(block.Bytes, pkcs8Ed448); ok && len(seed) == ed448.SeedSize {
		return ed448.NewKeyFromSeed(seed), nil
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errKeyEncoding
	}
	k, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return nil, errKeyAlgorithm
	}
	return k, nil
}

// parseCertificates reads all certificates of a PEM file.
func parseCertificates(file []byte) ([]*certificate, error) {
	var certs []*certificate
	for block := nextBlock(&file, pemCertificate); block != nil; block = nextBlock(&file, pemCertificate) {
		cert, err := parseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		certs = append(certs, cert)
	}
	if len(certs) == 0 {
		return nil, errNoCertificate
	}
	return certs, nil
}

// nextBlock returns the next PEM block of this type and moves file past it.
func nextBlock(file *[]byte, kind string) *pem.Block {
	for {
		block, rest := pem.Decode(*file)
		*file = rest
		if block == nil || block.Type == kind {
			return block
		}
	}
}

// encodeCertificate returns a certificate as PEM.
func encodeCertificate(cert *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: pemCertificate, Bytes: cert.Raw})
}

// encodePrivateKey returns an Ed25519 key as PKCS#8 in PEM.
func encodePrivateKey(k ed25519.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemPrivateKey, Bytes: der}), nil
}
