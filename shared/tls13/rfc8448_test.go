package tls13

import (
	"bytes"
	"crypto/ecdh"
	"encoding/hex"
	"testing"
)

// The trace of a simple handshake, with TLS_AES_128_GCM_SHA256.
//
// Source: RFC 8448 3
const (
	traceClientSecret = "49af42ba7f7994852d713ef2784bcbcaa7911de26adc5642cb634540e7ea5005"
	traceClientHello  = "010000c00303cb34ecb1e78163ba1c38c6dacb196a6dffa21a8d9912ec18a2ef6283024dece7000006130113031302010000910000000b" +
		"0009000006736572766572ff01000100000a00140012001d0017001800190100010101020103010400230000003300260024001d002099381de560e4" +
		"bd43d23d8e435a7dbafeb3c06e51c13cae4d5413691e529aaf2c002b0003020304000d0020001e040305030603020308040805080604010501060102" +
		"010402050206020202002d00020101001c00024001"
	traceServerHello = "020000560303a6af06a4121860dc5e6e60249cd34c95930c8ac5cb1434dac155772ed3e2692800130100002e00330024001d0020c9828876" +
		"112095fe66762bdbf7c672e156d6cc253b833df1dd69b1b04e751f0f002b00020304"
	traceExtensions  = "080000240022000a00140012001d00170018001901000101010201030104001c0002400100000000"
	traceCertificate = "0b0001b9000001b50001b0308201ac30820115a003020102020102300d06092a864886f70d01010b0500300e310c300a0603550403130372" +
		"7361301e170d3136303733303031323335395a170d3236303733303031323335395a300e310c300a0603550403130372736130819f300d06092a8648" +
		"86f70d010101050003818d0030818902818100b4bb498f8279303d980836399b36c6988c0c68de55e1bdb826d3901a2461eafd2de49a91d015abbc9a" +
		"95137ace6c1af19eaa6af98c7ced43120998e187a80ee0ccb0524b1b018c3e0b63264d449a6d38e22a5fda430846748030530ef0461c8ca9d9efbfae" +
		"8ea6d1d03e2bd193eff0ab9a8002c47428a6d35a8d88d79f7f1e3f0203010001a31a301830090603551d1304023000300b0603551d0f0404030205a0" +
		"300d06092a864886f70d01010b05000381810085aad2a0e5b9276b908c65f73a7267170618a54c5f8a7b337d2df7a594365417f2eae8f8a58c8f8172" +
		"f9319cf36b7fd6c55b80f21a03015156726096fd335e5e67f2dbf102702e608ccae6bec1fc63a42a99be5c3eb7107c3c54e9b9eb2bd5203b1c3b84e0" +
		"a8b2f759409ba3eac9d91d402dcc0cc8f8961229ac9187b42b4de10000"
	traceVerify = "0f000084080400805a747c5d88fa9bd2e55ab085a61015b7211f824cd484145ab3ff52f1fda8477b0b7abc90db78e2d33a5c141a078653fa6b" +
		"ef780c5ea248eeaaa785c4f394cab6d30bbe8d4859ee511f602957b15411ac027671459e46445c9ea58c181e818e95b8c3fb0bf3278409d3be152a3d" +
		"a5043e063dda65cdf5aea20d53dfacd42f74f3"
	traceServerFinished = "140000209b9b141d906337fbd2cbdce71df4deda4ab42c309572cb7fffee5454b78f0718"
	traceClientFinished = "14000020a8ec436d677634ae525ac1fcebe11a039ec17694fac6e98527b642f2edd5ce61"

	traceMasterSecret    = "18df06843d13a08bf2a449844c5f8a478001bc4d4c627984d5a41da8d0402919"
	traceClientHandshake = "b3eddb126e067f35a780b3abf45e2d8f3b1a950738f52e9600746a0e27a55a21"
	traceServerHandshake = "b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38"
	traceClientTraffic   = "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5"
	traceServerTraffic   = "a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643"

	traceFinishedRecord = "170303003575ec4dc238cce60b298044a71e219c56cc77b0517fe9b93c7a4bfc44d87f38f80338ac98fc46deb384bd1caeacab6867d726" +
		"c40546"
	traceDataRecord = "1703030043a23f7054b62c94d0affafe8228ba55cbefacea42f914aa66bcab3f2b9819a8a5b46b395bd54a9a20441e2b62974e1f5a6292a2" +
		"977014bd1e3deae63aeebb21694915e4"
	traceCloseRecord = "1703030013c9872760655666b74d7ff1153efd6db6d0b0e3"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestTraceSecrets goes through the trace and compares the secrets and the Finished messages.
func TestTraceSecrets(t *testing.T) {
	private, err := ecdh.X25519().NewPrivateKey(unhex(t, traceClientSecret))
	if err != nil {
		t.Fatal(err)
	}
	hello, err := parseServerHello(unhex(t, traceServerHello))
	if err != nil {
		t.Fatal(err)
	}
	h := &handshake{Conn: newConn(nil, true), messages: newTranscript(suiteOf(hello.suite))}
	check := func(name string, got []byte, want string) {
		if t.Helper(); hex.EncodeToString(got) != want {
			t.Errorf("%s is %x", name, got)
		}
	}
	add := func(messages ...string) {
		for _, m := range messages {
			h.messages.add(unhex(t, m))
		}
	}
	add(traceClientHello, traceServerHello)
	if err := h.agree(private, hello.share); err != nil {
		t.Fatal(err)
	}
	check("client's handshake secret", h.client, traceClientHandshake)
	check("server's handshake secret", h.server, traceServerHandshake)
	check("master secret", h.keys.secret, traceMasterSecret)
	add(traceExtensions, traceCertificate, traceVerify)
	check("server's Finished", marshalFinished(h.messages.suite.finished(h.server, h.messages.sum())), traceServerFinished)
	add(traceServerFinished)
	check("client's secret", h.keys.derive(labelClientTraffic, h.messages.sum()), traceClientTraffic)
	check("server's secret", h.keys.derive(labelServerTraffic, h.messages.sum()), traceServerTraffic)
	check("client's Finished", marshalFinished(h.messages.suite.finished(h.client, h.messages.sum())), traceClientFinished)
}

// TestTraceRecords seals and opens the client's records of the trace.
func TestTraceRecords(t *testing.T) {
	data := make([]byte, 50)
	for i := range data {
		data[i] = byte(i)
	}
	type record struct {
		kind    byte
		content []byte
		sealed  string
	}
	for secret, records := range map[string][]record{
		traceClientHandshake: {{recordHandshake, unhex(t, traceClientFinished), traceFinishedRecord}},
		traceClientTraffic: {
			{recordData, data, traceDataRecord}, {recordAlert, []byte{alertWarning, byte(alertCloseNotify)}, traceCloseRecord},
		},
	} {
		var seal, open half
		seal.protect(suiteOf(AES128GCM), unhex(t, secret))
		open.protect(suiteOf(AES128GCM), unhex(t, secret))
		for _, r := range records {
			if got := seal.append(nil, r.kind, r.content); hex.EncodeToString(got) != r.sealed {
				t.Errorf("record of type %d sealed as %x", r.kind, got)
			}
			kind, content, err := open.open(unhex(t, r.sealed))
			if err != nil || kind != r.kind || !bytes.Equal(content, r.content) {
				t.Errorf("record of type %d opened as %d, %x, %v", r.kind, kind, content, err)
			}
		}
	}
}

// TestTraceMessages reads the messages of the trace that a client reads.
func TestTraceMessages(t *testing.T) {
	chain, err := parseCertificate(unhex(t, traceCertificate))
	if err != nil || len(chain) != 1 || len(chain[0]) != 0x1b0 {
		t.Errorf("chain of %d, %v", len(chain), err)
	}
	proof, err := parseCertificateVerify(unhex(t, traceVerify))
	if err != nil || proof.scheme != 0x0804 || len(proof.signature) != 128 {
		t.Errorf("%+v, %v", proof, err)
	}
	// Its limit of records was asked for by the client of the trace, and is not by ours.
	if _, err := parseEncryptedExtensions(unhex(t, traceExtensions), &clientHello{name: "server"}); err != ErrExtension {
		t.Errorf("%v", err)
	}
	// Its certificate is for RSA.
	if _, err := leafKey(chain); err != ErrCertificate {
		t.Errorf("%v", err)
	}
}
