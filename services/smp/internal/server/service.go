package server

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"slices"

	"sotto/services/smp/internal/notify"
	"sotto/services/smp/internal/queue"
	"sotto/shared/auth"
	"sotto/shared/identity"
	"sotto/shared/key"
	"sotto/shared/smp"
)

// serviceConn is what makes a connection that of a service.
type serviceConn struct {
	id          queue.ID
	role        smp.ServiceRole
	fingerprint [sha256.Size]byte // of the identity certificate
	key         key.Public        // of this connection, for service signatures
}

// acceptService makes the connection that of a service, or tells the client why not and returns an error.
//
// Spec: smp.md 4.5
func (c *conn) acceptService(hello *smp.ClientService) error {
	v, refused := c.identifyService(hello)
	if refused == "" {
		refused = c.registerService(v, hello)
	}
	answer := smp.ServiceResponse{Err: refused}
	if refused == "" {
		answer.ServiceID = v.id[:]
	}
	if err := c.blocks.WriteHello(answer.AppendTo(nil)); err != nil || refused != "" {
		return errHello
	}
	c.service = v
	return nil
}

// identifyService checks that the service is the client that has proven in TLS to hold its certificate.
//
// Spec: smp.md 4.5 steps 1 to 3
func (c *conn) identifyService(hello *smp.ClientService) (*serviceConn, smp.TransportError) {
	chain := hello.Chain
	if !slices.EqualFunc(chain, c.session.ClientChain, bytes.Equal) {
		return nil, smp.HandshakeBadAuth
	}
	leaf, err := identity.VerifyClientChain(chain, c.srv.now())
	if err != nil {
		return nil, smp.HandshakeBadAuth
	}
	k, err := auth.VerifySignedKey(leaf, hello.SignedKey)
	if err != nil || k.Algorithm() != key.Ed25519 {
		return nil, smp.HandshakeBadAuth
	}
	return &serviceConn{role: hello.Role, fingerprint: sha256.Sum256(chain[min(1, len(chain)-1)]), key: k}, ""
}

// registerService finds the service's id, or gives it one.
//
// Spec: smp.md 4.5 step 4
func (c *conn) registerService(v *serviceConn, hello *smp.ClientService) smp.TransportError {
	record := &queue.Service{Role: byte(v.role), Fingerprint: v.fingerprint, CreatedDay: queue.Day(c.srv.now())}
	_, _ = rand.Read(record.ID[:])
	for _, der := range hello.Chain {
		record.Chain = append(record.Chain, clone(der))
	}
	have, err := c.srv.store.Service(c.srv.work, record)
	if err != nil || have.Role != record.Role {
		return smp.HandshakeBadService
	}
	v.id = have.ID
	return ""
}

// roleOf is what a service must be for to send a command; 0: anything.
//
// Spec: smp.md 6.6 step 6
func roleOf(cmd smp.Command) smp.ServiceRole {
	switch cmd.Party() {
	case smp.None:
		return 0
	case smp.Notifier, smp.NotifierService:
		return smp.RoleNotifier
	case smp.ProxyService:
		return smp.RoleProxy
	default:
		return smp.RoleMessaging
	}
}

// checkService checks role and service signature. It adds to authorized, the bytes that the command's authorization
// must be over, what a service has before them.
//
// Spec: smp.md 6.4
func (c *conn) checkService(r *request, authorized *[]byte) smp.Error {
	v, signature := c.service, r.tr.ServiceSignature
	if v == nil || r.forwarded { // what a proxy forwards is not its own
		switch {
		case signature != nil, r.cmd.Party() == smp.RecipientService, r.cmd.Party() == smp.NotifierService:
			return smp.ErrService
		}
		return nil
	}
	if role := roleOf(r.cmd); role != 0 && role != v.role {
		return smp.CmdProhibited
	}
	verify := func(authorization []byte) bool {
		return c.srv.verify(v.key, c.sessionKey, r.tr.CorrID, authorization, *authorized)
	}
	switch r.cmd.(type) {
	case smp.NEW, smp.SUB, smp.NSUB:
		if signature == nil || !verify(signature) {
			return smp.ErrService
		}
		*authorized = append(v.fingerprint[:], *authorized...)
		return nil
	case smp.SUBS, smp.NSUBS:
		if signature == nil && r.isID && r.id == v.id && verify(r.tr.Authorization) {
			return nil
		}
		return smp.ErrService
	}
	if signature != nil {
		return smp.ErrService
	}
	return nil
}

// serviceID is that of the connection as it is told to clients; nil: it is no service's.
func (c *conn) serviceID() []byte {
	if c.service == nil {
		return nil
	}
	return c.service.id[:]
}

// serveNotifiers runs NSUB commands of a service: the notifiers are associated with it for good, and the connection
// listens for it from then on.
//
// Spec: smp.md 9.13
func (c *conn) serveNotifiers(ctx context.Context, run []request) {
	ids, asked := idsOf(run)
	results, err := c.srv.store.Associate(ctx, ids, c.service.id)
	for i, r := range asked {
		switch {
		case err != nil:
			r.err = wireError(err)
			continue
		case results[i].Gone:
			r.err = smp.ErrAuth
			continue
		}
		previous, ended := c.srv.notify.Serve(c.notifier, ids[i], results[i].Before)
		if previous != nil {
			c.srv.loseNotifier(previous, ids[i], smp.END{})
		}
		c.loseService(ended)
		r.resp = smp.SOK{ServiceID: c.serviceID()}
	}
	c.srv.takeBack(c, ids)
}

// idsOf returns the requests of a run that have not failed, with their entity ids.
func idsOf(run []request) (ids []queue.ID, asked []*request) {
	ids, asked = make([]queue.ID, 0, len(run)), make([]*request, 0, len(run))
	for i := range run {
		if r := &run[i]; r.err == nil {
			ids, asked = append(ids, r.id), append(asked, r)
		}
	}
	return ids, asked
}

// serveAll makes the connection listen for its service, to all that is associated with it.
//
// Spec: smp.md 9.13
func (c *conn) serveAll(ctx context.Context) (smp.Response, error) {
	associated, err := c.srv.store.CountAssociated(ctx, c.service.id)
	if err != nil {
		return nil, err
	}
	count, ended := c.srv.notify.ServeAll(c.notifier, associated)
	c.loseService(ended)
	return smp.SOKS{Count: count}, nil
}

// loseService tells the connection that listened for the service before.
//
// Spec: smp.md 10.3
func (c *conn) loseService(ended notify.Lost) {
	if ended.Subscriber != nil {
		c.srv.tellLater(ended.Subscriber.Owner().(*conn), lost{id: c.service.id, event: smp.ENDS{Count: ended.Count}})
	}
}

// dissociate ends the associations of notifiers that an ordinary connection has subscribed to.
//
// Spec: smp.md 9.13
func (c *conn) dissociate(ctx context.Context, ids []queue.ID) error {
	results, err := c.srv.store.Associate(ctx, ids, queue.ID{})
	if err != nil {
		return err
	}
	for i, id := range ids {
		if before := results[i].Before; !before.IsZero() {
			if service := c.srv.notify.Dissociate(id, before); service != nil {
				c.srv.loseNotifier(service, id, smp.END{})
			}
		}
	}
	return nil
}

// takeBack drops the events that tell a connection of the loss of notifiers that it has again.
func (s *Server) takeBack(c *conn, ids []queue.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.ends[c]) == 0 {
		return
	}
	again := make(map[queue.ID]struct{}, len(ids))
	for _, id := range ids {
		again[id] = struct{}{}
	}
	s.ends[c] = slices.DeleteFunc(s.ends[c], func(e lost) bool {
		_, has := again[e.id]
		return has
	})
}
