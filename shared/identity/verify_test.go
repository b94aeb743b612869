package identity

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"sotto/shared/auth"
	"sotto/shared/internal/vectors"
	"sotto/shared/key"
	"sotto/shared/wire"
)

// vectorTime lies within the dates of all certificates in the vectors.
var vectorTime = time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC)

func TestVectorChain(t *testing.T) {
	var v struct {
		Chain []struct {
			DER         vectors.Hex `json:"der"`
			AddressForm string      `json:"address_form"`
			Raw         vectors.Hex `json:"public_key_raw"`
			Fingerprint vectors.Hex `json:"sha256_fingerprint"`
		} `json:"chain"`
		ChainEncoded vectors.Hex `json:"chain_smp_encoded"`
		Signed       struct {
			DER  vectors.Hex `json:"der"`
			Data vectors.Hex `json:"signed_data"`
		} `json:"signed_session_key"`
	}
	vectors.Load(t, "smp/certificates.json", &v)
	r := wire.NewReader(v.ChainEncoded)
	var chain [][]byte
	for range r.NonEmptyCount() {
		chain = append(chain, r.Large())
	}
	if err := r.Done(); err != nil || len(chain) != len(v.Chain) {
		t.Fatalf("chain: %d certificates, %v", len(chain), err)
	}
	for i, c := range v.Chain {
		if !bytes.Equal(chain[i], c.DER) {
			t.Errorf("certificate %d differs", i)
		}
		if f := sha256.Sum256(c.DER); !bytes.Equal(f[:], c.Fingerprint) || formatFingerprint(f) != c.AddressForm {
			t.Errorf("certificate %d: fingerprint %x %s", i, f, formatFingerprint(f))
		}
		parsed, err := parseCertificate(c.DER)
		if err != nil || !bytes.Equal(parsed.key.Raw(), c.Raw) {
			t.Errorf("certificate %d: wrong key, %v", i, err)
		}
	}
	leaf, err := VerifyChain(chain, sha256.Sum256(chain[1]), vectorTime)
	if err != nil {
		t.Fatal(err)
	}
	if leaf.Algorithm() != key.Ed448 || !bytes.Equal(leaf.Raw(), v.Chain[0].Raw) {
		t.Error("wrong leaf key")
	}
	session, err := auth.VerifySignedKey(leaf, v.Signed.DER)
	if err != nil || !bytes.Equal(session.AppendDER(nil), v.Signed.Data[2:]) {
		t.Errorf("session key: %v", err)
	}
	t.Logf("checked %d cases", len(v.Chain)+1)
}

// TestVectorProofs takes the chains of the file transfer vectors. Their verdicts are those of a client that does not
// check chains, so only where the chain matters are they compared.
func TestVectorProofs(t *testing.T) {
	var v struct {
		Cases []struct {
			Name      string        `json:"name"`
			CertChain []vectors.Hex `json:"certChain"`
			KeyHash   vectors.Hex   `json:"keyHash"`
			Valid     bool          `json:"valid"`
		} `json:"cases"`
	}
	vectors.Load(t, "xftp/identity.json", &v)
	checked := 0
	for _, c := range v.Cases {
		chain := make([][]byte, len(c.CertChain))
		for i := range c.CertChain {
			chain[i] = c.CertChain[i]
		}
		var want error
		switch {
		case c.Valid && strings.Contains(c.Name, "not issued by"):
			want = ErrIssuer
		case c.Valid:
		case strings.Contains(c.Name, "key hash"), strings.Contains(c.Name, "reverse order"):
			want = ErrUnknownCA
		case strings.Contains(c.Name, "one certificate"), strings.Contains(c.Name, "five certificates"):
			want = ErrChainLength
		case strings.Contains(c.Name, "another chain"):
			want = ErrIssuer
		default: // what is wrong is not in the chain
		}
		_, err := VerifyChain(chain, [32]byte(c.KeyHash), vectorTime)
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", c.Name, err, want)
		}
		checked++
	}
	t.Logf("checked %d cases", checked)
}

// The example chain of the specification.
//
// Spec: smp.md 15.2
const (
	exampleCA = `308201363081e9a003020102020101300506032b6570302a3110300e060355040a130753696d706c6558311630140603
		550403130d534d50207365727665722043413020170d3235303130313030303030305a180f3231323530313031303030
		3030305a302a3110300e060355040a130753696d706c6558311630140603550403130d534d5020736572766572204341
		302a300506032b65700321008a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5ca3323030
		300f0603551d130101ff040530030101ff301d0603551d0e0416041434750f98bd59fcfc946da45aaabe933be154a4b5
		300506032b6570034100561a038ce66659804711dc73d369e60bd47a5ee0175ac6ed6c1d7255a74cb9569c7fe999c341
		9d695d030cd1fac93aafc4c690eadcd41d490f4b6f5fc84e9005`
	exampleLeaf = `3082014a3081fda003020102020102300506032b6570302a3110300e060355040a130753696d706c6558311630140603
		550403130d534d50207365727665722043413020170d3235303130313030303030305a180f3231323530313031303030
		3030305a301a311830160603550403130f736d702e6578616d706c652e6f7267302a300506032b65700321008139770e
		a87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394a3563054300e0603551d0f0101ff040403020780
		30130603551d25040c300a06082b06010505070301300c0603551d130101ff04023000301f0603551d23041830168014
		34750f98bd59fcfc946da45aaabe933be154a4b5300506032b65700341008ad547b4be272a34fa20f9dd4bfc05824c61
		96c8831b0e68513eeb7668cd2b3ef72c04d536d92f7b4a88b18b3fd00c47a1f3f7b7fb6db41193a864019384ab0a`
	exampleSigned = `3078302c302a300506032b656e0321005dfedd3b6bd47f6fa28ee15d969d5bb0ea53774d488bdaf9df1c6e0124b3ef22
		300506032b65700341002ef8ebedfff134cb7720f8aa7182073c47d1de0a3e4c54ae37d37848f869f25c18aed337dd12
		16f0a2cd056692259504fa92e713d2b752847d3454c76249d006`
	exampleAddress = "0BwuyvBi97wZ4GEmv0NUqbC8jNx2rw-t5RWqTbCpV6Q="
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestExampleChain(t *testing.T) {
	chain := [][]byte{unhex(t, exampleLeaf), unhex(t, exampleCA)}
	fingerprint := sha256.Sum256(chain[1])
	if got := formatFingerprint(fingerprint); got != exampleAddress {
		t.Errorf("fingerprint %s", got)
	}
	leaf, err := VerifyChain(chain, fingerprint, vectorTime)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := auth.VerifySignedKey(leaf, unhex(t, exampleSigned)); err != nil {
		t.Errorf("signed key: %v", err)
	}
}

// made is a certificate made for a test, with its key.
type made struct {
	der  []byte
	cert *x509.Certificate
	key  ed25519.PrivateKey
}

// makeCert issues a certificate, self-signed if issuer is nil.
func makeCert(t testing.TB, issuer *made, subject string, change func(*x509.Certificate)) *made {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(7),
		Subject:               pkix.Name{CommonName: subject},
		NotBefore:             vectorTime.AddDate(-1, 0, 0),
		NotAfter:              vectorTime.AddDate(1, 0, 0),
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	if change != nil {
		change(template)
	}
	parent, signer := template, crypto.Signer(private)
	if issuer != nil {
		parent, signer = issuer.cert, issuer.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &made{der, cert, private}
}

// online turns the template of makeCert into that of a leaf.
func online(c *x509.Certificate) {
	c.IsCA = false
	c.KeyUsage = x509.KeyUsageDigitalSignature
}

func expired(c *x509.Certificate) { c.NotAfter = vectorTime.Add(-time.Second) }
func early(c *x509.Certificate)   { c.NotBefore = vectorTime.Add(time.Second) }

func both(changes ...func(*x509.Certificate)) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		for _, change := range changes {
			change(c)
		}
	}
}

func ders(certs ...*made) [][]byte {
	chain := make([][]byte, len(certs))
	for i, c := range certs {
		chain[i] = c.der
	}
	return chain
}

func TestVerifyChain(t *testing.T) {
	operator := makeCert(t, nil, "operator", nil)
	oldOperator := makeCert(t, nil, "old operator", expired)
	network := makeCert(t, operator, "network", nil)
	id := makeCert(t, nil, "relay", nil)
	oldID := makeCert(t, nil, "relay", expired)
	idOfOperator := makeCert(t, operator, "relay", nil)
	idOfNetwork := makeCert(t, network, "relay", nil)
	cert := func(issuer *made, change func(*x509.Certificate)) *made {
		return makeCert(t, issuer, "host", both(online, change))
	}
	same := func(*x509.Certificate) {}
	between := func(change func(*x509.Certificate)) [][]byte {
		issuer := makeCert(t, operator, "relay", change)
		return ders(cert(issuer, same), issuer, operator)
	}

	for _, c := range []struct {
		name  string
		chain [][]byte
		want  error
	}{
		{"two", ders(cert(id, same), id), nil},
		{"three", ders(cert(idOfOperator, same), idOfOperator, operator), nil},
		{"four", ders(cert(idOfNetwork, same), idOfNetwork, network, operator), nil},
		{"operator beside the path", ders(cert(idOfNetwork, same), idOfNetwork, operator, network), nil},
		{"leaf without key usage", ders(cert(id, func(c *x509.Certificate) { c.KeyUsage = 0 }), id), nil},
		{"expired trust anchor", ders(cert(oldID, same), oldID), nil},
		{"path length suffices", between(func(c *x509.Certificate) { c.MaxPathLenZero = true }), nil},
		{"intermediate may sign", between(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCertSign }), nil},

		{"none", nil, ErrChainLength},
		{"one", ders(id), ErrChainLength},
		{"five", ders(id, id, id, id, id), ErrChainLength},
		{"expired leaf", ders(cert(id, expired), id), ErrDates},
		{"leaf of the future", ders(cert(id, early), id), ErrDates},
		{"expired intermediate", between(expired), ErrDates},
		{"intermediate is no CA", between(func(c *x509.Certificate) { c.IsCA = false }), ErrUsage},
		{"intermediate may not sign", between(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign }), ErrUsage},
		{"leaf may not sign", ders(cert(id, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyAgreement }), id), ErrUsage},
		{"issuer of another name", ders(cert(operator, same), id), ErrIssuer},
		{"issuer of the same name", ders(cert(makeCert(t, nil, "relay", nil), same), id), ErrSignature},
		{"identity of another operator", ders(cert(idOfOperator, same), idOfOperator, oldOperator), ErrIssuer},
		{"leaf twice", ders(cert(id, same), cert(id, same)), ErrIssuer},
		// The operator is the attacker's, the identity that of the relay the client wants.
		{"identity beside the path", ders(cert(operator, same), id, operator), ErrIssuer},
		{"not a certificate", [][]byte{{0x30, 0x00}, id.der}, ErrCertificate},
		{"garbage after a certificate", [][]byte{append(bytes.Clone(cert(id, same).der), 0), id.der}, ErrCertificate},
	} {
		t.Run(c.name, func(t *testing.T) {
			var fingerprint [32]byte
			if len(c.chain) > 1 {
				fingerprint = sha256.Sum256(c.chain[1])
			}
			leaf, err := VerifyChain(c.chain, fingerprint, vectorTime)
			if !errors.Is(err, c.want) {
				t.Fatalf("%v, want %v", err, c.want)
			}
			if leaf.IsZero() != (c.want != nil) {
				t.Error("a key with an error, or none without")
			}
			if len(c.chain) > 1 && len(c.chain) < 5 {
				fingerprint[31] ^= 1
				if _, err := VerifyChain(c.chain, fingerprint, vectorTime); !errors.Is(err, ErrUnknownCA) {
					t.Errorf("wrong fingerprint: %v", err)
				}
			}
		})
	}
}

func TestPathLength(t *testing.T) {
	operator := makeCert(t, nil, "operator", nil)
	network := makeCert(t, operator, "network", func(c *x509.Certificate) { c.MaxPathLenZero = true })
	id := makeCert(t, network, "relay", nil)
	leaf := makeCert(t, id, "host", online)
	if _, err := VerifyChain(ders(leaf, id, network, operator), sha256.Sum256(id.der), vectorTime); !errors.Is(err, ErrUsage) {
		t.Error(err)
	}
}

func TestVerifyChainVersion1(t *testing.T) {
	id := makeCert(t, nil, "relay", nil)
	leaf := makeCert(t, id, "host", func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = false, false })
	var outer signedCertificate
	if _, err := asn1.Unmarshal(leaf.der, &outer); err != nil {
		t.Fatal(err)
	}
	// Without the version and the extensions, its first and last elements, it is of version 1.
	var fields []asn1.RawValue
	if _, err := asn1.Unmarshal(outer.TBS.FullBytes, &fields); err != nil {
		t.Fatal(err)
	}
	last := len(fields)
	if fields[last-1].Class == asn1.ClassContextSpecific {
		last--
	}
	tbs, err := asn1.Marshal(fields[1:last])
	if err != nil {
		t.Fatal(err)
	}
	signature := ed25519.Sign(id.key, tbs)
	outer.TBS = asn1.RawValue{FullBytes: tbs}
	outer.Signature = asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}
	der, err := asn1.Marshal(outer)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := VerifyChain([][]byte{der, id.der}, sha256.Sum256(id.der), vectorTime); !errors.Is(err, ErrVersion) {
		t.Error(err)
	}
}

func TestVerifyChainOtherKeys(t *testing.T) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	id := makeCert(t, nil, "relay", nil)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: vectorTime, NotAfter: vectorTime}
	der, err := x509.CreateCertificate(rand.Reader, template, id.cert, private.Public(), id.key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := VerifyChain([][]byte{der, id.der}, sha256.Sum256(id.der), vectorTime); !errors.Is(err, ErrKey) {
		t.Error(err)
	}
}

func FuzzVerifyChain(f *testing.F) {
	leaf, ca := unhex(f, exampleLeaf), unhex(f, exampleCA)
	f.Add(leaf, ca, []byte(nil))
	f.Add(leaf, ca, ca)
	f.Fuzz(func(t *testing.T, leaf, ca, operator []byte) {
		chain := [][]byte{leaf, ca}
		if operator != nil {
			chain = append(chain, operator)
		}
		k, err := VerifyChain(chain, sha256.Sum256(ca), vectorTime)
		if (err == nil) == k.IsZero() {
			t.Error("a key with an error, or none without")
		}
	})
}
