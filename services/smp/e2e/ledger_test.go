package e2e

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
)

// ledger follows one direction of a conversation: what its sender was promised, and what its recipient has seen.
type ledger struct {
	name    string
	seed    uint64 // of the bodies
	total   int
	largest int // body in bytes

	mu           sync.Mutex
	confirmed    int                 // messages, from the first, whose SEND was answered with OK
	sends        int                 // SENDs, with their repetitions
	received     int                 // messages, from the first, that arrived
	deliveries   int                 // MSGs, with their repetitions
	acknowledged map[string]struct{} // ids of messages whose ACK was answered with OK or the next message
	lastAcked    int                 // number of the last of them, -1 before
	faults       []string
}

func newLedger(name string, seed uint64, total, largest int) *ledger {
	return &ledger{
		name: name, seed: seed, total: total, largest: largest, acknowledged: make(map[string]struct{}), lastAcked: -1,
	}
}

// headerSize is the part of a body that says which message it is.
const headerSize = 16

// body makes message n: a header, and a length and content that follow from it. Some are as long as is allowed, some
// as short as can be told apart.
func (l *ledger) body(n int) []byte {
	r := rand.New(rand.NewPCG(l.seed, uint64(n)))
	size := headerSize + r.IntN(2000)
	switch n % 8 {
	case 3:
		size = l.largest
	case 6:
		size = headerSize
	}
	b := make([]byte, size)
	binary.BigEndian.PutUint64(b, l.seed)
	binary.BigEndian.PutUint64(b[8:], uint64(n))
	for i := headerSize; i < size; i++ {
		b[i] = byte(r.Uint32())
	}
	return b
}

// next returns the number of the message to be sent, false when all are.
func (l *ledger) next() (int, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.confirmed, l.confirmed < l.total
}

func (l *ledger) sending() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sends++
}

// confirm notes that the SEND of the next message was answered with OK.
func (l *ledger) confirm() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.confirmed++
}

// receive notes a delivery, and returns the number of the message. A sender goes on to the next message only when it
// knows that this one is stored, so each is the last one received or the one after it.
func (l *ledger) receive(id string, body []byte) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.deliveries++
	if len(body) < headerSize || binary.BigEndian.Uint64(body) != l.seed {
		l.fault("a message that nobody has sent")
		return -1
	}
	n := int(binary.BigEndian.Uint64(body[8:]))
	if n < 0 || n >= l.total || !bytes.Equal(body, l.body(n)) {
		l.fault("message %d has changed", n)
	}
	if _, again := l.acknowledged[id]; again {
		l.fault("message %d was delivered again after its ACK was answered", n)
	}
	switch {
	case n == l.received:
		l.received++
	case n > l.received:
		l.fault("message %d came before message %d", n, l.received)
		l.received = n + 1
	case n < l.received-1:
		l.fault("message %d came after message %d", n, l.received-1)
	}
	return n
}

// acknowledge notes that the relay has answered the ACK of message n.
func (l *ledger) acknowledge(id string, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acknowledged[id] = struct{}{}
	l.lastAcked = n
}

// complete reports whether the last message was received and acknowledged.
func (l *ledger) complete() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lastAcked == l.total-1
}

// progress returns how many messages have arrived.
func (l *ledger) progress() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.received
}

// fault is called with the lock held.
func (l *ledger) fault(format string, args ...any) {
	const most = 20
	if len(l.faults) < most {
		l.faults = append(l.faults, fmt.Sprintf(format, args...))
	}
}

// counts are the sums of several ledgers.
type counts struct {
	accepted, sends, received, deliveries, acknowledged int
}

// check fails the test unless everything that was promised was kept, and adds to the counts.
func (l *ledger) check(t *testing.T, sum *counts) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range l.faults {
		t.Errorf("%s: %s", l.name, f)
	}
	if l.confirmed != l.total {
		t.Errorf("%s: %d of %d messages were accepted", l.name, l.confirmed, l.total)
	}
	if l.received < l.confirmed {
		t.Errorf("%s: %d messages were accepted, %d received", l.name, l.confirmed, l.received)
	}
	sum.accepted += l.confirmed
	sum.sends += l.sends
	sum.received += l.received
	sum.deliveries += l.deliveries
	sum.acknowledged += len(l.acknowledged)
}
