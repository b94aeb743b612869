package server

import (
	"crypto/ecdh"

	"sotto/shared/wire"
	"sotto/shared/xftp"
)

// command answers a request that is a command. session is the relay's key of the connection, nil without a handshake.
//
// Spec: xftp.md 6.1
func (x *exchange) command(v wire.Version, session *ecdh.PrivateKey) {
	x.version = v
	t, cmd, err := xftp.ParseRequest(x.head, x.c.session.ID)
	x.keepIDs(t)
	var response xftp.Response
	var refused xftp.Error
	if err == nil {
		response, err = x.execute(t, cmd, session)
	}
	if err != nil {
		refused = wireError(err)
		response = xftp.ERR{Err: refused}
	}
	x.c.srv.count.Command(cmd, refused)
	x.respond(response)
}

// execute checks who sent a command, and does what it says. What it returns for errors is for [wireError].
//
// Spec: xftp.md 7.3
func (x *exchange) execute(t xftp.Transmission, cmd xftp.Command, session *ecdh.PrivateKey) (xftp.Response, error) {
	switch cmd := cmd.(type) {
	case xftp.PING:
		return xftp.PONG{}, nil
	case xftp.FNEW:
		return x.create(t, cmd, session)
	}
	c, err := x.authorize(t, cmd, session)
	if err != nil {
		return nil, err
	}
	switch cmd := cmd.(type) {
	case xftp.FADD:
		return x.addRecipients(c, cmd)
	case xftp.FPUT:
		return x.upload(c)
	case xftp.FDEL:
		return x.delete(c)
	case xftp.FGET:
		return x.get(c, cmd)
	case xftp.FACK:
		return x.acknowledge(t)
	}
	return nil, xftp.CmdProhibited
}
