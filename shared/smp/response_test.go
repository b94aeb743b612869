package smp_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"sotto/shared/internal/vectors"
	"sotto/shared/smp"
	"sotto/shared/wire"
)

type responseVector struct {
	Name       string          `json:"name"`
	Introduced wire.Version    `json:"introduced_in_version"`
	Encodings  []encoding      `json:"encodings"`
	Parameters json.RawMessage `json:"parameters"`
}

type responseParameters struct {
	RecipientID    vectors.Hex `json:"recipient_id"`
	SenderID       vectors.Hex `json:"sender_id"`
	LinkID         vectors.Hex `json:"link_id"`
	ServiceID      vectors.Hex `json:"service_id"`
	NotifierID     vectors.Hex `json:"notifier_id"`
	ServerDHKey    string      `json:"server_dh_key"`
	ServerNtfDHKey string      `json:"server_ntf_dh_key"`
	QueueMode      string      `json:"queue_mode"`
	FixedData      vectors.Hex `json:"fixed_data"`
	UserData       vectors.Hex `json:"user_data"`
	Count          int64       `json:"count"`
	Encrypted      vectors.Hex `json:"encrypted"`
	MessageID      vectors.Hex `json:"message_id"`
	Nonce          vectors.Hex `json:"nonce"`
	ChainAndKey    vectors.Hex `json:"certificate_chain_and_signed_key"`
	SessionID      vectors.Hex `json:"session_id"`
	VersionRange   string      `json:"version_range"`
	// of INFO
	Notifier     bool   `json:"notifier"`
	Secured      bool   `json:"secured"`
	Size         int    `json:"size"`
	MessageTime  *int64 `json:"message_time"`
	Message      string `json:"message"`
	Subscription string `json:"subscription"`
}

// build makes the response that a case describes; example is one of its encodings.
func (p responseParameters) build(t *testing.T, keys keyVectors, name string, example []byte) smp.Response {
	t.Helper()
	switch tag, _, _ := strings.Cut(name, " "); tag {
	case "IDS":
		return p.buildIDS(t, keys)
	case "LNK":
		return smp.LNK{SenderID: wire.EntityID(p.SenderID), FixedData: smp.Opaque(p.FixedData), UserData: smp.Opaque(p.UserData)}
	case "SOK":
		return smp.SOK{ServiceID: wire.EntityID(p.ServiceID)}
	case "SOKS":
		return smp.SOKS{Count: p.Count}
	case "ENDS":
		return smp.ENDS{Count: p.Count}
	case "MSG":
		return smp.MSG{MessageID: smp.MessageID(p.MessageID), EncryptedBody: smp.Opaque(p.Encrypted)}
	case "NID":
		return smp.NID{NotifierID: wire.EntityID(p.NotifierID), DHKey: keys.public(t, p.ServerNtfDHKey)}
	case "NMSG":
		return smp.NMSG{Nonce: [24]byte(p.Nonce), EncryptedMeta: smp.Opaque(p.Encrypted)}
	case "PKEY":
		chain, signed := splitChainAndKey(t, p.ChainAndKey)
		return smp.PKEY{
			SessionID: wire.EntityID(p.SessionID), Versions: versionRange(t, p.VersionRange), Chain: chain, SignedKey: signed,
		}
	case "RRES":
		return smp.RRES{Encrypted: smp.Opaque(p.Encrypted)}
	case "PRES":
		return smp.PRES{Encrypted: smp.Opaque(p.Encrypted)}
	case "INFO":
		return smp.INFO{JSON: p.buildInfo(t, bytes.TrimPrefix(example, []byte("INFO "))).AppendJSON(nil)}
	default:
		b, ok := map[string]smp.Response{"END": smp.END{}, "DELD": smp.DELD{}, "OK": smp.OK{}, "PONG": smp.PONG{}}[tag]
		if !ok {
			t.Fatalf("%s: a response that the test does not know", name)
		}
		return b
	}
}

func (p responseParameters) buildIDS(t *testing.T, keys keyVectors) smp.IDS {
	t.Helper()
	ids := smp.IDS{
		RecipientID: wire.EntityID(p.RecipientID), SenderID: wire.EntityID(p.SenderID),
		DHKey: keys.public(t, p.ServerDHKey), LinkID: wire.EntityID(p.LinkID), ServiceID: wire.EntityID(p.ServiceID),
	}
	if p.QueueMode != "" {
		ids.Mode = smp.QueueMode(p.QueueMode[0])
	}
	if p.NotifierID != nil {
		ids.Notifier = &smp.NID{NotifierID: wire.EntityID(p.NotifierID), DHKey: keys.public(t, p.ServerNtfDHKey)}
	}
	return ids
}

// buildInfo takes from the example only what the parameters do not give.
func (p responseParameters) buildInfo(t *testing.T, example []byte) smp.QueueInfo {
	t.Helper()
	info, err := smp.ParseQueueInfo(example)
	if err != nil {
		t.Fatalf("%s: %v", example, err)
	}
	info.HasNotifier, info.Secured, info.Size = p.Notifier, p.Secured, p.Size
	if state, _, _ := strings.Cut(p.Subscription, ","); state != "" {
		info.Subscription.State = smp.SubscriptionState(state)
	}
	if p.MessageID != nil {
		info.Head.MessageID = smp.MessageID(p.MessageID)
	}
	if p.MessageTime != nil {
		info.Head.Time = time.Unix(*p.MessageTime, 0)
	}
	if p.Message != "" {
		info.Head.Quota = p.Message == "quota"
	}
	return info
}

// versionRange parses "6-18" or "6".
func versionRange(t testing.TB, s string) wire.VersionRange {
	t.Helper()
	first, last, ok := strings.Cut(s, "-")
	if !ok {
		last = first
	}
	low, err1 := strconv.ParseUint(first, 10, 16)
	high, err2 := strconv.ParseUint(last, 10, 16)
	if err1 != nil || err2 != nil {
		t.Fatalf("version range %q", s)
	}
	return wire.VersionRange{Min: wire.Version(low), Max: wire.Version(high)}
}

// splitChainAndKey takes apart a certificate chain followed by a signed key, independently of the package.
func splitChainAndKey(t testing.TB, b []byte) (chain [][]byte, signed []byte) {
	t.Helper()
	r := wire.NewReader(b)
	for range r.NonEmptyCount() {
		chain = append(chain, r.Large())
	}
	signed = r.Large()
	if err := r.Done(); err != nil {
		t.Fatal("the chain in the vectors is malformed")
	}
	return chain, signed
}

// responseAsOf is what remains of p in version v.
func responseAsOf(p smp.Response, v wire.Version) smp.Response {
	switch p := p.(type) {
	case smp.SOK:
		if v < smp.VersionService {
			return smp.OK{}
		}
	case smp.DELD:
		if v < smp.VersionDeleted {
			return smp.END{}
		}
	case smp.IDS:
		if v < smp.VersionNotifierCreds {
			p.Notifier = nil
		}
		if v < smp.VersionService {
			p.ServiceID = nil
		}
		if v >= smp.VersionShortLinks {
			return p
		}
		p.LinkID = nil
		switch {
		case v < smp.VersionSenderSecure:
			p.Mode = smp.ModeNone
		case p.Mode != smp.ModeMessaging:
			p.Mode = smp.ModeContact
		}
		return p
	}
	return p
}

func TestResponseVectors(t *testing.T) {
	keys := loadKeys(t)
	var cases []responseVector
	vectors.Load(t, "smp/responses.json", &cases)
	encodings := 0
	for _, c := range cases {
		var p responseParameters
		decodeStrict(t, c.Name, c.Parameters, &p)
		built := p.build(t, keys, c.Name, c.Encodings[0].Hex)
		eachVersion(c.Encodings, func(v wire.Version, want []byte) {
			encodings++
			checkBytes(t, c.Name+" encoded", built.AppendResponse(nil, v), want)
			parsed, err := smp.ParseResponse(v, want)
			if err != nil {
				t.Errorf("%s, v%d: %v", c.Name, v, err)
				return
			}
			if wanted := responseAsOf(built, v); !reflect.DeepEqual(parsed, wanted) {
				t.Errorf("%s, v%d: parsed %#v, want %#v", c.Name, v, parsed, wanted)
			}
			checkBytes(t, c.Name+" parsed and encoded", parsed.AppendResponse(nil, v), want)
			responsePrefixes(t, v, want)
		})
	}
	t.Logf("checked %d cases, %d encodings", len(cases), encodings)
}

// TestTransmissionContents parses the commands and responses inside the vectors' complete transmissions.
func TestTransmissionContents(t *testing.T) {
	var all struct {
		Client []struct {
			Name    string       `json:"name"`
			Version wire.Version `json:"version"`
			Command vectors.Hex  `json:"command"`
		} `json:"client"`
		Server []struct {
			Name     string       `json:"name"`
			Version  wire.Version `json:"version"`
			Response vectors.Hex  `json:"response"`
		} `json:"server"`
	}
	vectors.Load(t, "smp/transmissions.json", &all)
	for _, c := range all.Client {
		got, err := smp.ParseCommand(c.Version, c.Command)
		if err != nil {
			t.Errorf("%s, v%d: %v", c.Name, c.Version, err)
			continue
		}
		checkBytes(t, c.Name, got.AppendCommand(nil, c.Version), c.Command)
	}
	for _, c := range all.Server {
		got, err := smp.ParseResponse(c.Version, c.Response)
		if err != nil {
			t.Errorf("%s, v%d: %v", c.Name, c.Version, err)
			continue
		}
		checkBytes(t, c.Name, got.AppendResponse(nil, c.Version), c.Response)
	}
	t.Logf("checked %d commands, %d responses", len(all.Client), len(all.Server))
}

func TestResponseSyntax(t *testing.T) {
	for _, in := range []string{
		"", " ", "HELLO", "SUB", "OK ", "OK x", "PONG ", "END ", "DELD x", "SOK", "SOK ", "SOK 2", "SOK 0x", "SOK 1",
		"SOKS \x00", "SOKS 12345678x", "ENDS", "MSG", "MSG ", "MSG \x02a", "NMSG " + strings.Repeat("n", 24), "INFO", "ERR",
		"ERR ", "ERR auth", "PRES", "RRES", "PKEY \x00\x00\x02\x00\x01\x00\x00\x00", "LNK \x00\x00\x00\x00",
	} {
		if got, err := smp.ParseResponse(18, []byte(in)); err != wire.ErrSyntax || got != nil {
			t.Errorf("%q: %v, %v", in, got, err)
		}
	}
}

// TestEmptyIDs: an id that is present and empty is not an absent one.
func TestEmptyIDs(t *testing.T) {
	got, err := smp.ParseResponse(18, []byte("SOK 1\x00"))
	if err != nil || got.(smp.SOK).ServiceID == nil {
		t.Errorf("%v, %v", got, err)
	}
	checkBytes(t, "SOK", got.AppendResponse(nil, 18), []byte("SOK 1\x00"))
}

func TestQueueInfo(t *testing.T) {
	at := time.Date(2026, 1, 31, 11, 20, 30, 671451651, time.FixedZone("", 3600))
	id := smp.MessageID(sequence(0xa0, 24))
	for _, c := range []struct {
		name string
		info smp.QueueInfo
		want string
	}{
		{"empty", smp.QueueInfo{}, `{"qiSnd":false,"qiNtf":false,"qiSize":0}`},
		{
			"subscribed, nothing delivered",
			smp.QueueInfo{Subscription: &smp.SubscriptionInfo{State: smp.StateSubscribed}},
			`{"qiSnd":false,"qiNtf":false,"qiSub":{"qSubThread":"noSub"},"qiSize":0}`,
		},
		{
			"all, with a fraction of 9 digits and another time zone",
			smp.QueueInfo{
				Secured: true, HasNotifier: true, Size: 129,
				Subscription: &smp.SubscriptionInfo{State: smp.StateGetOnly, Delivered: id},
				Head:         &smp.HeadInfo{MessageID: id, Time: at},
			},
			`{"qiSnd":true,"qiNtf":true,"qiSub":{"qSubThread":"prohibitSub","qDelivered":"oKGio6SlpqeoqaqrrK2ur7CxsrO0tba3"},` +
				`"qiSize":129,"qiMsg":{"msgId":"oKGio6SlpqeoqaqrrK2ur7CxsrO0tba3",` +
				`"msgTs":"2026-01-31T10:20:30.671451651Z","msgType":"message"}}`,
		},
		{
			"quota marker, fraction with zeros",
			smp.QueueInfo{Head: &smp.HeadInfo{Time: at.Truncate(time.Millisecond), Quota: true}},
			`{"qiSnd":false,"qiNtf":false,"qiSize":0,` +
				`"qiMsg":{"msgId":"","msgTs":"2026-01-31T10:20:30.671Z","msgType":"quota"}}`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := c.info.AppendJSON(nil)
			if string(got) != c.want {
				t.Errorf("\n got %s\nwant %s", got, c.want)
			}
			parsed, err := smp.ParseQueueInfo(got)
			if err != nil {
				t.Fatal(err)
			}
			checkBytes(t, "parsed and encoded", parsed.AppendJSON(nil), got)
			for n := range got {
				if _, err := smp.ParseQueueInfo(got[:n]); err != wire.ErrSyntax {
					t.Errorf("first %d bytes: %v", n, err)
				}
			}
		})
	}
	for _, in := range []string{
		`{}`, `null`, `{"qiSnd":1,"qiNtf":false,"qiSize":0}`, `{"qiSnd":true,"qiNtf":false,"qiSub":{},"qiSize":0}`,
		`{"qiSnd":true,"qiNtf":false,"qiSize":0,"qiMsg":{"msgId":"","msgTs":"2026-01-31T10:20:30Z","msgType":"x"}}`,
	} {
		if _, err := smp.ParseQueueInfo([]byte(in)); err != wire.ErrSyntax {
			t.Errorf("%s: %v", in, err)
		}
	}
}
