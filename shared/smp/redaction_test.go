package smp_test

import (
	"fmt"
	"strings"
	"testing"

	"sotto/shared/smp"
	"sotto/shared/wire"
)

// TestRedaction: nothing that identifies anybody is printed, whatever the verb and however deep it is nested.
func TestRedaction(t *testing.T) {
	server, err := smp.ParseAddress("smp://c2VjcmV0:secret@secret.onion")
	if err != nil {
		t.Fatal(err)
	}
	secret := []byte("secret")
	id := wire.EntityID(secret)
	values := []any{
		smp.NEW{BasicAuth: secret, Queue: &smp.QueueRequest{}},
		smp.LinkRequest{LinkID: id, SenderID: id, FixedData: secret, UserData: secret},
		smp.LSET{LinkID: id, FixedData: secret, UserData: secret},
		smp.ACK{MessageID: secret},
		smp.SEND{Body: secret},
		smp.PRXY{Server: server, BasicAuth: secret},
		smp.PFWD{Encrypted: secret},
		smp.RFWD{Encrypted: secret},
		server, server.Hosts,
		smp.IDS{RecipientID: id, SenderID: id, LinkID: id, ServiceID: id},
		smp.LNK{SenderID: id, FixedData: secret, UserData: secret},
		smp.SOK{ServiceID: id},
		smp.MSG{MessageID: secret, EncryptedBody: secret},
		smp.NID{NotifierID: id},
		smp.NMSG{EncryptedMeta: secret},
		smp.INFO{JSON: secret},
		smp.PKEY{SessionID: id},
		smp.RRES{Encrypted: secret},
		smp.PRES{Encrypted: secret},
		smp.ForwardTransmission{CorrID: wire.CorrID(secret), Encrypted: secret},
		smp.ForwardResponse{CorrID: wire.CorrID(secret), Encrypted: secret},
		smp.Received{Body: secret},
		smp.NotificationMeta{MessageID: secret},
		smp.ServerHello{SessionID: id},
		smp.ServiceResponse{ServiceID: id},
		smp.SubscriptionInfo{Delivered: secret},
		smp.HeadInfo{MessageID: secret},
	}
	leaks := []string{"secret", "736563726574", "c2VjcmV0", "115 101 99", "163 145 143", "0x73"}
	for _, v := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o"} {
			printed := fmt.Sprintf(verb, v)
			for _, leak := range leaks {
				if strings.Contains(strings.ToLower(printed), strings.ToLower(leak)) {
					t.Errorf("%T printed with %s: %s", v, verb, printed)
				}
			}
		}
	}
	for _, m := range []interface{ MarshalText() ([]byte, error) }{
		server, server.Hosts[0], smp.Opaque(secret), smp.MessageID(secret), smp.BasicAuth(secret),
	} {
		if got, err := m.MarshalText(); err != nil || strings.Contains(string(got), "secret") {
			t.Errorf("%T: %s, %v", m, got, err)
		}
	}
}
