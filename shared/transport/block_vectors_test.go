package transport

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"testing"

	"sotto/shared/box"
	"sotto/shared/internal/vectors"
	"sotto/shared/wire"
)

// TestVectorBlocks writes and reads the blocks of the encryption vectors.
func TestVectorBlocks(t *testing.T) {
	type block struct {
		Content vectors.Hex `json:"content"`
		SHA256  vectors.Hex `json:"encrypted_sha256"`
	}
	var v struct {
		SessionID vectors.Hex `json:"session_id"`
		Secret    vectors.Hex `json:"shared_secret"`
		ToClient  []block     `json:"server_to_client"`
		ToServer  []block     `json:"client_to_server"`
		TooLarge  struct {
			Length int `json:"content_length"`
		} `json:"too_large"`
	}
	vectors.Load(t, "smp/block_encryption.json", &v)
	relaySend, relayRecv, clientSend, clientRecv := chains(v.Secret, v.SessionID)
	relayConn, clientConn := new(memory), new(memory)
	relay, client := NewBlockConn(relayConn), NewBlockConn(clientConn)
	relay.Encrypt(relaySend, relayRecv)
	client.Encrypt(clientSend, clientRecv)
	checked := 0
	var room Block
	for _, way := range []struct {
		from, to         *BlockConn
		fromConn, toConn *memory
		blocks           []block
	}{
		{relay, client, relayConn, clientConn, v.ToClient},
		{client, relay, clientConn, relayConn, v.ToServer},
	} {
		if err := way.from.WriteBlock(make([]byte, v.TooLarge.Length)); !errors.Is(err, wire.ErrTooLong) {
			t.Errorf("%d bytes: %v", v.TooLarge.Length, err)
		}
		for i, b := range way.blocks {
			if err := way.from.WriteBlock(b.Content); err != nil {
				t.Fatal(err)
			}
			sent := way.fromConn.written(t)
			if sum := sha256.Sum256(sent[0]); len(sent) != 1 || !bytes.Equal(sum[:], b.SHA256) {
				t.Errorf("block %d: %d blocks, first %x", i, len(sent), sum)
			}
			way.toConn.in.Write(sent[0])
			if got, err := way.to.ReadBlock(&room); err != nil || !bytes.Equal(got, b.Content) {
				t.Errorf("block %d: %v", i, err)
			}
			checked++
		}
	}
	t.Logf("checked %d cases", checked)
}

// handshakeVectors are the parts of handshake.json that are blocks.
type handshakeVectors struct {
	Server []struct {
		Content vectors.Hex `json:"content"`
		SHA256  vectors.Hex `json:"block_sha256"`
	} `json:"server"`
	Client []struct {
		Content []vectors.Hex `json:"content"`
		SHA256  []vectors.Hex `json:"block_sha256"`
	} `json:"client"`
	Session struct {
		ClientBlocks []struct {
			SHA256 vectors.Hex `json:"sha256"`
		} `json:"client_blocks"`
		ServerBlocks []struct {
			SHA256 vectors.Hex `json:"sha256"`
		} `json:"server_blocks"`
		ClientKey string        `json:"client_key"`
		ServerKey string        `json:"server_key"`
		CorrIDs   []vectors.Hex `json:"corr_ids"`
		First     vectors.Hex   `json:"first_client_block"`
		FirstBack vectors.Hex   `json:"first_server_block"`
		SessionID vectors.Hex   `json:"session_id"`
		Version   wire.Version  `json:"version"`
	} `json:"session"`
}

func TestVectorHellos(t *testing.T) {
	var v handshakeVectors
	vectors.Load(t, "smp/handshake.json", &v)
	checked := 0
	check := func(content, want []byte) {
		conn := new(memory)
		c := NewBlockConn(conn)
		if err := c.WriteHello(content); err != nil {
			t.Fatal(err)
		}
		blocks := conn.written(t)
		if sum := sha256.Sum256(blocks[0]); len(blocks) != 1 || !bytes.Equal(sum[:], want) {
			t.Errorf("hello %d: %d blocks, first %x", checked, len(blocks), sum)
		}
		conn.in.Write(blocks[0])
		var room Block
		if got, err := c.ReadHello(&room); err != nil || !bytes.Equal(got, content) {
			t.Errorf("hello %d: %v", checked, err)
		}
		checked++
	}
	for _, s := range v.Server {
		check(s.Content, s.SHA256)
	}
	for _, c := range v.Client {
		for i := range c.Content {
			check(c.Content[i], c.SHA256[i])
		}
	}
	t.Logf("checked %d cases", checked)
}

// TestVectorSession builds the three blocks each way that follow a handshake: PING, two PING, PING, and PONG as often.
func TestVectorSession(t *testing.T) {
	var v handshakeVectors
	vectors.Load(t, "smp/handshake.json", &v)
	s := v.Session
	var encryption struct {
		Secret vectors.Hex `json:"shared_secret"`
		Client string      `json:"client_private"`
		Server string      `json:"server_private"`
	}
	vectors.Load(t, "smp/block_encryption.json", &encryption)
	if s.ClientKey != encryption.Client || s.ServerKey != encryption.Server {
		t.Fatal("the vectors have other keys")
	}
	relaySend, relayRecv, clientSend, clientRecv := chains(encryption.Secret, s.SessionID)
	relayConn, clientConn := new(memory), new(memory)
	relay, client := NewBlockConn(relayConn), NewBlockConn(clientConn)
	relay.Encrypt(relaySend, relayRecv)
	client.Encrypt(clientSend, clientRecv)
	var sent, answered [][]byte
	for _, ids := range [][]vectors.Hex{s.CorrIDs[:1], s.CorrIDs[1:3], s.CorrIDs[3:]} {
		var ping, pong wire.Packer
		ping.Reset(nil)
		pong.Reset(nil)
		for _, id := range ids {
			ping.Add(wire.AppendTransmission(nil, s.Version, false, nil, nil, nil, wire.AppendSigned(nil, id, nil, []byte("PING"))))
			pong.Add(append(wire.AppendResponseHeader(nil, s.Version, nil, id, nil), "PONG"...))
		}
		if err := errors.Join(client.WriteBlock(ping.Payload()), relay.WriteBlock(pong.Payload())); err != nil {
			t.Fatal(err)
		}
		sent = append(sent, bytes.Clone(ping.Payload()))
		answered = append(answered, bytes.Clone(pong.Payload()))
	}
	toRelay, toClient := clientConn.written(t), relayConn.written(t)
	if !bytes.Equal(toRelay[0], s.First) || !bytes.Equal(toClient[0], s.FirstBack) {
		t.Error("first blocks differ")
	}
	var room Block
	for i := range toRelay {
		if sum := sha256.Sum256(toRelay[i]); !bytes.Equal(sum[:], s.ClientBlocks[i].SHA256) {
			t.Errorf("client block %d: %x", i, sum)
		}
		if sum := sha256.Sum256(toClient[i]); !bytes.Equal(sum[:], s.ServerBlocks[i].SHA256) {
			t.Errorf("server block %d: %x", i, sum)
		}
		relayConn.in.Write(toRelay[i])
		clientConn.in.Write(toClient[i])
		if got, err := relay.ReadBlock(&room); err != nil || !bytes.Equal(got, sent[i]) {
			t.Errorf("client block %d: %v", i, err)
		}
		if got, err := client.ReadBlock(&room); err != nil || !bytes.Equal(got, answered[i]) {
			t.Errorf("server block %d: %v", i, err)
		}
	}
	t.Logf("checked %d cases", 2*len(toRelay))
}

// TestMalformedPadding is a block that decrypts but does not unpad, sealed with the key that the vectors give for the
// first block of a client.
func TestMalformedPadding(t *testing.T) {
	var v struct {
		SessionID vectors.Hex `json:"session_id"`
		Secret    vectors.Hex `json:"shared_secret"`
		ToServer  []struct {
			Key   vectors.Hex `json:"key"`
			Nonce vectors.Hex `json:"nonce"`
		} `json:"client_to_server"`
	}
	vectors.Load(t, "smp/block_encryption.json", &v)
	send, recv, clientSend, clientRecv := chains(v.Secret, v.SessionID)
	relayConn, clientConn := new(memory), new(memory)
	relay, client := NewBlockConn(relayConn), NewBlockConn(clientConn)
	relay.Encrypt(send, recv)
	client.Encrypt(clientSend, clientRecv)
	if err := errors.Join(client.WriteBlock([]byte("first")), client.WriteBlock([]byte("second"))); err != nil {
		t.Fatal(err)
	}
	blocks := clientConn.written(t)
	first := v.ToServer[0]
	nonce, key := [24]byte(first.Nonce), [32]byte(first.Key)
	content, ok := box.Open(nil, blocks[0], &nonce, &key)
	if !ok {
		t.Fatal("another key than in the vectors")
	}
	content[0] = 0xff // a length beyond the block
	relayConn.in.Write(box.Seal(nil, content, &nonce, &key))
	relayConn.in.Write(blocks[1])
	checkReads(t, relay, "", "second")
}
