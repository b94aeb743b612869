package smp_test

import (
	"bytes"
	"fmt"
	"reflect"
	"testing"

	"sotto/shared/box"
	"sotto/shared/internal/vectors"
	"sotto/shared/smp"
	"sotto/shared/wire"
)

type messageVectors struct {
	SharedSecret vectors.Hex `json:"shared_secret"`
	Cases        []struct {
		Body           string      `json:"body"` // hex, or "16048 times 'm'"
		BodyLength     int         `json:"body_length"`
		Encrypted      int         `json:"encrypted_length"`
		EncryptedSum   string      `json:"encrypted_sha256"`
		EncryptedStart vectors.Hex `json:"encrypted_start"`
		MessageID      vectors.Hex `json:"message_id"`
		Notify         bool        `json:"notification_flag"`
		PlainLength    int         `json:"plain_length"`
		PlainStart     vectors.Hex `json:"plain_start"`
		Timestamp      int64       `json:"timestamp"`
	} `json:"cases"`
	Full struct {
		Body      vectors.Hex `json:"body"`
		Encrypted vectors.Hex `json:"encrypted"`
		MessageID vectors.Hex `json:"message_id"`
		Notify    bool        `json:"notification_flag"`
		Timestamp int64       `json:"timestamp"`
	} `json:"full_example"`
	Notification struct {
		SharedSecret vectors.Hex `json:"shared_secret"`
		Cases        []struct {
			Encrypted vectors.Hex `json:"encrypted"`
			MessageID vectors.Hex `json:"message_id"`
			NMSG      vectors.Hex `json:"nmsg_response"`
			Nonce     vectors.Hex `json:"nonce"`
			Padded    int         `json:"padded_length"`
			Plain     vectors.Hex `json:"plain"`
			Timestamp int64       `json:"timestamp"`
		} `json:"cases"`
	} `json:"notification"`
	Quota struct {
		Encrypted      int         `json:"encrypted_length"`
		EncryptedSum   string      `json:"encrypted_sha256"`
		EncryptedStart vectors.Hex `json:"encrypted_start"`
		MessageID      vectors.Hex `json:"message_id"`
		Plain          vectors.Hex `json:"plain"`
		Timestamp      int64       `json:"timestamp"`
	} `json:"quota_message"`
}

func loadMessages(t testing.TB) messageVectors {
	t.Helper()
	var all messageVectors
	vectors.Load(t, "smp/message_encryption.json", &all)
	return all
}

// messageBody decodes hex or the description of a repeated character.
func messageBody(t testing.TB, s string) []byte {
	t.Helper()
	var n int
	var c rune
	if _, err := fmt.Sscanf(s, "%d times '%c'", &n, &c); err == nil {
		return bytes.Repeat([]byte{byte(c)}, n)
	}
	return unhex(t, s)
}

// sealMessage encrypts a plain body of MSG.
func sealMessage(t testing.TB, secret, messageID, plain []byte) []byte {
	t.Helper()
	nonce := box.NonceFrom(messageID)
	sealed, err := box.SealPadded(nil, plain, &nonce, (*[32]byte)(secret), smp.PaddedBodySize)
	if err != nil {
		t.Fatal(err)
	}
	if len(sealed) != smp.EncryptedBodySize {
		t.Errorf("%d bytes encrypted", len(sealed))
	}
	return sealed
}

func TestMessageVectors(t *testing.T) {
	all := loadMessages(t)
	for _, c := range all.Cases {
		body := messageBody(t, c.Body)
		plain := smp.AppendReceived(nil, c.Timestamp, c.Notify, body)
		if len(body) != c.BodyLength || len(plain) != c.PlainLength || !bytes.HasPrefix(plain, c.PlainStart) {
			t.Errorf("plain body of %d bytes: %x", len(plain), plain[:min(len(plain), 64)])
		}
		got, err := smp.ParseReceived(plain)
		want := smp.Received{Time: c.Timestamp, Notify: c.Notify, Body: body}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("parsed: %v, %v", got, err)
		}
		sealed := sealMessage(t, all.SharedSecret, c.MessageID, plain)
		if len(sealed) != c.Encrypted || sum(sealed) != c.EncryptedSum || !bytes.HasPrefix(sealed, c.EncryptedStart) {
			t.Errorf("encrypted body of %d bytes differs", len(body))
		}
		for n := range min(len(plain), 10) {
			if _, err := smp.ParseReceived(plain[:n]); err != wire.ErrSyntax {
				t.Errorf("first %d bytes: %v", n, err)
			}
		}
	}
	full := all.Full
	plain := smp.AppendReceived(nil, full.Timestamp, full.Notify, full.Body)
	checkBytes(t, "full example", sealMessage(t, all.SharedSecret, full.MessageID, plain), full.Encrypted)
	t.Logf("checked %d cases and the full example", len(all.Cases))
}

func TestQuotaVector(t *testing.T) {
	all := loadMessages(t)
	c := all.Quota
	plain := smp.AppendQuota(nil, c.Timestamp)
	checkBytes(t, "plain", plain, c.Plain)
	if got, err := smp.ParseReceived(plain); err != nil || !reflect.DeepEqual(got, smp.Received{Quota: true, Time: c.Timestamp}) {
		t.Errorf("parsed: %v, %v", got, err)
	}
	sealed := sealMessage(t, all.SharedSecret, c.MessageID, plain)
	if len(sealed) != c.Encrypted || sum(sealed) != c.EncryptedSum || !bytes.HasPrefix(sealed, c.EncryptedStart) {
		t.Error("encrypted marker differs")
	}
	for n := range plain {
		if _, err := smp.ParseReceived(plain[:n]); err != wire.ErrSyntax {
			t.Errorf("first %d bytes: %v", n, err)
		}
	}
	if _, err := smp.ParseReceived(append(plain, 'x')); err != wire.ErrSyntax {
		t.Errorf("byte after the marker: %v", err)
	}
	t.Log("checked 1 case")
}

// TestReservedFlags: flags of the future are accepted and ignored.
func TestReservedFlags(t *testing.T) {
	got, err := smp.ParseReceived([]byte("\x00\x00\x00\x00\x00\x00\x00\x01Tabcdef body"))
	if err != nil || !reflect.DeepEqual(got, smp.Received{Time: 1, Notify: true, Body: smp.Opaque("body")}) {
		t.Errorf("%v, %v", got, err)
	}
}

func TestNotificationVectors(t *testing.T) {
	all := loadMessages(t)
	for _, c := range all.Notification.Cases {
		meta := smp.NotificationMeta{MessageID: smp.MessageID(c.MessageID), Time: c.Timestamp}
		plain := meta.AppendTo(nil)
		checkBytes(t, "meta", plain, c.Plain)
		for _, in := range [][]byte{plain, append(plain[:len(plain):len(plain)], "later versions"...)} {
			if got, err := smp.ParseNotificationMeta(in); err != nil || !reflect.DeepEqual(got, meta) {
				t.Errorf("parsed: %v, %v", got, err)
			}
		}
		for n := range plain {
			if _, err := smp.ParseNotificationMeta(plain[:n]); err != wire.ErrSyntax {
				t.Errorf("first %d bytes: %v", n, err)
			}
		}
		sealed, err := box.SealPadded(
			nil, plain, (*[24]byte)(c.Nonce), (*[32]byte)(all.Notification.SharedSecret), smp.PaddedMetaSize)
		if err != nil || c.Padded != smp.PaddedMetaSize || len(sealed) != smp.EncryptedMetaSize {
			t.Errorf("%d bytes encrypted, %v", len(sealed), err)
		}
		checkBytes(t, "encrypted", sealed, c.Encrypted)
		event := smp.NMSG{Nonce: [24]byte(c.Nonce), EncryptedMeta: sealed}
		checkBytes(t, "NMSG", event.AppendResponse(nil, smp.MaxVersion), c.NMSG)
		if got, err := smp.ParseResponse(smp.MaxVersion, c.NMSG); err != nil || !reflect.DeepEqual(got, smp.Response(event)) {
			t.Errorf("parsed: %v, %v", got, err)
		}
	}
	t.Logf("checked %d cases", len(all.Notification.Cases))
}

func TestMaxBody(t *testing.T) {
	for v := wire.Version(0); v <= smp.MaxVersion+1; v++ {
		want := 16088
		switch {
		case v >= 11:
			want = 16048
		case v >= 8:
			want = 16064
		}
		if got := smp.MaxBody(v); got != want {
			t.Errorf("v%d: %d, want %d", v, got, want)
		}
	}
	// The longest body of the oldest version fills the padded size: 2 for the length, 8 + 1 + 1 before the body.
	if smp.MaxBody(smp.MinVersion)+12 > smp.PaddedBodySize {
		t.Error("the longest body does not fit")
	}
}
