package smp_test

import (
	"strings"
	"testing"

	"sotto/shared/internal/vectors"
	"sotto/shared/smp"
	"sotto/shared/wire"
)

// errorsByText has the value of every error text in the vectors, but for those with a notice.
func errorsByText() map[string]smp.Error {
	texts := map[string]smp.Error{
		"PROXY PROTOCOL AUTH":                          smp.ProtocolError{Err: smp.ErrAuth},
		"PROXY PROTOCOL QUOTA":                         smp.ProtocolError{Err: smp.ErrQuota},
		"PROXY PROTOCOL CMD SYNTAX":                    smp.ProtocolError{Err: smp.CmdSyntax},
		"PROXY BROKER RESPONSE bad response":           smp.BrokerResponse{Text: "bad response"},
		"PROXY BROKER UNEXPECTED what":                 smp.BrokerUnexpected{Text: "what"},
		"PROXY BROKER TRANSPORT BLOCK":                 smp.BrokerTransport{Err: smp.TransportBlock},
		"PROXY BROKER TRANSPORT VERSION":               smp.BrokerTransport{Err: smp.TransportVersion},
		"PROXY BROKER TRANSPORT LARGE_MSG":             smp.BrokerTransport{Err: smp.TransportLargeMsg},
		"PROXY BROKER TRANSPORT SESSION":               smp.BrokerTransport{Err: smp.TransportSession},
		"PROXY BROKER TRANSPORT NO_AUTH":               smp.BrokerTransport{Err: smp.TransportNoAuth},
		"PROXY BROKER TRANSPORT HANDSHAKE PARSE":       smp.BrokerTransport{Err: smp.HandshakeParse},
		"PROXY BROKER TRANSPORT HANDSHAKE IDENTITY":    smp.BrokerTransport{Err: smp.HandshakeIdentity},
		"PROXY BROKER TRANSPORT HANDSHAKE BAD_AUTH":    smp.BrokerTransport{Err: smp.HandshakeBadAuth},
		"PROXY BROKER TRANSPORT HANDSHAKE BAD_SERVICE": smp.BrokerTransport{Err: smp.HandshakeBadService},
		"STORE disk full":                              smp.StoreError("disk full"),
		"STORE ":                                       smp.StoreError(""),
		"BLOCKED reason=spam":                          smp.BlockedError{Reason: smp.ReasonSpam},
		"BLOCKED reason=content":                       smp.BlockedError{Reason: smp.ReasonContent},
	}
	for _, e := range []smp.ErrorCode{
		smp.ErrBlock, smp.ErrSession, smp.ErrAuth, smp.ErrService, smp.ErrCrypto, smp.ErrQuota, smp.ErrNoMsg,
		smp.ErrLargeMsg, smp.ErrExpired, smp.ErrInternal, smp.ErrDuplicate,
	} {
		texts[e.Error()] = e
	}
	for _, e := range []smp.CommandError{
		smp.CmdUnknown, smp.CmdSyntax, smp.CmdProhibited, smp.CmdNoAuth, smp.CmdHasAuth, smp.CmdNoEntity,
	} {
		texts[e.Error()] = e
	}
	for _, e := range []smp.Error{
		smp.ProxyBasicAuth, smp.ProxyNoSession, smp.BrokerNetwork, smp.BrokerHost, smp.BrokerNoService, smp.BrokerTimeout,
	} {
		texts[e.Error()] = e
	}
	return texts
}

type errorVectors struct {
	Errors []struct {
		Name      string      `json:"name"`
		Text      string      `json:"text"`
		Encoded   vectors.Hex `json:"error_encoded"`
		Responses []encoding  `json:"response_encodings"`
	} `json:"smp_errors"`
	Network []struct {
		Name    string      `json:"name"`
		Encoded vectors.Hex `json:"encoded"`
	} `json:"network_errors"`
	Transport []struct {
		Name    string      `json:"name"`
		Encoded vectors.Hex `json:"encoded"`
	} `json:"transport_errors"`
}

func TestErrorVectors(t *testing.T) {
	var all errorVectors
	vectors.Load(t, "smp/errors.json", &all)
	encodings, values := 0, errorsByText()
	for _, c := range all.Errors {
		parsed, err := smp.ParseError(c.Encoded)
		if err != nil {
			t.Errorf("%s: %v", c.Name, err)
			continue
		}
		if parsed.Error() != c.Text {
			t.Errorf("%s: text %q, want %q", c.Name, parsed, c.Text)
		}
		if want, ok := values[c.Text]; ok && parsed != want {
			t.Errorf("%s: parsed %#v, want %#v", c.Name, parsed, want)
		} else if !ok && !strings.Contains(c.Text, ",notice=") {
			t.Errorf("%s: no value to compare with", c.Name)
		}
		checkBytes(t, c.Name, parsed.AppendError(nil, smp.MaxVersion), c.Encoded)
		for n := range c.Encoded {
			if e, err := smp.ParseError(c.Encoded[:n]); err == nil {
				checkBytes(t, c.Name+" from a prefix", e.AppendError(nil, smp.MaxVersion), c.Encoded[:n])
			}
		}
		eachVersion(c.Responses, func(v wire.Version, want []byte) {
			encodings++
			checkBytes(t, c.Name+" as response", smp.ERR{Err: parsed}.AppendResponse(nil, v), want)
			response, err := smp.ParseResponse(v, want)
			if err != nil {
				t.Errorf("%s, v%d: %v", c.Name, v, err)
				return
			}
			checkBytes(t, c.Name+" parsed and encoded", response.AppendResponse(nil, v), want)
			responsePrefixes(t, v, want)
		})
	}
	t.Logf("checked %d cases, %d encodings", len(all.Errors), encodings)
}

func TestNetworkErrorVectors(t *testing.T) {
	var all errorVectors
	vectors.Load(t, "smp/errors.json", &all)
	kinds := map[string]smp.NetworkErrorKind{
		"connect": smp.NetworkConnect, "tls": smp.NetworkTLS, "unknown ca": smp.NetworkUnknownCA,
		"failed": smp.NetworkFailed, "timeout": smp.NetworkTimeout, "subscribe": smp.NetworkSubscribe,
	}
	for _, c := range all.Network {
		parsed, err := smp.ParseNetworkError(c.Encoded)
		if err != nil {
			t.Errorf("%s: %v", c.Name, err)
			continue
		}
		if kind, ok := kinds[c.Name]; ok && parsed.Kind != kind {
			t.Errorf("%s: parsed as %q", c.Name, parsed.Kind)
		}
		checkBytes(t, c.Name, parsed.AppendDetail(nil), c.Encoded)
		for n := range c.Encoded {
			if _, err := smp.ParseNetworkError(c.Encoded[:n]); err != wire.ErrSyntax {
				t.Errorf("%s: first %d bytes: %v", c.Name, n, err)
			}
		}
		// In the form that may come, with the detail; sent back without it.
		e, err := smp.ParseError(append([]byte("PROXY BROKER NETWORK "), c.Encoded...))
		if err != nil || e != parsed {
			t.Errorf("%s inside a broker error: %v, %v", c.Name, e, err)
			continue
		}
		checkBytes(t, c.Name+" sent", e.AppendError(nil, smp.MaxVersion), []byte("PROXY BROKER NETWORK"))
	}
	t.Logf("checked %d cases", len(all.Network))
}

func TestTransportErrorVectors(t *testing.T) {
	var all errorVectors
	vectors.Load(t, "smp/errors.json", &all)
	for _, c := range all.Transport {
		parsed, err := smp.ParseTransportError(c.Encoded)
		if err != nil || parsed.Error() != string(c.Encoded) {
			t.Errorf("%s: %v, %v", c.Name, parsed, err)
		}
		for n := range c.Encoded {
			if _, err := smp.ParseTransportError(c.Encoded[:n]); err != wire.ErrSyntax {
				t.Errorf("%s: first %d bytes: %v", c.Name, n, err)
			}
		}
	}
	t.Logf("checked %d cases", len(all.Transport))
}

func TestErrorSyntax(t *testing.T) {
	for _, in := range []string{
		"", " ", "auth", "AUTH ", " AUTH", "CMD", "CMD ", "CMD syntax", "CMD SYNTAX ", "PROXY", "PROXY ", "PROXY PROTOCOL",
		"PROXY PROTOCOL ", "PROXY NO_SESSION ", "PROXY BROKER", "PROXY BROKER TIMEOUT ", "PROXY BROKER RESPONSE",
		"PROXY BROKER RESPONSE \x02a", "PROXY BROKER RESPONSE \x00a", "PROXY BROKER NETWORK ", "PROXY BROKER NETWORK FAILED ",
		"PROXY BROKER NETWORK TLS", "PROXY BROKER TRANSPORT", "PROXY BROKER TRANSPORT HANDSHAKE", "STORE", "BLOCKED",
		"BLOCKED ", "BLOCKED reason=other", "BLOCKED reason=spam,", "BLOCKED reason=spam,notice=",
		"BLOCKED reason=spam,notice=null", "BLOCKED reason=spam,notice=1", `BLOCKED reason=spam,notice={"ttl":"1"}`,
		"BLOCKED reason=spam,notice={}x", "NO_QUEUE",
	} {
		if got, err := smp.ParseError([]byte(in)); err != wire.ErrSyntax || got != nil {
			t.Errorf("%q: %v, %v", in, got, err)
		}
	}
}

func TestOldErrorForms(t *testing.T) {
	for in, want := range map[string]string{
		"CMD NO_QUEUE":                                      "CMD NO_ENTITY",
		"PROXY PROTOCOL CMD NO_QUEUE":                       "PROXY PROTOCOL CMD NO_ENTITY",
		`BLOCKED reason=spam,notice={ "x": [], "ttl":-5 } `: `BLOCKED reason=spam,notice={"ttl":-5}`,
		`BLOCKED reason=spam,notice={"ttl":null}`:           `BLOCKED reason=spam,notice={}`,
		"STORE \xff \xfe":                                   "STORE \xff \xfe",
	} {
		got, err := smp.ParseError([]byte(in))
		if err != nil || got.Error() != want {
			t.Errorf("%q: %v, %v", in, got, err)
		}
	}
}

// TestNestedBlocked: a version that has no BLOCKED does not get it inside another error either.
func TestNestedBlocked(t *testing.T) {
	e := smp.ProtocolError{Err: smp.BlockedError{Reason: smp.ReasonSpam, Notice: &smp.Notice{HasTTL: true, TTL: 1}}}
	for v, want := range map[wire.Version]string{
		11: "PROXY PROTOCOL AUTH", 12: "PROXY PROTOCOL BLOCKED reason=spam",
		18: `PROXY PROTOCOL BLOCKED reason=spam,notice={"ttl":1}`,
	} {
		if got := string(e.AppendError(nil, v)); got != want {
			t.Errorf("v%d: %q, want %q", v, got, want)
		}
	}
}

func TestLongErrorTexts(t *testing.T) {
	long := strings.Repeat("x", 300)
	for _, e := range []smp.Error{smp.BrokerResponse{Text: long}, smp.BrokerUnexpected{Text: long}} {
		got, err := smp.ParseError(e.AppendError(nil, smp.MaxVersion))
		if err != nil || !strings.HasSuffix(got.Error(), " "+long[:255]) {
			t.Errorf("%T: %v", e, err)
		}
	}
}
