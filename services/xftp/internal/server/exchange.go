package server

import (
	"bytes"
	"io"
	"net/http"
	"sync"
	"time"

	"sotto/shared/wire"
	"sotto/shared/xftp"
)

// exchange is one request and its answer.
type exchange struct {
	c    *conn
	w    http.ResponseWriter
	r    *http.Request
	body body

	waiting bool // counted by the gate
	head    []byte
	block   *[xftp.BlockSize]byte // what head lies in

	// Of the command, copied out of the head.
	corrID   wire.CorrID
	entityID wire.EntityID
	version  wire.Version

	download *download // follows the block of the answer
}

var blockPool = sync.Pool{New: func() any { return new([xftp.BlockSize]byte) }}

// newExchange begins an exchange. The whole request has to arrive within the time for an upload.
//
// Spec: xftp.md 8.5
func newExchange(c *conn, w http.ResponseWriter, r *http.Request) *exchange {
	x := &exchange{c: c, w: w, r: r, waiting: true}
	x.body = body{c: c, r: r.Body, left: c.srv.most, stall: stall{c: c, limit: c.srv.cfg.StallTimeout}}
	c.gate.begin()
	if limit := c.srv.cfg.UploadTimeout; limit > 0 && r.ContentLength != 0 {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(limit)) // always possible
	}
	return x
}

// release ends an exchange, however far it got.
func (x *exchange) release() {
	if x.download != nil {
		x.download.close()
	}
	x.releaseHead()
	x.received()
}

// received tells the gate that no more of the request is wanted.
func (x *exchange) received() {
	if x.waiting {
		x.waiting = false
		x.c.gate.end()
	}
}

// serve answers the request.
//
// Spec: xftp.md 5.5
func (x *exchange) serve() {
	switch {
	case x.c.web && x.r.Method == http.MethodOptions:
		x.preflight()
	case x.c.web && (x.r.Method == http.MethodGet || x.r.Method == http.MethodHead):
		x.page()
	case !x.readHead():
		x.leave()
	case x.c.version1():
		x.command(xftp.Version1, nil)
	case x.c.silentALPN():
		x.answer(nil)
	default:
		x.shakeHands()
	}
}

// readHead reads the first block of the body, or as much of it as there is. It reports whether the client is still there.
//
// Spec: xftp.md 4.2
func (x *exchange) readHead() bool {
	x.block = blockPool.Get().(*[xftp.BlockSize]byte)
	n, err := io.ReadFull(&x.body, x.block[:])
	x.head = x.block[:n]
	return err == nil || err == io.EOF || (err == io.ErrUnexpectedEOF && x.body.err == io.EOF)
}

// leave gives up on a request without a head. If the client merely takes too long the connection goes too.
func (x *exchange) leave() {
	if x.body.late() {
		x.c.abort()
	}
}

// releaseHead gives back the memory of the head, which must not be used any more.
func (x *exchange) releaseHead() {
	if x.block != nil {
		blockPool.Put(x.block)
		x.block, x.head = nil, nil
	}
}

// keepIDs copies what the answer echoes, so that the head can go.
func (x *exchange) keepIDs(t xftp.Transmission) {
	x.corrID, x.entityID = bytes.Clone(t.CorrID), bytes.Clone(t.EntityID)
}
