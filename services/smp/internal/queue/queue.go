// Package queue has the nouns of the message relay: queue, message, link, notifier and the errors that stores
// return for them. It does no I/O.
package queue

import (
	"errors"
	"fmt"
	"io"
	"time"

	"sotto/shared/key"
)

// Errors that every store returns, wrapped or not, for these outcomes.
var (
	// ErrNotFound: no such queue, or it was deleted meanwhile.
	ErrNotFound = errors.New("queue not found")
	// ErrExists: an id of a new queue, notifier or link is taken.
	ErrExists = errors.New("id exists")
	// ErrSecured: the queue has another sender key already.
	ErrSecured = errors.New("queue is secured with another key")
	// ErrQuota: the queue is full; the message was not stored.
	ErrQuota = errors.New("queue is full")
	// ErrFull: there are as many services as there may be.
	ErrFull = errors.New("too many services")
	// ErrUnavailable: the store did not answer within its bound.
	ErrUnavailable = errors.New("store is unavailable")
)

// IDSize is the length of all ids that the relay generates. Spec: smp.md 2.8.
const IDSize = 24

// ID is a recipient, sender, notifier or link id: 24 bytes. It never prints itself.
type ID [IDSize]byte

// Format keeps ids out of logs and errors, whatever the verb.
func (ID) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[entity]") }

// MarshalText keeps ids out of JSON and logs.
func (ID) MarshalText() ([]byte, error) { return []byte("[entity]"), nil }

// IsZero reports whether id is no id.
func (id ID) IsZero() bool { return id == ID{} }

// ParseID returns the id in b; false when b has another length, in which case no queue can have it.
func ParseID(b []byte) (ID, bool) {
	if len(b) != IDSize {
		return ID{}, false
	}
	return ID(b), true
}

// Ref is the store's private row number of a queue, unique over the store's whole life.
type Ref int64

// Mode is the queue mode. Spec: smp.md 8.1.
type Mode byte

// Queue modes. ModeNone only for queues created below version 9.
const (
	ModeNone      Mode = 0
	ModeMessaging Mode = 'M'
	ModeContact   Mode = 'C'
)

// Status of a queue. Spec: smp.md 8.3.
type Status byte

// Queue statuses.
const (
	Active  Status = 'A'
	Off     Status = 'O'
	Blocked Status = 'B'
)

// Secret is a 32 byte shared secret that never prints itself.
type Secret [32]byte

// Format keeps secrets out of logs and errors, whatever the verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[secret]") }

// MarshalText keeps secrets out of JSON and logs.
func (Secret) MarshalText() ([]byte, error) { return []byte("[secret]"), nil }

// Link is a queue's short link data. Spec: smp.md 9.12.
type Link struct {
	ID        ID
	FixedData []byte
	UserData  []byte
}

// Notifier is what a queue has for notifications: whom to tell that a message came, and how. Spec: smp.md 9.8.
type Notifier struct {
	ID       ID
	Key      key.Public // authorizes NSUB
	DHSecret Secret     // rcvNtfDhSecret
	Service  ID         // the service that subscribed to it; zero: none
}

// MaxServices bounds how many are stored, at some 2 KB each: whoever makes a certificate can be one, and there are few
// that anybody needs.
const MaxServices = 10000

// Service is a client that connects with a certificate, known by its fingerprint. Spec: smp.md 4.5.
type Service struct {
	ID          ID
	Role        byte     // as in the client's hello
	Fingerprint [32]byte // SHA-256 of the identity certificate
	Chain       [][]byte // DER, leaf first
	CreatedDay  int64    // days since the Unix epoch
}

// Queue is one queue's record, without its messages. Records that a store returns are shared and must not be
// changed. Spec: smp.md 8.1.
type Queue struct {
	Ref           Ref
	RecipientID   ID
	SenderID      ID
	RecipientKeys []key.Public
	DHSecret      Secret     // rcvDhSecret
	SenderKey     key.Public // zero: not secured
	Mode          Mode
	Status        Status
	Blocking      Blocking // when Status is Blocked
	LinkID        ID       // when HasLink; the data itself is read apart
	HasLink       bool
	Notifier      *Notifier
	Service       ID    // the messaging service that created it; zero: none
	UpdatedDay    int64 // days since the Unix epoch of the last use
}

// Secured reports whether the queue has a sender key.
func (q *Queue) Secured() bool { return !q.SenderKey.IsZero() }

// MessageID is a message's random id, also the nonce of its encryption: 24 bytes.
type MessageID [24]byte

// Format keeps message ids out of logs and errors, whatever the verb.
func (MessageID) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[message]") }

// MarshalText keeps message ids out of JSON and logs.
func (MessageID) MarshalText() ([]byte, error) { return []byte("[message]"), nil }

// Message is one entry of a queue: a message, or the quota marker. Messages are immutable once built; Body may be
// shared between the store, the hub and connections. Spec: smp.md 8.4.
type Message struct {
	ID     MessageID
	Time   time.Time // when the relay accepted it
	Notify bool
	Quota  bool // the marker: Notify and Body are empty
	Body   []byte
}

// Format prints no part of a message.
func (*Message) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[message]") }

// Day returns t in whole days since the Unix epoch.
func Day(t time.Time) int64 { return t.Unix() / 86400 }
