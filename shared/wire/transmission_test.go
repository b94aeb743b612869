package wire_test

import (
	"bytes"
	"errors"
	"testing"

	"sotto/shared/internal/vectors"
	"sotto/shared/wire"
)

type clientTransmission struct {
	Name          string
	Version       wire.Version
	Key           string
	Authorized    vectors.Hex
	Command       vectors.Hex
	CorrID        vectors.Hex `json:"corr_id"`
	EntityID      vectors.Hex `json:"entity_id"`
	SessionID     vectors.Hex `json:"session_id"`
	Transmission  vectors.Hex
	Bare          vectors.Hex `json:"transmission_without_authorization"`
	ServiceHash   vectors.Hex `json:"service_certificate_hash"`
	ServiceSigned vectors.Hex `json:"service_signed"`
}

type serverTransmission struct {
	Name         string
	Version      wire.Version
	CorrID       vectors.Hex `json:"corr_id"`
	EntityID     vectors.Hex `json:"entity_id"`
	SessionID    vectors.Hex `json:"session_id"`
	Response     vectors.Hex
	Transmission vectors.Hex
}

type transmissionVectors struct {
	Client []clientTransmission
	Server []serverTransmission
}

func TestClientTransmissionVectors(t *testing.T) {
	var v transmissionVectors
	vectors.Load(t, "smp/transmissions.json", &v)
	for _, c := range v.Client {
		tr, err := wire.ParseTransmission(c.Version, false, c.Transmission)
		if err != nil {
			t.Errorf("%s %d: %v", c.Name, c.Version, err)
			continue
		}
		if !bytes.Equal(tr.CorrID, c.CorrID) || !bytes.Equal(tr.EntityID, c.EntityID) || !bytes.Equal(tr.Command, c.Command) {
			t.Errorf("%s %d: fields differ", c.Name, c.Version)
		}
		if wantSession := c.Version == 6; (tr.SessionID != nil) != wantSession || wantSession && !bytes.Equal(tr.SessionID, c.SessionID) {
			t.Errorf("%s %d: session id %x", c.Name, c.Version, tr.SessionID)
		}
		if (c.Key != "") != (len(tr.Authorization) > 0) || (c.ServiceHash != nil) != (tr.ServiceSignature != nil) {
			t.Errorf("%s %d: authorization %x, service %x", c.Name, c.Version, tr.Authorization, tr.ServiceSignature)
		}
		signed := wire.AppendSigned(nil, c.CorrID, c.EntityID, c.Command)
		if !bytes.Equal(tr.Signed, signed) {
			t.Errorf("%s %d: signed %x, want %x", c.Name, c.Version, tr.Signed, signed)
		}
		if got := wire.AppendAuthorized(bytes.Clone(c.ServiceHash), c.SessionID, tr.Signed); !bytes.Equal(got, c.Authorized) {
			t.Errorf("%s %d: authorized %x", c.Name, c.Version, got)
		}
		if got := wire.AppendAuthorized(nil, c.SessionID, tr.Signed); c.ServiceSigned != nil && !bytes.Equal(got, c.ServiceSigned) {
			t.Errorf("%s %d: service signed %x", c.Name, c.Version, got)
		}
		if !bytes.HasSuffix(c.Transmission, c.Bare) || !bytes.HasSuffix(c.Bare, signed) {
			t.Errorf("%s %d: the transmission does not end as given", c.Name, c.Version)
		}
		again := wire.AppendTransmission(nil, c.Version, false, tr.Authorization, tr.ServiceSignature, c.SessionID, signed)
		if !bytes.Equal(again, c.Transmission) {
			t.Errorf("%s %d: appended %x", c.Name, c.Version, again)
		}
		checkTruncated(t, c.Version, false, c.Transmission, len(c.Command))
	}
	t.Logf("checked %d cases", len(v.Client))
}

// checkTruncated checks that a transmission cut before its command fails, and one cut within it is a shorter one.
func checkTruncated(t *testing.T, v wire.Version, forwarded bool, transmission []byte, command int) {
	t.Helper()
	for n := range transmission {
		tr, err := wire.ParseTransmission(v, forwarded, transmission[:n])
		if left := n - (len(transmission) - command); left < 0 != (err != nil) || left >= 0 && len(tr.Command) != left {
			t.Errorf("%x cut to %d bytes: %v", transmission, n, err)
		}
		if err != nil && (!errors.Is(err, wire.ErrSyntax) || tr.Signed != nil || tr.Authorization != nil) {
			t.Errorf("%x cut to %d bytes: fields of a failed transmission", transmission, n)
		}
	}
}

func TestServerTransmissionVectors(t *testing.T) {
	var v transmissionVectors
	vectors.Load(t, "smp/transmissions.json", &v)
	for _, c := range v.Server {
		got := append(wire.AppendResponseHeader(nil, c.Version, c.SessionID, c.CorrID, c.EntityID), c.Response...)
		if !bytes.Equal(got, c.Transmission) {
			t.Errorf("%s %d: appended %x, want %v", c.Name, c.Version, got, c.Transmission)
		}
		tr, err := wire.ParseTransmission(c.Version, false, c.Transmission)
		if err != nil || !bytes.Equal(tr.CorrID, c.CorrID) || !bytes.Equal(tr.EntityID, c.EntityID) ||
			!bytes.Equal(tr.Command, c.Response) || len(tr.Authorization) != 0 || tr.ServiceSignature != nil {
			t.Errorf("%s %d: fields differ, %v", c.Name, c.Version, err)
		}
		if (c.Version == 6) != bytes.Equal(tr.SessionID, c.SessionID) {
			t.Errorf("%s %d: session id %x", c.Name, c.Version, tr.SessionID)
		}
		checkTruncated(t, c.Version, false, c.Transmission, len(c.Response))
	}
	t.Logf("checked %d cases", len(v.Server))
}

// proxyVectors are the parts of proxy.json about the innermost layer.
type proxyVectors []struct {
	Version       wire.Version `json:"forwarded_version"`
	Authorized    vectors.Hex
	CorrID        vectors.Hex `json:"corr_id_and_client_nonce"`
	SenderID      vectors.Hex `json:"sender_id"`
	SenderKey     string      `json:"sender_key"`
	SessionID     vectors.Hex `json:"relay_session_id"`
	Inner         vectors.Hex `json:"inner_block"`
	Response      vectors.Hex
	ResponseInner vectors.Hex `json:"response_inner_block"`
}

func TestForwardedVectors(t *testing.T) {
	var v proxyVectors
	vectors.Load(t, "smp/proxy.json", &v)
	for i, c := range v {
		inner, back := unpack(c.Inner), unpack(c.ResponseInner)
		if len(inner) != 1 || len(back) != 1 {
			t.Fatalf("case %d: batches of %d and %d", i, len(inner), len(back))
		}
		tr, err := wire.ParseTransmission(c.Version, true, inner[0])
		if err != nil || !bytes.Equal(tr.CorrID, c.CorrID) || !bytes.Equal(tr.EntityID, c.SenderID) ||
			(c.SenderKey != "") != (len(tr.Authorization) > 0) || tr.ServiceSignature != nil {
			t.Errorf("case %d: fields differ, %v", i, err)
		}
		if got := wire.AppendAuthorized(nil, c.SessionID, tr.Signed); !bytes.Equal(got, c.Authorized) {
			t.Errorf("case %d: authorized %x, want %v", i, got, c.Authorized)
		}
		again := wire.AppendTransmission(nil, c.Version, true, tr.Authorization, nil, c.SessionID, tr.Signed)
		if !bytes.Equal(again, inner[0]) {
			t.Errorf("case %d: appended %x", i, again)
		}
		response := append(wire.AppendResponseHeader(nil, c.Version, nil, c.CorrID, c.SenderID), c.Response...)
		if !bytes.Equal(response, back[0]) {
			t.Errorf("case %d: response %x, want %x", i, response, back[0])
		}
		checkTruncated(t, c.Version, true, inner[0], len(tr.Command))
	}
	t.Logf("checked %d cases", len(v))
}

// TestForwardedVersion6 checks that what is forwarded never contains a session id, which no vector covers.
//
// Spec: smp.md 11.3
func TestForwardedVersion6(t *testing.T) {
	signed := wire.AppendSigned(nil, []byte("corr"), []byte("entity"), []byte("SEND F x"))
	b := wire.AppendTransmission(nil, 6, true, nil, nil, []byte("session"), signed)
	tr, err := wire.ParseTransmission(6, true, b)
	if err != nil || tr.SessionID != nil || string(tr.CorrID) != "corr" || string(tr.EntityID) != "entity" {
		t.Errorf("forwarded: %q, %v", b, err)
	}
	if got := wire.AppendResponseHeader(nil, 6, nil, []byte("corr"), []byte("entity")); string(got) != "\x00\x04corr\x06entity" {
		t.Errorf("response: %q", got)
	}
}

// TestServiceSlot covers the slot for a service signature.
//
// Spec: smp.md 6.1
func TestServiceSlot(t *testing.T) {
	auth, sig := string(make([]byte, 64)), string(bytes.Repeat([]byte{5}, 64))
	rest := "\x01c\x01eSUB"
	cases := []struct {
		name      string
		version   wire.Version
		in        string
		ok        bool
		signature string
	}{
		{"absent", 16, "\x40" + auth + "0" + rest, true, ""},
		{"present", 16, "\x40" + auth + "1\x40" + sig + rest, true, sig},
		{"short signature", 16, "\x40" + auth + "1\x3f" + sig[1:] + rest, false, ""},
		{"empty signature", 16, "\x40" + auth + "1\x00" + rest, false, ""},
		{"long signature", 16, "\x40" + auth + "1\x72" + string(make([]byte, 114)) + rest, false, ""},
		{"neither", 18, "\x40" + auth + "2" + rest, false, ""},
		{"missing slot", 18, "\x40" + auth + rest, false, ""},
		{"no slot without authorization", 18, "\x00" + rest, true, ""},
		{"no slot before", 15, "\x40" + auth + rest, true, ""},
		{"odd authorization", 18, "\x03abc0" + rest, true, ""},
		{"no command", 18, "\x00\x01c\x01e", true, ""},
		{"nothing", 18, "", false, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			tr, err := wire.ParseTransmission(c.version, false, []byte(c.in))
			if (err == nil) != c.ok || string(tr.ServiceSignature) != c.signature || (c.signature == "") != (tr.ServiceSignature == nil) {
				t.Errorf("%x, %v", tr.ServiceSignature, err)
			}
			if c.ok && string(tr.CorrID) != "c" {
				t.Errorf("fields differ")
			}
		})
	}
}
