package box

import (
	"encoding/hex"
	"testing"

	"sotto/shared/key"
	"sotto/shared/wire"
)

// payload returns the payload of one transmission.
func payload(t *testing.T, transmission []byte) []byte {
	t.Helper()
	var p wire.Packer
	if !p.Add(transmission) {
		t.Fatal("does not fit")
	}
	return p.Payload()
}

// TestExampleBlocks encrypts the first block of each direction.
//
// Spec: smp.md 15.7
func TestExampleBlocks(t *testing.T) {
	session, corr, queue := run(0, 32), run(0x40, 24), run(0x80, 24)
	secret := exampleDH(t, 4, 3)
	if got := hex.EncodeToString(secret[:]); got != "40e47a3f525bdcac491d418978d7db5af623ac7afe7623c6d78a5d4fce9d0f63" {
		t.Errorf("secret %s", got)
	}
	server, client := NewChains(&secret, session)
	pong := append(wire.AppendResponseHeader(nil, 18, session, corr, queue), "ERR AUTH"...)
	ping := wire.AppendTransmission(nil, 18, false, nil, nil, nil, wire.AppendSigned(nil, corr, nil, []byte("PING")))
	cases := []struct {
		name                                string
		chain                               Chain
		first, key, nonce, next, start, sum string
		payload                             []byte
	}{
		{
			"relay to client", server, "70c6105664a227b966e46bcf39b25e9b39c448915b55ab455c700568e55ed026",
			"dab265473c95dd94731472532879c400e3b6ec746c1bf52abb44facecf2c581f",
			"43e07a7196e19ffc73c70a83b052d1066c5a49451dab1e8a",
			"94f99ec75a7bfe8e2ffa127c2146a8aea862c579cace63cf2f2f9640104bbe51",
			"2d51238de21cf99d433c51903978ae6e2c24c7fef84f32147c13d8ada444a3ec",
			"cad9faf1bac8d6acda5519a87dcb2bee2b467c8bc740bd5804eeb07eec4c4bfa", payload(t, pong),
		},
		{
			"client to relay", client, "8a23e088e4e62594e8cbc9888779297a719a5a87e02f67ceb2d8d4b751e558eb",
			"395acef3bc0fa8a1657a039edfe0fa77015164baf4986bc5d1dcf52f0e9af544",
			"bb7fd03ed4a20e4eaf7fa99f86020a1ac7f74ff9f668e8dd",
			"3611130d7a680609d0f1fcc655e1824ecf707099b421e0c044278b5a389d9128",
			"6063cf542550b2f7732cc55753e4ee3324d2977afa602c810f2e8cec17aedfde",
			"177f28a7716dc6f1b150a757978e8c7739801267bd555f4ec24d96fef3639d2c", payload(t, ping),
		},
	}
	for _, c := range cases {
		if got := hex.EncodeToString(c.chain.key[:]); got != c.first {
			t.Errorf("%s: chain key %s", c.name, got)
		}
		stepper := c.chain
		k, nonce := stepper.step()
		if hex.EncodeToString(k[:]) != c.key || hex.EncodeToString(nonce[:]) != c.nonce ||
			hex.EncodeToString(stepper.key[:]) != c.next {
			t.Errorf("%s: key %x, nonce %x, next %x", c.name, k, nonce, stepper.key)
		}
		block := make([]byte, wire.BlockSize)
		if err := c.chain.Seal(block, c.payload); err != nil {
			t.Fatal(err)
		}
		checkSum(t, c.name, block, wire.BlockSize, c.start, c.sum)
	}
}

// TestExampleMessages seals a message body and a quota marker.
//
// Spec: smp.md 15.9
func TestExampleMessages(t *testing.T) {
	secret, nonce := exampleDH(t, 6, 8), NonceFrom(run(0xa0, 24))
	if got := hex.EncodeToString(secret[:]); got != "2ace626c36681bc5ca974e113ceac6d868b67db57056a22b5032ef5dce74f571" {
		t.Errorf("secret %s", got)
	}
	const seconds = 1735689600
	body := append(wire.AppendInt64(nil, seconds), "F hello"...)
	quota := wire.AppendInt64([]byte("QUOTA "), seconds)
	for _, c := range []struct {
		name       string
		plain      []byte
		start, sum string
	}{
		{
			"body", body,
			"324b2824e307d4d1c39ed2a3556668263714e08459e762144d64517756fa2bf1c57da4a6a8fbef625dd4dead721f8448",
			"b3bb9ab53f64d5997891f05dd188e85b9e9abc94ed8b2e2e5a9086d0da1e829c",
		},
		{
			"quota", quota, "f8bced404279666934e48e0ca26d1afa3715b1d116b34440c8e4175759ebc21d",
			"49a3ee266b057165ee3c1ce171183956caf4b824a5323f178c40e39fdc4dc344",
		},
	} {
		sealed, err := SealPadded(nil, c.plain, &nonce, &secret, paddedBody)
		if err != nil {
			t.Fatal(err)
		}
		checkSum(t, c.name, sealed, 16122, c.start, c.sum)
	}
}

// TestExampleNotification seals the metadata of a notification.
//
// Spec: smp.md 15.10
func TestExampleNotification(t *testing.T) {
	secret, nonce := exampleDH(t, 9, 10), NonceFrom(run(0xc0, 24))
	if got := hex.EncodeToString(secret[:]); got != "d0269e71d74061ec55e16979384a11ea95e318ffdb52a299eb488ae36523a659" {
		t.Errorf("secret %s", got)
	}
	plain := wire.AppendInt64(wire.AppendStr(nil, run(0xa0, 24)), 1735689600)
	sealed, err := SealPadded(nil, plain, &nonce, &secret, paddedMetadata)
	if err != nil {
		t.Fatal(err)
	}
	command := wire.AppendStr(append([]byte("NMSG "), nonce[:]...), sealed)
	if got := hex.EncodeToString(command); got != "4e4d534720c0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7905627e93f6ee2a4f8e6cfbfcc41678c0e0b36"+
		"b92e04a6f48d372756c2dc071ee25c2ce99e409e91d3525ee090545b8268b95ee849ad94000c225e6fd78aa3af8be7ef"+
		"892ba56753a28e557316d06b3475f880a426ac17189c79db8f4b07c72dfb120753ab7ec5dc598c76fa9acefddc3df075"+
		"b6b752e019744d47aa598b3a6eba6d02eb778fa5cf9e45bf920dd6afdf93" {
		t.Errorf("command %s", got)
	}
}

// TestExampleProxy follows a command to a relay and back.
//
// Spec: smp.md 15.12
func TestExampleProxy(t *testing.T) {
	corr, queue := run(0x40, 24), run(0x80, 24)
	pub, err := key.New(key.X25519, private(t, seed(11)).PublicKey().Bytes())
	if err != nil {
		t.Fatal(err)
	}
	p := proxied{
		secret: exampleDH(t, 3, 11), outer: exampleDH(t, 3, 12), n: NonceFrom(corr), r: NonceFrom(run(0x60, 24)),
		corrID: corr, version: 17, key: pub,
	}
	signed := wire.AppendSigned(nil, corr, queue, []byte("SEND F hello"))
	inner := payload(t, wire.AppendTransmission(nil, 17, true, nil, nil, nil, signed))
	checkSum(t, "inner", inner, 66, "01003f0018404142434445464748494a4b4c4d4e4f5051525354555657188081", "")
	encT, _, rfwd := p.forward(t, inner)
	checkSum(t, "encT", encT, 16242, "d47d2ca106c2d34781e46dcd13fb0df7d59a2b6e2e8f9de046b09c612cdeb23d",
		"2290c3267f23e885e3cd676e26e8ae527c936f5f6a883ae3cf8cee42cd1cf4af")
	checkSum(t, "RFWD", rfwd, 16330, "7c101096c2861173c1581a0a398a8637b6155e267da26454b96cf458be4f50d8",
		"4ae23d0de1ba307425834f32d9ed5f8529cd73aa58f95f1987d1a5e9b152ce14")
	encR, rres := p.back(t, payload(t, append(wire.AppendResponseHeader(nil, 17, nil, corr, queue), "OK"...)))
	checkSum(t, "encR", encR, 16242, "5061c669c226327292c6d3f3730fe85b2b1ad6b4706a59e99cb0ca75c48b4567",
		"3f77c03d51b026bcefa551239382f6acd0d68ccdd75771a3dbf587b80cae9ad7")
	checkSum(t, "RRES", rres, 16283, "137cc7938d632f471befa0a24714358fd1820a7c0860fa425ab516d03a9106ba",
		"60d78e711e3a9ba20852ed0264d60be9b9527ac222855db5e3b7ce3cc64886a1")
}
