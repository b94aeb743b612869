package clienttest

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"io"

	"sotto/shared/auth"
	"sotto/shared/box"
	"sotto/shared/key"
	"sotto/shared/wire"
	"sotto/shared/xftp"
)

// execute does what a command says.
func (r *Relay) execute(w io.Writer, req *Request) {
	answer, body := r.do(req)
	if body == nil {
		Answer(w, req, answer)
		return
	}
	download(w, req, body)
}

// do executes a command; body is that of a download.
func (r *Relay) do(req *Request) (answer xftp.Response, body []byte) {
	t := req.Transmission
	refused := xftp.ERR{Err: xftp.ErrAuth}
	authorized := func(k key.Public) bool {
		return auth.Verify(k, req.Key, t.CorrID, t.Authorization, t.Authorized)
	}
	if _, ok := req.Command.(xftp.FPUT); ok {
		body, _ = io.ReadAll(req.Body)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch cmd := req.Command.(type) {
	case xftp.PING:
		return xftp.PONG{}, nil
	case xftp.FNEW:
		if !authorized(cmd.File.SenderKey) || r.options.Password != string(cmd.BasicAuth) {
			return refused, nil
		}
		return r.create(cmd), nil
	case xftp.FGET, xftp.FACK:
		c, k := r.byRecipient(t.EntityID)
		if c == nil || !authorized(k) {
			return refused, nil
		}
		if cmd == (xftp.FACK{}) {
			delete(c.recipients, string(t.EntityID))
			return xftp.OK{}, nil
		}
		if c.body == nil {
			return xftp.ERR{Err: xftp.ErrNoFile}, nil
		}
		return nil, c.body
	}
	c := r.chunks[string(t.EntityID)]
	if c == nil || !authorized(c.info.SenderKey) {
		return refused, nil
	}
	return r.send(c, req, body), nil
}

// send executes a command of a sender.
func (r *Relay) send(c *chunk, req *Request, body []byte) xftp.Response {
	switch cmd := req.Command.(type) {
	case xftp.FADD:
		return xftp.RIDS{RecipientIDs: c.add(cmd.Recipients)}
	case xftp.FDEL:
		r.used -= int64(len(c.body))
		delete(r.chunks, string(req.Transmission.EntityID))
		return xftp.OK{}
	}
	switch {
	case c.body != nil:
		return xftp.OK{}
	case r.options.Quota > 0 && r.used+int64(c.info.Size) > r.options.Quota:
		return xftp.ERR{Err: xftp.ErrQuota}
	case len(body) != int(c.info.Size):
		return xftp.ERR{Err: xftp.ErrSize}
	case !bytes.Equal(sum(body), c.info.Digest):
		return xftp.ERR{Err: xftp.ErrDigest}
	}
	c.body = body
	r.used += int64(len(body))
	return xftp.OK{}
}

func (r *Relay) create(cmd xftp.FNEW) xftp.Response {
	c := &chunk{info: cmd.File, recipients: make(map[string]key.Public)}
	c.info.Digest = bytes.Clone(cmd.File.Digest)
	id := newID()
	r.chunks[string(id)] = c
	return xftp.SIDS{SenderID: id, RecipientIDs: c.add(cmd.Recipients)}
}

func (c *chunk) add(keys []key.Public) []wire.EntityID {
	var ids []wire.EntityID
	for _, k := range keys {
		id := newID()
		c.recipients[string(id)] = k
		ids = append(ids, id)
	}
	return ids
}

func (r *Relay) byRecipient(id wire.EntityID) (*chunk, key.Public) {
	for _, c := range r.chunks {
		if k, ok := c.recipients[string(id)]; ok {
			return c, k
		}
	}
	return nil, key.Public{}
}

func newID() wire.EntityID {
	id := make([]byte, xftp.IDSize)
	_, _ = rand.Read(id)
	return id
}

// download answers FGET with this body.
func download(w io.Writer, req *Request, body []byte) {
	file, sealed := Seal(req, body)
	Answer(w, req, file)
	_, _ = w.Write(sealed)
}

// Seal encrypts a body for the client that asked for it: the answer, and what follows it with the tag.
func Seal(req *Request, body []byte) (xftp.FILE, []byte) {
	private, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return xftp.FILE{}, nil
	}
	var file xftp.FILE
	_, _ = rand.Read(file.Nonce[:])
	file.Key, _ = key.FromECDH(private.PublicKey())
	secret, err := box.DH(req.Command.(xftp.FGET).Key, private)
	if err != nil {
		return xftp.FILE{}, nil
	}
	// The box has its tag in front.
	sealed := box.Seal(nil, body, &file.Nonce, &secret)
	return file, append(sealed[box.Overhead:len(sealed):len(sealed)], sealed[:box.Overhead]...)
}
