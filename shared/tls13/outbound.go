package tls13

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// outbound is the direction to the peer. Write holds its lock, and Read when it sends an alert.
type outbound struct {
	sync.Mutex
	half
	limit  uint64      // records after which keys are changed: maxRecords, less in tests
	due    atomic.Bool // the peer has asked for new keys
	ask    atomic.Bool // the peer's keys have got old
	closed bool        // close_notify was sent
	err    error       // that ended this direction
}

// send writes content as one record. An error is for good: the peer may have had part of the record.
func (out *outbound) send(raw net.Conn, kind byte, content []byte) error {
	buf := takeBuffer()
	defer buf.release()
	_, err := raw.Write(out.append(buf[:0], kind, content))
	if err != nil {
		out.stop(err)
	}
	return err
}

// refresh changes the keys if that is due: because the peer has asked, however often, or because they have got old.
//
// Source: RFC 8446 4.6.3
func (out *outbound) refresh(raw net.Conn) error {
	ask := out.ask.Load()
	if !out.due.Load() && !ask && out.seq < out.limit {
		return nil
	}
	out.due.Store(false)
	out.ask.Store(false)
	if err := out.send(raw, recordHandshake, marshalKeyUpdate(ask)); err != nil {
		return err
	}
	out.update()
	return nil
}

// ready tells why nothing can be written.
func (out *outbound) ready() error {
	if out.err == nil && out.closed {
		return ErrWriteClosed
	}
	return out.err
}

// stop ends this direction.
func (out *outbound) stop(err error) {
	if out.err == nil {
		out.err = err
	}
	out.wipe()
}

// farewell sends close_notify, once.
//
// Source: RFC 8446 6.1
func (out *outbound) farewell(raw net.Conn) error {
	if out.err != nil || out.closed {
		return out.err
	}
	out.closed = true
	return out.send(raw, recordAlert, []byte{alertWarning, byte(alertCloseNotify)})
}

// The levels of alerts, which mean nothing any more.
//
// Source: RFC 8446 6
const (
	alertWarning = 1
	alertFatal   = 2
)

// report tells the peer why the connection ends, if it is one's own error and nobody is writing. After it nothing is sent.
func (out *outbound) report(raw net.Conn, err error) {
	alert, ok := alertOf(err)
	if !ok || !out.TryLock() {
		return
	}
	defer out.Unlock()
	if out.err != nil || out.closed {
		return
	}
	raw.SetWriteDeadline(time.Now().Add(farewellTimeout))
	out.send(raw, recordAlert, []byte{alertFatal, byte(alert)})
	out.stop(err)
}
