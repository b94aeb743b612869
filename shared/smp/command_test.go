package smp_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"sotto/shared/internal/vectors"
	"sotto/shared/key"
	"sotto/shared/smp"
	"sotto/shared/wire"
)

type commandVector struct {
	Name       string          `json:"name"`
	Introduced wire.Version    `json:"introduced_in_version"`
	Encodings  []encoding      `json:"encodings"`
	Parameters json.RawMessage `json:"parameters"`
}

type commandParameters struct {
	AuthKey      string       `json:"auth_key"`
	DHKey        string       `json:"dh_key"`
	SubMode      string       `json:"sub_mode"`
	Password     *string      `json:"password"`
	QueueMode    string       `json:"queue_mode"`
	LinkID       vectors.Hex  `json:"link_id"`
	SenderID     vectors.Hex  `json:"sender_id"`
	FixedData    vectors.Hex  `json:"fixed_data"`
	UserData     vectors.Hex  `json:"user_data"`
	NtfAuthKey   string       `json:"ntf_auth_key"`
	NtfDHKey     string       `json:"ntf_dh_key"`
	Key          string       `json:"key"`
	Keys         []string     `json:"keys"`
	MessageID    vectors.Hex  `json:"message_id"`
	Body         vectors.Hex  `json:"body"`
	Notification bool         `json:"notification"`
	Server       string       `json:"server"`
	Version      wire.Version `json:"version"`
	Encrypted    vectors.Hex  `json:"encrypted"`
}

// build makes the command that a case describes.
func (p commandParameters) build(t *testing.T, keys keyVectors, name string) smp.Command {
	t.Helper()
	public := func(name string) key.Public { return keys.public(t, name) }
	switch tag, _, _ := strings.Cut(name, " "); tag {
	case "NEW":
		return p.buildNEW(t, keys)
	case "KEY":
		return smp.KEY{SenderKey: public(p.Key)}
	case "SKEY":
		return smp.SKEY{SenderKey: public(p.Key)}
	case "LKEY":
		return smp.LKEY{SenderKey: public(p.Key)}
	case "NKEY":
		return smp.NKEY{NotifierKey: public(p.NtfAuthKey), DHKey: public(p.NtfDHKey)}
	case "RKEY":
		var c smp.RKEY
		for _, k := range p.Keys {
			c.Keys = append(c.Keys, public(k))
		}
		return c
	case "LSET":
		return smp.LSET{LinkID: wire.EntityID(p.LinkID), FixedData: smp.Opaque(p.FixedData), UserData: smp.Opaque(p.UserData)}
	case "ACK":
		return smp.ACK{MessageID: smp.MessageID(p.MessageID)}
	case "SEND":
		return smp.SEND{Notify: p.Notification, Body: smp.Opaque(p.Body)}
	case "PRXY":
		server, err := smp.ParseAddress(p.Server)
		if err != nil {
			t.Fatal(err)
		}
		c := smp.PRXY{Server: server}
		c.HasBasicAuth, c.BasicAuth = password(p.Password)
		return c
	case "PFWD":
		return smp.PFWD{Version: p.Version, Key: public(p.Key), Encrypted: smp.Opaque(p.Encrypted)}
	case "RFWD":
		return smp.RFWD{Encrypted: smp.Opaque(p.Encrypted)}
	default:
		c, ok := bareCommands()[tag]
		if !ok {
			t.Fatalf("%s: a command that the test does not know", name)
		}
		return c
	}
}

func (p commandParameters) buildNEW(t *testing.T, keys keyVectors) smp.NEW {
	t.Helper()
	c := smp.NEW{AuthKey: keys.public(t, p.AuthKey), DHKey: keys.public(t, p.DHKey), Subscribe: p.SubMode == "S"}
	c.HasBasicAuth, c.BasicAuth = password(p.Password)
	if p.QueueMode != "" {
		c.Queue = &smp.QueueRequest{Mode: smp.QueueMode(p.QueueMode[0])}
	}
	if p.SenderID != nil {
		c.Queue.Link = &smp.LinkRequest{
			LinkID: wire.EntityID(p.LinkID), SenderID: wire.EntityID(p.SenderID),
			FixedData: smp.Opaque(p.FixedData), UserData: smp.Opaque(p.UserData),
		}
	}
	if p.NtfAuthKey != "" {
		c.Notifier = &smp.NotifierCredentials{NotifierKey: keys.public(t, p.NtfAuthKey), DHKey: keys.public(t, p.NtfDHKey)}
	}
	return c
}

func password(p *string) (bool, smp.BasicAuth) {
	if p == nil {
		return false, nil
	}
	return true, smp.BasicAuth(*p)
}

func bareCommands() map[string]smp.Command {
	return map[string]smp.Command{
		"SUB": smp.SUB{}, "SUBS": smp.SUBS{}, "LDEL": smp.LDEL{}, "NDEL": smp.NDEL{}, "GET": smp.GET{},
		"OFF": smp.OFF{}, "DEL": smp.DEL{}, "QUE": smp.QUE{}, "PING": smp.PING{}, "LGET": smp.LGET{},
		"NSUB": smp.NSUB{}, "NSUBS": smp.NSUBS{},
	}
}

// commandAsOf is what remains of c in version v.
func commandAsOf(c smp.Command, v wire.Version) smp.Command {
	n, ok := c.(smp.NEW)
	if !ok {
		return c
	}
	if v < smp.VersionNotifierCreds {
		n.Notifier = nil
	}
	switch {
	case v >= smp.VersionShortLinks:
	case v >= smp.VersionSenderSecure:
		mode := smp.ModeContact
		if n.Queue != nil && n.Queue.Mode == smp.ModeMessaging {
			mode = smp.ModeMessaging
		}
		n.Queue = &smp.QueueRequest{Mode: mode}
	default:
		n.Queue = nil
	}
	return n
}

func TestCommandVectors(t *testing.T) {
	keys := loadKeys(t)
	var cases []commandVector
	vectors.Load(t, "smp/commands.json", &cases)
	encodings := 0
	for _, c := range cases {
		var p commandParameters
		decodeStrict(t, c.Name, c.Parameters, &p)
		built := p.build(t, keys, c.Name)
		eachVersion(c.Encodings, func(v wire.Version, want []byte) {
			encodings++
			checkBytes(t, c.Name+" encoded", built.AppendCommand(nil, v), want)
			parsed, err := smp.ParseCommand(v, want)
			if err != nil {
				t.Errorf("%s, v%d: %v", c.Name, v, err)
				return
			}
			if wanted := commandAsOf(built, v); !reflect.DeepEqual(parsed, wanted) {
				t.Errorf("%s, v%d: parsed %#v, want %#v", c.Name, v, parsed, wanted)
			}
			checkBytes(t, c.Name+" parsed and encoded", parsed.AppendCommand(nil, v), want)
			commandPrefixes(t, v, want)
		})
	}
	t.Logf("checked %d cases, %d encodings", len(cases), encodings)
}

// TestForwardedVersions: versions outside the range are encoded like the nearest inside it.
func TestForwardedVersions(t *testing.T) {
	var cases []commandVector
	vectors.Load(t, "smp/commands.json", &cases)
	for _, c := range cases {
		first, last := c.Encodings[0].Hex, c.Encodings[len(c.Encodings)-1].Hex
		for _, at := range []struct {
			v    wire.Version
			want []byte
		}{{0, first}, {5, first}, {19, last}, {65535, last}} {
			parsed, err := smp.ParseCommand(at.v, at.want)
			if err != nil {
				t.Errorf("%s, v%d: %v", c.Name, at.v, err)
				continue
			}
			checkBytes(t, c.Name, parsed.AppendCommand(nil, at.v), at.want)
		}
	}
}

func TestCommandSyntax(t *testing.T) {
	keys := loadKeys(t)
	auth, dh := keys.public(t, "rcv_ed25519"), keys.public(t, "rcv_dh")
	x448 := keys.public(t, "x448_example")
	wireKey := func(k key.Public) string { return string(k.AppendWire(nil)) }
	newHead := "NEW " + wireKey(auth) + wireKey(dh)
	cases := []struct {
		name string
		v    wire.Version
		in   string
		want error
	}{
		{"empty", 18, "", smp.CmdUnknown},
		{"only a space", 18, " ", smp.CmdUnknown},
		{"unknown tag", 18, "HELLO", smp.CmdUnknown},
		{"unknown tag with parameters", 18, "HELLO world", smp.CmdUnknown},
		{"lower case", 18, "sub", smp.CmdUnknown},
		{"equals sign belongs to the tag", 18, "SUB=", smp.CmdUnknown},
		{"line end belongs to the tag", 18, "PING\n", smp.CmdUnknown},
		{"zero byte belongs to the tag", 18, "PING\x00", smp.CmdUnknown},
		{"broker tag", 18, "OK", smp.CmdUnknown},
		{"broker tag with parameters", 18, "MSG x", smp.CmdUnknown},
		{"NEW without parameters", 18, "NEW", smp.CmdSyntax},
		{"NEW with space only", 18, "NEW ", smp.CmdSyntax},
		{"NEW with an unexpected field", 18, "NEW \x04test" + newHead[4:] + "0S00", smp.CmdSyntax},
		{"NEW", 18, newHead + "0S00", nil},
		{"NEW with trailing byte", 18, newHead + "0S00 ", smp.CmdSyntax},
		{"NEW of version 16 in 17", 17, newHead + "0S0", smp.CmdSyntax},
		{"NEW of version 17 in 16", 16, newHead + "0S00", smp.CmdSyntax},
		{"NEW of version 9 in 8", 8, newHead + "SF", smp.CmdSyntax},
		{"NEW bad subscription mode", 18, newHead + "0X00", smp.CmdSyntax},
		{"NEW bad queue mode", 18, newHead + "0S1X00", smp.CmdSyntax},
		{"NEW bad flag", 14, newHead + "0SX", smp.CmdSyntax},
		{"NEW binary one as a marker", 18, newHead + "\x01\x00S00", smp.CmdSyntax},
		{"NEW empty password", 18, newHead + "1\x00S00", nil},
		{"NEW empty password, v8", 8, newHead + "A\x00S", nil},
		{"NEW password with colon", 18, newHead + "1\x01:S00", smp.CmdSyntax},
		{"NEW password with colon, v8", 8, newHead + "A\x01:S", smp.CmdSyntax},
		{"NEW X448 key", 18, "NEW " + wireKey(x448) + wireKey(dh) + "0S00", smp.CmdSyntax},
		{"NEW DH key that is Ed25519", 18, "NEW " + wireKey(auth) + wireKey(auth) + "0S00", smp.CmdSyntax},
		{"NEW notifier DH key that is Ed25519", 18, newHead + "0S01" + wireKey(auth) + wireKey(auth), smp.CmdSyntax},
		{"NEW key with a byte after the DER", 18, "NEW \x2d" + wireKey(auth)[1:] + "\x00" + wireKey(dh) + "0S00", smp.CmdSyntax},
		{"SUB", 18, "SUB", nil},
		{"SUB with space", 18, "SUB ", smp.CmdSyntax},
		{"SUBS with parameters", 18, "SUBS \x00", smp.CmdSyntax},
		{"PING with parameters", 18, "PING x", smp.CmdSyntax},
		{"KEY without parameter", 18, "KEY", smp.CmdSyntax},
		{"KEY with extra field", 18, "KEY \x04test" + wireKey(auth), smp.CmdSyntax},
		{"KEY with trailing byte", 18, "KEY " + wireKey(auth) + "x", smp.CmdSyntax},
		{"KEY X25519", 18, "KEY " + wireKey(dh), nil},
		{"KEY X448", 18, "KEY " + wireKey(x448), smp.CmdSyntax},
		{"SKEY on an old version", 7, "SKEY " + wireKey(auth), nil},
		{"RKEY empty", 18, "RKEY \x00", smp.CmdSyntax},
		{"RKEY wrong count", 18, "RKEY \x02" + wireKey(auth), smp.CmdSyntax},
		{"RKEY huge count", 18, "RKEY \xff" + wireKey(auth), smp.CmdSyntax},
		{"ACK without parameter", 18, "ACK", smp.CmdSyntax},
		{"ACK with space only", 18, "ACK ", smp.CmdSyntax},
		{"ACK empty id", 18, "ACK \x00", nil},
		{"ACK with trailing byte", 18, "ACK \x01ab", smp.CmdSyntax},
		{"SEND without parameters", 18, "SEND", smp.CmdSyntax},
		{"SEND without body separator", 18, "SEND T", smp.CmdSyntax},
		{"SEND without flags", 18, "SEND  hello", smp.CmdSyntax},
		{"SEND bad flag", 18, "SEND X hello", smp.CmdSyntax},
		{"SEND empty body", 18, "SEND F ", nil},
		{"RFWD empty", 18, "RFWD ", nil},
		{"RFWD without space", 18, "RFWD", smp.CmdSyntax},
		{"PRXY no hosts", 18, "PRXY \x00\x00\x000", smp.CmdSyntax},
		{"PRXY empty host", 18, "PRXY \x01\x00\x00\x000", smp.CmdSyntax},
		{"PRXY bad host", 18, "PRXY \x01\x03a/b\x00\x000", smp.CmdSyntax},
		{"PRXY password with space", 18, "PRXY \x01\x01a\x00\x001\x03a b", smp.CmdSyntax},
		{"PFWD with an Ed25519 key", 18, "PFWD \x00\x11" + wireKey(auth) + "x", smp.CmdSyntax},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := smp.ParseCommand(c.v, []byte(c.in))
			if err != c.want {
				t.Fatalf("error %v, want %v", err, c.want)
			}
			if (got == nil) != (c.want != nil) {
				t.Errorf("command %v with error %v", got, err)
			}
		})
	}
}

func TestSendFlags(t *testing.T) {
	for in, want := range map[string]smp.SEND{
		"SEND T a b":        {Notify: true, Body: smp.Opaque("a b")},
		"SEND F ":           {Body: smp.Opaque{}},
		"SEND Tabcdefg x":   {Notify: true, Body: smp.Opaque("x")},
		"SEND F\x00\xff  x": {Body: smp.Opaque(" x")},
	} {
		got, err := smp.ParseCommand(18, []byte(in))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %v, %v", in, got, err)
		}
	}
}

func TestBasicAuth(t *testing.T) {
	allowed := 0
	for c := range 256 {
		// The words of the rule: printable Latin-1 without white space, "@", ":", "/" and soft hyphen.
		want := c >= 0x21 && c <= 0x7e || c >= 0xa1 && c <= 0xff
		if c == '@' || c == ':' || c == '/' || c == 0xad {
			want = false
		}
		if got := (smp.BasicAuth{'a', byte(c)}).Valid(); got != want {
			t.Errorf("byte %#x: %v, want %v", c, got, want)
		}
		if want {
			allowed++
		}
	}
	if !(smp.BasicAuth{}).Valid() || smp.BasicAuth(make([]byte, 256)).Valid() {
		t.Error("length is judged wrongly")
	}
	t.Logf("checked 256 bytes, %d allowed", allowed)
}

func TestCheckCredentials(t *testing.T) {
	const noAuth, hasAuth, noEntity = smp.CmdNoAuth, smp.CmdHasAuth, smp.CmdNoEntity
	type row [4]error // neither, entity only, authorization only, both
	all := row{noAuth, noAuth, noAuth, nil}
	want := map[string]row{
		"NEW":  {noAuth, noAuth, nil, hasAuth},
		"SEND": {noEntity, nil, noEntity, nil},
		"LGET": {noEntity, nil, noEntity, hasAuth},
		"PFWD": {noEntity, nil, noEntity, hasAuth},
		"PING": {nil, hasAuth, hasAuth, hasAuth},
		"PRXY": {nil, hasAuth, hasAuth, hasAuth},
		"RFWD": {nil, hasAuth, hasAuth, hasAuth},
	}
	for _, c := range allCommands() {
		row, ok := want[c.Tag()]
		if !ok {
			row = all
		}
		for i, wantErr := range row {
			if got := smp.CheckCredentials(c, i&2 != 0, i&1 != 0); got != wantErr {
				t.Errorf("%s, auth %v, entity %v: %v, want %v", c.Tag(), i&2 != 0, i&1 != 0, got, wantErr)
			}
		}
	}
	t.Logf("checked %d commands", len(allCommands()))
}

func allCommands() []smp.Command {
	commands := []smp.Command{
		smp.NEW{},
		smp.KEY{},
		smp.RKEY{},
		smp.LSET{},
		smp.NKEY{},
		smp.ACK{},
		smp.SKEY{},
		smp.SEND{},
		smp.LKEY{},
		smp.PRXY{},
		smp.PFWD{},
		smp.RFWD{},
	}
	for _, c := range bareCommands() {
		commands = append(commands, c)
	}
	return commands
}

func TestParties(t *testing.T) {
	want := map[smp.Party]string{
		smp.None: "PING", smp.Creator: "NEW", smp.RecipientService: "SUBS", smp.Sender: "SKEY SEND",
		smp.Recipient: "SUB KEY RKEY LSET LDEL NKEY NDEL GET ACK OFF DEL QUE", smp.Link: "LKEY LGET",
		smp.Notifier: "NSUB", smp.NotifierService: "NSUBS", smp.ProxiedClient: "PRXY PFWD", smp.ProxyService: "RFWD",
	}
	seen := 0
	for party, tags := range want {
		seen += len(strings.Fields(tags))
		for _, c := range allCommands() {
			if in := strings.Contains(" "+tags+" ", " "+c.Tag()+" "); in != (c.Party() == party) {
				t.Errorf("%s is of %s", c.Tag(), c.Party())
			}
		}
	}
	if seen != len(allCommands()) {
		t.Errorf("%d commands have parties, of %d", seen, len(allCommands()))
	}
	if got := smp.Party(200).String(); got != "unknown party" {
		t.Errorf("Party(200) prints %q", got)
	}
}
