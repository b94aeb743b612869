package client

import (
	"context"
	"crypto"
	"crypto/sha256"
	"fmt"
	"io"

	"sotto/shared/auth"
	"sotto/shared/smp"
	"sotto/shared/transport"
	"sotto/shared/wire"
)

// Service is what a client that connects as a service needs. Its certificate is shown in the hello; that TLS shows it,
// too, is the dialer's.
//
// Spec: smp.md 4.5
type Service struct {
	Role smp.ServiceRole
	// Chain are the certificates in DER, leaf first; Leaf is the private key of the first.
	Chain [][]byte
	Leaf  crypto.Signer
}

// Format prints a placeholder, whatever the verb.
func (Service) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[service]") }

// ServiceError is the relay's refusal of a service.
type ServiceError struct{ Refusal smp.TransportError }

// Error names the refusal.
func (e *ServiceError) Error() string {
	return "smp client: the relay refuses the service: " + string(e.Refusal)
}

// serving is what a connection knows of the service that it is of.
type serving struct {
	id          wire.EntityID
	key         auth.Key
	fingerprint [sha256.Size]byte
}

// ServiceID returns the id that the relay has given to the service, nil on an ordinary connection.
func (c *Conn) ServiceID() wire.EntityID {
	if c.service == nil {
		return nil
	}
	return c.service.id
}

// ServiceKey returns the key that signs for the service on this connection; it authorizes NSUBS.
func (c *Conn) ServiceKey() auth.Key {
	if c.service == nil {
		return auth.Key{}
	}
	return c.service.key
}

// introduce adds the service to the client hello.
//
// Spec: smp.md 4.2
func (c *Conn) introduce(hello *smp.ClientHello) {
	s := c.options.Service
	if s == nil || c.version < smp.VersionService {
		return
	}
	k := auth.NewEd25519()
	hello.Service = &smp.ClientService{Role: s.Role, Chain: s.Chain, SignedKey: auth.SignKey(s.Leaf, k.Public())}
	c.service = &serving{key: k, fingerprint: sha256.Sum256(s.Chain[min(1, len(s.Chain)-1)])}
}

// readService reads the relay's answer to a service.
//
// Spec: smp.md 4.5
func (c *Conn) readService() error {
	if c.service == nil {
		return nil
	}
	var block transport.Block
	defer block.Release()
	payload, err := c.blocks.ReadHello(&block)
	if err != nil {
		return err
	}
	answer, err := smp.ParseServiceResponse(payload)
	switch {
	case err != nil:
		return ErrMalformed
	case answer.Err != "":
		return &ServiceError{answer.Err}
	}
	c.service.id = append(wire.EntityID(nil), answer.ServiceID...)
	return nil
}

// sign signs a command for the service if it is one of those that need that, and returns the bytes that the command's
// own key must sign instead of authorized.
//
// Spec: smp.md 6.4
func (c *Conn) sign(s *scratch, cmd smp.Command, id, authorized []byte) ([]byte, error) {
	if c.service == nil || s.service != nil {
		return authorized, nil
	}
	switch cmd.(type) {
	case smp.NEW, smp.SUB, smp.NSUB:
	default:
		return authorized, nil
	}
	var err error
	s.service, authorized, err = c.SignForService(id, authorized)
	return authorized, err
}

// SignForService signs a command with this correlation id for the service that the connection is of, and returns the
// bytes that the command's own key must sign instead of authorized.
//
// Spec: smp.md 6.4
func (c *Conn) SignForService(id, authorized []byte) (signature, prefixed []byte, err error) {
	signature, err = c.service.key.Authorize(c.relay.Key, id, authorized)
	return signature, append(c.service.fingerprint[:], authorized...), err
}

// SubscribeService makes this connection the one that is told of all messages whose notifiers are associated with its
// service, and returns their number.
//
// Spec: smp.md 9.13
func (c *Client) SubscribeService(ctx context.Context) (int64, error) {
	reply, err := c.do(ctx, &Request{Command: smp.NSUBS{}, Entity: c.conn.ServiceID(), Key: c.conn.ServiceKey()})
	if err != nil {
		return 0, err
	}
	defer reply.Release()
	all, ok := reply.Response.(smp.SOKS)
	if !ok {
		return 0, unexpected(reply.Response)
	}
	return all.Count, nil
}
