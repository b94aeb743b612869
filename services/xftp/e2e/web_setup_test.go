package e2e

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sotto/shared/relay"
)

// webHost is the name in web certificates. It resolves to the loopback interface, and browsers send it as a server name.
const webHost = "localhost"

// webRelay is a relay that browsers can use.
type webRelay struct {
	address string // without a password
	caFile  string // PEM of the authority that vouches for its web certificate
}

// keyKind is that of a web certificate's key.
type keyKind string

const (
	keyECDSA keyKind = "ECDSA"
	keyRSA   keyKind = "RSA"
)

// startWebRelay starts a relay with a web certificate of this kind, and these settings besides.
func startWebRelay(t *testing.T, kind keyKind, settings ...string) webRelay {
	t.Helper()
	url := newDatabase(t) // skips the test unless it was asked for
	files := newWebCertificate(t, kind)
	all := append([]string{"XFTP_HOST=" + webHost, "XFTP_WEB_CERT=" + files.cert, "XFTP_WEB_KEY=" + files.key}, settings...)
	r := newRelay(t, url, all...)
	start(t, r)
	return webRelay{address: server(t, r).String(), caFile: files.ca}
}

// certificateFiles are PEM files.
type certificateFiles struct{ ca, cert, key string }

// newWebCertificate makes an authority and a certificate of it for webHost.
func newWebCertificate(t *testing.T, kind keyKind) certificateFiles {
	t.Helper()
	caKey := newWebKey(t, keyECDSA)
	ca := webTemplate(1, "Test authority")
	ca.IsCA, ca.KeyUsage = true, x509.KeyUsageCertSign
	caDER := issue(t, ca, ca, caKey.Public(), caKey)

	leafKey := newWebKey(t, kind)
	leaf := webTemplate(2, webHost)
	leaf.DNSNames, leaf.KeyUsage = []string{webHost}, x509.KeyUsageDigitalSignature
	leaf.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	leafDER := issue(t, leaf, ca, leafKey.Public(), caKey)

	keyDER, err := x509.MarshalPKCS8PrivateKey(leafKey)
	must(t, "encode the key", err)
	dir := t.TempDir()
	return certificateFiles{
		ca:   writePEM(t, filepath.Join(dir, "ca.pem"), "CERTIFICATE", caDER),
		cert: writePEM(t, filepath.Join(dir, "cert.pem"), "CERTIFICATE", leafDER),
		key:  writePEM(t, filepath.Join(dir, "key.pem"), "PRIVATE KEY", keyDER),
	}
}

func newWebKey(t *testing.T, kind keyKind) (k crypto.Signer) {
	t.Helper()
	var err error
	if kind == keyRSA {
		k, err = rsa.GenerateKey(rand.Reader, 2048)
	} else {
		k, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	must(t, "make a key", err)
	return k
}

func webTemplate(serial int64, name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
}

func issue(t *testing.T, cert, parent *x509.Certificate, public crypto.PublicKey, by crypto.Signer) []byte {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, cert, parent, public, by)
	must(t, "issue a certificate", err)
	return der
}

func writePEM(t *testing.T, path, kind string, der []byte) string {
	t.Helper()
	must(t, "write a file", os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
	return path
}

// webClient has a client of browsers do one of its tasks with a relay, and reads the result. It fails the test if the task
// fails.
type webClient func(t *testing.T, r webRelay, task string, parameters, result any)

// webClients are the places where the client runs.
var webClients = map[string]webClient{"Node": inNode, "Chromium": inChromium}

// marshal returns what a task is given.
func marshal(t *testing.T, parameters any) string {
	t.Helper()
	out, err := json.Marshal(parameters)
	must(t, "parameters", err)
	return string(out)
}

// readResult reads what a task returned, if anybody wants to know.
func readResult(t *testing.T, from []byte, result any) {
	t.Helper()
	if result != nil {
		must(t, "result", json.Unmarshal(from, result))
	}
}

// webEnvironment is the environment of programs that have this directory for a home.
func webEnvironment(home string) []string { return append(relay.Environment(), "HOME="+home) }
