package smp_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/sha256"
	"reflect"
	"testing"

	"sotto/shared/box"
	"sotto/shared/key"
	"sotto/shared/smp"
	"sotto/shared/wire"
)

// The fixed inputs of the specification's worked examples.
//
// Spec: smp.md 15
var (
	exampleSession = sequence(0x00, 32)
	exampleCorrID  = sequence(0x40, 24)
	exampleQueue   = sequence(0x80, 24)
	exampleMessage = sequence(0xa0, 24)
)

const (
	exampleTime = 1735689600
	// exampleCA and exampleLeaf are the certificates of section 15.2.
	exampleCA = "308201363081e9a003020102020101300506032b6570302a3110300e060355040a130753696d706c6558311630140603" +
		"550403130d534d50207365727665722043413020170d3235303130313030303030305a180f3231323530313031303030" +
		"3030305a302a3110300e060355040a130753696d706c6558311630140603550403130d534d5020736572766572204341" +
		"302a300506032b65700321008a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5ca3323030" +
		"300f0603551d130101ff040530030101ff301d0603551d0e0416041434750f98bd59fcfc946da45aaabe933be154a4b5" +
		"300506032b6570034100561a038ce66659804711dc73d369e60bd47a5ee0175ac6ed6c1d7255a74cb9569c7fe999c341" +
		"9d695d030cd1fac93aafc4c690eadcd41d490f4b6f5fc84e9005"
	exampleLeaf = "3082014a3081fda003020102020102300506032b6570302a3110300e060355040a130753696d706c6558311630140603" +
		"550403130d534d50207365727665722043413020170d3235303130313030303030305a180f3231323530313031303030" +
		"3030305a301a311830160603550403130f736d702e6578616d706c652e6f7267302a300506032b65700321008139770e" +
		"a87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394a3563054300e0603551d0f0101ff040403020780" +
		"30130603551d25040c300a06082b06010505070301300c0603551d130101ff04023000301f0603551d23041830168014" +
		"34750f98bd59fcfc946da45aaabe933be154a4b5300506032b65700341008ad547b4be272a34fa20f9dd4bfc05824c61" +
		"96c8831b0e68513eeb7668cd2b3ef72c04d536d92f7b4a88b18b3fd00c47a1f3f7b7fb6db41193a864019384ab0a"
	exampleSignedKey = "3078302c302a300506032b656e0321005dfedd3b6bd47f6fa28ee15d969d5bb0ea53774d488bdaf9df1c6e0124b3ef22" +
		"300506032b65700341002ef8ebedfff134cb7720f8aa7182073c47d1de0a3e4c54ae37d37848f869f25c18aed337dd12" +
		"16f0a2cd056692259504fa92e713d2b752847d3454c76249d006"
)

// signingKey returns the Ed25519 key of a seed that repeats b.
func signingKey(t testing.TB, b byte) (ed25519.PrivateKey, key.Public) {
	t.Helper()
	private := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{b}, 32))
	public, err := key.New(key.Ed25519, private.Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	return private, public
}

// dhKey returns the X25519 key whose private part repeats b.
func dhKey(t testing.TB, b byte) (*ecdh.PrivateKey, key.Public) {
	t.Helper()
	private, err := ecdh.X25519().NewPrivateKey(bytes.Repeat([]byte{b}, 32))
	if err != nil {
		t.Fatal(err)
	}
	public, err := key.New(key.X25519, private.PublicKey().Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return private, public
}

// exampleSecret agrees on a secret between two keys that repeat a byte.
func exampleSecret(t testing.TB, private, public byte) [32]byte {
	t.Helper()
	mine, _ := dhKey(t, private)
	_, theirs := dhKey(t, public)
	secret, err := box.DH(theirs, mine)
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

// batchOf returns the payload of a block with one transmission.
func batchOf(transmission []byte) []byte { return wire.AppendLarge([]byte{1}, transmission) }

// Spec: smp.md 15.1, 15.6
func TestExampleBlocks(t *testing.T) {
	ping := smp.PING{}.AppendCommand(nil, smp.MaxVersion)
	signed := wire.AppendSigned(nil, exampleCorrID, nil, ping)
	transmission := wire.AppendTransmission(nil, 7, false, nil, nil, exampleSession, signed)
	const wantPing = "67cec9d3eabadc734e06e8d545582881ba1fa4981c114f1170736a22885b7894"
	if got := sum(paddedBlock(t, batchOf(transmission))); got != wantPing {
		t.Errorf("PING: %s", got)
	}
	old := paddedBlock(t, batchOf(wire.AppendTransmission(nil, 6, false, nil, nil, exampleSession, signed)))
	checkBytes(t, "PING of version 6", old[:0x45], unhex(t, "00430100400020000102030405060708090a0b0c0d0e0f101112131415161718"+
		"191a1b1c1d1e1f18404142434445464748494a4b4c4d4e4f50515253545556570050494e47"))

	auth := wire.AppendResponseHeader(nil, smp.MaxVersion, exampleSession, exampleCorrID, exampleQueue)
	auth = smp.ERR{Err: smp.ErrAuth}.AppendResponse(auth, smp.MaxVersion)
	const wantAuth = "d48e3d4dc51089c59ab5803b723427904b469d663c319c0f6965b0c4dd34132a"
	if got := sum(paddedBlock(t, batchOf(auth))); got != wantAuth {
		t.Errorf("ERR AUTH: %s", got)
	}
}

// Spec: smp.md 15.2, 15.3
func TestExampleHellos(t *testing.T) {
	server := smp.ServerHello{
		Versions:  wire.VersionRange{Min: smp.MinVersion, Max: smp.MaxVersion},
		SessionID: exampleSession,
		Chain:     [][]byte{unhex(t, exampleLeaf), unhex(t, exampleCA)},
		SignedKey: unhex(t, exampleSignedKey),
	}
	content := server.AppendTo(nil)
	const wantSum = "b17950dd6d8d4c48136b6a4fc9ad04762c57f9e76f8923417464e28a44141c5f"
	if len(content) != 814 || sum(paddedBlock(t, content)) != wantSum {
		t.Errorf("server hello of %d bytes: %s", len(content), sum(paddedBlock(t, content)))
	}
	checkServerHello(t, content, server)

	fingerprint := sha256.Sum256(unhex(t, exampleCA))
	_, clientKey := dhKey(t, 4)
	checkClientHello(t, unhex(t, "001220d01c2ecaf062f7bc19e06126bf4354a9b0bc8cdc76af0fade515aa4db0a957a42c302a300506032b656e032100"+
		"ac01b2209e86354fb853237b5de0f4fab13c7fcbf433a61c019369617fecf10b4630"),
		smp.ClientHello{Version: 18, KeyHash: fingerprint[:], Key: clientKey})

	address := smp.Server{Fingerprint: fingerprint[:], Hosts: []smp.Host{"smp.example.org"}}
	const wantAddress = "smp://0BwuyvBi97wZ4GEmv0NUqbC8jNx2rw-t5RWqTbCpV6Q=@smp.example.org"
	if parsed, err := smp.ParseAddress(wantAddress); address.String() != wantAddress || err != nil || !parsed.Equal(address) {
		t.Errorf("%s, %v", address.String(), err)
	}
	prxy := smp.PRXY{Server: address}
	want := unhex(t, "5052585920010f736d702e6578616d706c652e6f72670020d01c2ecaf062f7bc19e06126bf4354a9b0bc8cdc76af0fad"+
		"e515aa4db0a957a430")
	checkBytes(t, "PRXY", prxy.AppendCommand(nil, smp.MaxVersion), want)
	if parsed, err := smp.ParseCommand(smp.MaxVersion, want); err != nil || !reflect.DeepEqual(parsed, smp.Command(prxy)) {
		t.Errorf("%v, %v", parsed, err)
	}
}

// Spec: smp.md 15.4
func TestExampleNEW(t *testing.T) {
	private, authKey := signingKey(t, 5)
	_, dh := dhKey(t, 6)
	command := smp.NEW{
		AuthKey: authKey, DHKey: dh, Subscribe: true, Queue: &smp.QueueRequest{Mode: smp.ModeMessaging},
	}
	want := unhex(t, "4e4557202c302a300506032b65700321006e7a1cdd29b0b78fd13af4c5598feff4ef2a97166e3ca6f2e4fbfccd80505b"+
		"f12c302a300506032b656e032100f5b2d6e60f9477e310c2982daaa6c9136c108a1777c5947e448fa37d681745573053314d3030")
	encoded := command.AppendCommand(nil, 18)
	checkBytes(t, "NEW", encoded, want)
	if parsed, err := smp.ParseCommand(18, want); err != nil || !reflect.DeepEqual(parsed, smp.Command(command)) {
		t.Errorf("%v, %v", parsed, err)
	}
	signed := wire.AppendSigned(nil, exampleCorrID, nil, encoded)
	signature := ed25519.Sign(private, wire.AppendAuthorized(nil, exampleSession, signed))
	block := paddedBlock(t, batchOf(wire.AppendTransmission(nil, 18, false, signature, nil, exampleSession, signed)))
	const wantSum = "afcea69ddc06d40803d59bd5b64ebbe46be3cc570f7d8d815ce2ae0151f5590f"
	if sum(block) != wantSum {
		t.Errorf("block starts %x", block[:8])
	}
}

// Spec: smp.md 15.5
func TestExampleIDS(t *testing.T) {
	_, dh := dhKey(t, 8)
	ids := smp.IDS{RecipientID: exampleQueue, SenderID: sequence(0x10, 24), DHKey: dh, Mode: smp.ModeMessaging}
	want := unhex(t, "4944532018808182838485868788898a8b8c8d8e8f909192939495969718101112131415161718191a1b1c1d1e1f2021"+
		"2223242526272c302a300506032b656e03210031d4ab6aceec961137917037936e60716fac573afe94d9da84a8020448dfc112314d303030")
	checkBytes(t, "IDS", ids.AppendResponse(nil, 18), want)
	if parsed, err := smp.ParseResponse(18, want); err != nil || !reflect.DeepEqual(parsed, smp.Response(ids)) {
		t.Errorf("%v, %v", parsed, err)
	}
}

// Spec: smp.md 15.9
func TestExampleMSG(t *testing.T) {
	secret := exampleSecret(t, 8, 6)
	plain := smp.AppendReceived(nil, exampleTime, false, []byte("hello"))
	checkBytes(t, "plain", plain, unhex(t, "0000000067748580462068656c6c6f"))
	for _, c := range []struct{ name, sum, plain string }{
		{"message", "b3bb9ab53f64d5997891f05dd188e85b9e9abc94ed8b2e2e5a9086d0da1e829c", string(plain)},
		{"quota marker", "49a3ee266b057165ee3c1ce171183956caf4b824a5323f178c40e39fdc4dc344", string(smp.AppendQuota(nil, exampleTime))},
	} {
		if got := sum(sealMessage(t, secret[:], exampleMessage, []byte(c.plain))); got != c.sum {
			t.Errorf("%s: %s", c.name, got)
		}
	}
}

// Spec: smp.md 15.10
func TestExampleNMSG(t *testing.T) {
	secret, nonce := exampleSecret(t, 10, 9), [24]byte(sequence(0xc0, 24))
	meta := smp.NotificationMeta{MessageID: exampleMessage, Time: exampleTime}
	sealed, err := box.SealPadded(nil, meta.AppendTo(nil), &nonce, &secret, smp.PaddedMetaSize)
	if err != nil {
		t.Fatal(err)
	}
	want := unhex(t, "4e4d534720c0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7905627e93f6ee2a4f8e6cfbfcc41678c0e0b36"+
		"b92e04a6f48d372756c2dc071ee25c2ce99e409e91d3525ee090545b8268b95ee849ad94000c225e6fd78aa3af8be7ef"+
		"892ba56753a28e557316d06b3475f880a426ac17189c79db8f4b07c72dfb120753ab7ec5dc598c76fa9acefddc3df075"+
		"b6b752e019744d47aa598b3a6eba6d02eb778fa5cf9e45bf920dd6afdf93")
	checkBytes(t, "NMSG", smp.NMSG{Nonce: nonce, EncryptedMeta: sealed}.AppendResponse(nil, 18), want)
}

// Spec: smp.md 15.12
func TestExampleProxying(t *testing.T) {
	send := smp.SEND{Body: smp.Opaque("hello")}.AppendCommand(nil, smp.MaxProxiedVersion)
	signed := wire.AppendSigned(nil, exampleCorrID, exampleQueue, send)
	inner := batchOf(wire.AppendTransmission(nil, smp.MaxProxiedVersion, true, nil, nil, nil, signed))
	if len(inner) != 66 {
		t.Errorf("inner batch of %d bytes", len(inner))
	}
	secret, proxySecret := exampleSecret(t, 11, 3), exampleSecret(t, 12, 3)
	nonce, proxyNonce := box.NonceFrom(exampleCorrID), box.NonceFrom(sequence(0x60, 24))
	_, commandKey := dhKey(t, 11)
	enc, err := box.SealPadded(nil, inner, &nonce, &secret, smp.PaddedForwardSize)
	if err != nil {
		t.Fatal(err)
	}
	checkLong(t, "encT", enc, 16242, "2290c3267f23e885e3cd676e26e8ae527c936f5f6a883ae3cf8cee42cd1cf4af", nil)
	fwd := smp.ForwardTransmission{
		CorrID: exampleCorrID, Version: smp.MaxProxiedVersion, Key: commandKey, Encrypted: enc,
	}.AppendTo(nil)
	checkLong(t, "RFWD payload", box.Seal(nil, fwd, &proxyNonce, &proxySecret), 16330,
		"4ae23d0de1ba307425834f32d9ed5f8529cd73aa58f95f1987d1a5e9b152ce14", nil)

	ok := wire.AppendResponseHeader(nil, smp.MaxProxiedVersion, nil, exampleCorrID, exampleQueue)
	ok = smp.OK{}.AppendResponse(ok, smp.MaxProxiedVersion)
	nonce, proxyNonce = box.Reverse(nonce), box.Reverse(proxyNonce)
	if enc, err = box.SealPadded(nil, batchOf(ok), &nonce, &secret, smp.PaddedForwardSize); err != nil {
		t.Fatal(err)
	}
	checkLong(t, "encR", enc, 16242, "3f77c03d51b026bcefa551239382f6acd0d68ccdd75771a3dbf587b80cae9ad7", nil)
	answer := smp.ForwardResponse{CorrID: exampleCorrID, Encrypted: enc}.AppendTo(nil)
	checkLong(t, "RRES payload", box.Seal(nil, answer, &proxyNonce, &proxySecret), 16283,
		"60d78e711e3a9ba20852ed0264d60be9b9527ac222855db5e3b7ce3cc64886a1", nil)
}

// Spec: smp.md 15.13
func TestExampleSmallOnes(t *testing.T) {
	for want, p := range map[string]smp.Response{
		"534f4b2030": smp.SOK{},
		"45525220424c4f434b454420726561736f6e3d7370616d2c6e6f746963653d7b2274746c223a38363430307d": smp.ERR{
			Err: smp.BlockedError{Reason: smp.ReasonSpam, Notice: &smp.Notice{HasTTL: true, TTL: 86400}},
		},
		"4552522050524f58592042524f4b4552205452414e53504f52542048414e445348414b45204241445f41555448": smp.ERR{
			Err: smp.BrokerTransport{Err: smp.HandshakeBadAuth},
		},
	} {
		checkBytes(t, p.Tag(), p.AppendResponse(nil, 18), unhex(t, want))
		if parsed, err := smp.ParseResponse(18, unhex(t, want)); err != nil || !reflect.DeepEqual(parsed, p) {
			t.Errorf("%s: %v, %v", p.Tag(), parsed, err)
		}
	}
}

// Spec: smp.md 12
func TestSizes(t *testing.T) {
	msg := smp.MSG{MessageID: exampleMessage, EncryptedBody: make([]byte, smp.EncryptedBodySize)}
	for corrID, want := range map[string]int{"": 16178, string(exampleCorrID): 16202} {
		b := wire.AppendResponseHeader(nil, smp.MaxVersion, nil, []byte(corrID), exampleQueue)
		if got := len(msg.AppendResponse(b, smp.MaxVersion)); got != want {
			t.Errorf("MSG transmission of %d bytes, want %d", got, want)
		}
	}
	nmsg := smp.NMSG{EncryptedMeta: make([]byte, smp.EncryptedMetaSize)}
	if got := len(nmsg.AppendResponse(nil, smp.MaxVersion)); got != 174 {
		t.Errorf("NMSG of %d bytes", got)
	}
	if smp.EncryptedBodySize != 16122 || smp.EncryptedForwardSize != 16242 {
		t.Error("sizes of encrypted parts")
	}
}
