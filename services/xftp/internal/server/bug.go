package server

import (
	"net/http"

	"sotto/shared/logging"
)

// recoverBug keeps a broken invariant in one request from ending the others: its connection is closed, and the first
// such failure of a connection is reported.
func (c *conn) recoverBug() {
	p := recover()
	if p == nil {
		return
	}
	c.abort()
	if p != http.ErrAbortHandler {
		c.bug.Do(func() { logging.Panic(c.srv.log, p) })
	}
}
