package transport

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"sotto/shared/box"
	"sotto/shared/tls13"
	"sotto/shared/wire"
)

// ErrBlock is returned for a block that does not decrypt or unpad. The connection goes on after it: the block was
// read as a whole, and the receiving chain has advanced.
//
// Spec: smp.md 5.1
var ErrBlock = errors.New("transport: malformed block")

// The largest payloads of a block.
//
// Spec: smp.md 5.1
const (
	MaxPlainPayload     = wire.BlockSize - 2
	MaxEncryptedPayload = wire.BlockSize - wire.TagSize - 2
)

// storage holds a block. All connections share the pool, so that the memory for blocks follows the number of blocks
// in work, not the number of connections.
type storage [wire.BlockSize]byte

var storages = sync.Pool{New: func() any { return new(storage) }}

// Block is the room for one received block. Its zero value is ready and holds no memory; reading takes some from a
// shared pool when the first byte of a block arrives.
type Block struct {
	held *storage
}

// Release gives the memory back. The payload read into the block must not be used any more.
func (b *Block) Release() {
	if b.held != nil {
		storages.Put(b.held)
		b.held = nil
	}
}

// BlockConn sends and receives blocks of 16384 bytes, padded, and encrypted once [BlockConn.Encrypt] was called.
// One goroutine may read while others write.
//
// Spec: smp.md 5.1
type BlockConn struct {
	conn net.Conn

	// Of the reading goroutine.
	first    [1]byte
	recv     box.Chain
	opening  bool
	patience time.Duration // for the rest of a block; 0: for ever
	begun    bool          // a block has begun

	reading  sync.Mutex // held over changing the connection's read deadline
	deadline time.Time  // the caller's, which patience shortens within a block

	mu      sync.Mutex // held over advancing send and writing the block
	send    box.Chain
	sealing bool
	failed  error // of the first write that failed: the peer's chain no longer agrees
}

// NewBlockConn returns conn as a connection of blocks, not encrypted beyond what conn does.
func NewBlockConn(conn net.Conn) *BlockConn {
	return &BlockConn{conn: conn}
}

// Encrypt turns on block encryption in both directions, from the next block on. It is called once, after the hellos
// and before the connection is used from more than one goroutine.
//
// Spec: smp.md 5.4
func (c *BlockConn) Encrypt(send, recv box.Chain) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.send, c.sealing = send, true
	c.recv, c.opening = recv, true
}

// SetPatience bounds how long a block may take from its first byte to its last, so that a peer which stops in the
// middle of one does not hold the memory for it. Read deadlines then have to be set with [BlockConn.SetReadDeadline],
// not on the connection beneath. It is called before the connection is read from.
//
// The first byte comes out of TLS when its record is whole, and a record is as long as a block; so the same goes for
// records.
func (c *BlockConn) SetPatience(d time.Duration) {
	c.patience = d
	if conn, ok := c.conn.(*tls13.Conn); ok {
		conn.Watch(records{c})
	}
}

// records bounds the time of a record that comes between blocks. Those within a block are under its bound.
type records struct{ *BlockConn }

// Begun is told when there is a buffer for a record.
func (r records) Begun() {
	if !r.begun && r.patience > 0 {
		r.hurry() // fails only if the connection has failed, which reading the record will see
	}
}

// Whole is told when the record has come.
func (r records) Whole() {
	if !r.begun && r.patience > 0 {
		r.relax()
	}
}

// ReadBlock reads the next block into b and returns its payload, a view into b that is valid until b is released or
// read into again. While no block arrives, a released b holds no memory. The error is [ErrBlock] for a malformed
// block, after which reading goes on; any other ends the connection, also a missed deadline, and [io.EOF] says that it
// ended between blocks.
//
// Spec: smp.md 5.1
func (c *BlockConn) ReadBlock(b *Block) ([]byte, error) {
	return c.read(b, c.opening)
}

// ReadHello reads a block of the handshake, which is never encrypted. Otherwise it is ReadBlock.
//
// Spec: smp.md 4
func (c *BlockConn) ReadHello(b *Block) ([]byte, error) {
	return c.read(b, false)
}

func (c *BlockConn) read(b *Block, sealed bool) ([]byte, error) {
	if _, err := io.ReadFull(c.conn, c.first[:]); err != nil {
		c.recv.Wipe()
		return nil, err
	}
	if c.patience > 0 {
		if err := c.hurry(); err != nil {
			return nil, err
		}
		c.begun = true
		defer func() {
			c.begun = false
			c.relax()
		}()
	}
	if b.held == nil {
		b.held = storages.Get().(*storage)
	}
	if !sealed {
		if err := c.fill(b.held); err != nil {
			return nil, err
		}
		payload, err := wire.Unpad(b.held[:])
		if err != nil {
			return nil, ErrBlock
		}
		return payload, nil
	}
	in := storages.Get().(*storage)
	defer storages.Put(in)
	if err := c.fill(in); err != nil {
		return nil, err
	}
	payload, err := c.recv.Open(b.held[:0], in[:])
	if err != nil {
		return nil, ErrBlock
	}
	return payload, nil
}

// fill reads a block whose first byte has been read.
func (c *BlockConn) fill(s *storage) error {
	s[0] = c.first[0]
	_, err := io.ReadFull(c.conn, s[1:])
	if err != nil {
		c.recv.Wipe()
	}
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// hurry bounds the rest of a block, which the caller's deadline may end sooner.
func (c *BlockConn) hurry() error {
	c.reading.Lock()
	defer c.reading.Unlock()
	end := time.Now().Add(c.patience)
	if !c.deadline.IsZero() && c.deadline.Before(end) {
		return nil // it is in force
	}
	return c.conn.SetReadDeadline(end)
}

// relax puts the caller's deadline back in force, also one that was set while the block was read.
func (c *BlockConn) relax() {
	c.reading.Lock()
	defer c.reading.Unlock()
	c.conn.SetReadDeadline(c.deadline) // fails only if the connection has failed, which the next read will see
}

// WriteBlock sends payload as one block. It returns [wire.ErrTooLong], and sends nothing, if payload exceeds
// [MaxPlainPayload] or, with encryption, [MaxEncryptedPayload]. Any other error ends the connection for writing: all
// later calls return it too.
//
// Spec: smp.md 5.1
func (c *BlockConn) WriteBlock(payload []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.write(payload, c.sealing)
}

// WriteHello sends a block of the handshake, which is never encrypted. Otherwise it is WriteBlock.
//
// Spec: smp.md 4
func (c *BlockConn) WriteHello(payload []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.write(payload, false)
}

// write sends a block, under mu.
func (c *BlockConn) write(payload []byte, sealed bool) error {
	if c.failed != nil {
		return c.failed
	}
	if len(payload) > MaxPlainPayload || sealed && len(payload) > MaxEncryptedPayload {
		return wire.ErrTooLong
	}
	out := storages.Get().(*storage)
	defer storages.Put(out)
	var err error
	if sealed {
		err = c.send.Seal(out[:], payload)
	} else {
		err = wire.Pad(out[:], payload)
	}
	if err == nil {
		_, err = c.conn.Write(out[:])
	}
	if err != nil {
		c.failed = err
		c.send.Wipe()
	}
	return err
}

// SetReadDeadline bounds the read in progress and later ones; the zero time removes the bound.
// It may be called from any goroutine; a time that has passed ends reading at once.
func (c *BlockConn) SetReadDeadline(t time.Time) error {
	c.reading.Lock()
	defer c.reading.Unlock()
	c.deadline = t
	return c.conn.SetReadDeadline(t)
}

// SetWriteDeadline bounds the write in progress and later ones. A write that misses it ends the connection for
// writing.
func (c *BlockConn) SetWriteDeadline(t time.Time) error {
	return c.conn.SetWriteDeadline(t)
}

// Close closes the connection, which ends reads and writes in progress, and forgets the sending chain. It may be
// called more than once, and from any goroutine.
func (c *BlockConn) Close() error {
	err := c.conn.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.send.Wipe()
	if c.failed == nil {
		c.failed = net.ErrClosed
	}
	return err
}
