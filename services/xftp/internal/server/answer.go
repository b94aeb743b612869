package server

import (
	"net/http"

	"sotto/shared/xftp"
)

// begin makes the answer's headers ready, once the request was read to its end. It reports whether there is somebody to
// answer. Protocol answers have no headers but those that let pages of any origin read them.
//
// Spec: xftp.md 4.3
// Spec: xftp.md 4.4
func (x *exchange) begin() bool {
	there := x.body.drain()
	x.releaseHead()
	x.received()
	h := x.w.Header()
	// With these net/http adds none of its own.
	h["Date"], h["Content-Type"], h["Content-Length"] = nil, nil, nil
	if x.c.web {
		h["Access-Control-Allow-Origin"] = []string{"*"}
		h["Access-Control-Expose-Headers"] = []string{"*"}
	}
	return there
}

// answer sends a block, or an empty body for nil, and after it the chunk of a download.
//
// Spec: xftp.md 4.3
func (x *exchange) answer(block *[xftp.BlockSize]byte) {
	if !x.begin() {
		return
	}
	x.w.WriteHeader(http.StatusOK)
	if block == nil {
		return
	}
	if there := x.write(block[:]) == nil; x.download != nil {
		x.c.srv.count.download(there && x.download.send(x))
	}
}

// write sends bytes of the answer. A client that takes none of them for too long is disconnected.
func (x *exchange) write(p []byte) error {
	x.body.stall.begin(&x.c.gate.sent)
	defer x.body.stall.end()
	_, err := x.w.Write(p)
	return err
}

// answerWord sends a bare error of the handshake.
//
// Spec: xftp.md 5.2
func (x *exchange) answerWord(e xftp.ErrorCode) {
	block := blockPool.Get().(*[xftp.BlockSize]byte)
	defer blockPool.Put(block)
	xftp.PutWord(block, e)
	x.answer(block)
}

// respond sends the response to a command.
//
// Spec: xftp.md 6
func (x *exchange) respond(r xftp.Response) {
	block := blockPool.Get().(*[xftp.BlockSize]byte)
	defer blockPool.Put(block)
	xftp.PutResponse(block, x.version, x.c.session.ID, x.corrID, x.entityID, r)
	x.answer(block)
}

// preflight tells a browser that pages of any origin may make requests.
//
// Spec: xftp.md 4.4
func (x *exchange) preflight() {
	if !x.begin() {
		return
	}
	h := x.w.Header()
	delete(h, "Access-Control-Expose-Headers")
	h["Access-Control-Allow-Methods"] = []string{"POST, OPTIONS"}
	h["Access-Control-Allow-Headers"] = []string{"*"}
	h["Access-Control-Max-Age"] = []string{"86400"}
	x.w.WriteHeader(http.StatusOK)
}

// page lets the pages' own handler answer.
//
// Spec: xftp.md 4.5
func (x *exchange) page() {
	if !x.begin() {
		return
	}
	if x.c.srv.cfg.Pages == nil {
		x.w.WriteHeader(http.StatusNotFound)
		return
	}
	h := x.w.Header()
	delete(h, "Date")
	delete(h, "Content-Type")
	delete(h, "Content-Length")
	x.r.Body = http.NoBody
	x.c.srv.cfg.Pages.ServeHTTP(x.w, x.r)
}
