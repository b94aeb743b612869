package server

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"errors"
	"slices"
	"time"

	"sotto/services/smp/internal/notify"
	"sotto/services/smp/internal/queue"
	"sotto/shared/box"
	"sotto/shared/key"
	"sotto/shared/smp"
	"sotto/shared/wire"
)

// newNotifier makes credentials with the relay's half of their encryption; the private key is not kept. They lack an
// id.
//
// Spec: smp.md 9.8
func newNotifier(k, dh key.Public) (*queue.Notifier, smp.NID, error) {
	private, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return nil, smp.NID{}, err
	}
	secret, err := box.DH(dh, private)
	if err != nil {
		return nil, smp.NID{}, smp.ErrAuth // a key of low order: no client makes one
	}
	public, err := key.FromECDH(private.PublicKey())
	return &queue.Notifier{Key: k, DHSecret: secret}, smp.NID{DHKey: public}, err
}

// setNotifier gives a queue credentials, always new ones, in place of those it has.
//
// Spec: smp.md 9.8
func (c *conn) setNotifier(ctx context.Context, q *queue.Queue, cmd smp.NKEY) (smp.Response, error) {
	n, nid, err := newNotifier(cmd.NotifierKey, cmd.DHKey)
	if err != nil {
		return nil, err
	}
	for range createAttempts {
		_, _ = rand.Read(n.ID[:])
		replaced, err := c.srv.store.SetNotifier(ctx, q.Ref, n)
		if errors.Is(err, queue.ErrExists) {
			continue
		}
		if err != nil {
			return nil, err
		}
		c.endNotifier(q.Notifier, replaced)
		c.srv.count.NotifiersCreated.Add(1)
		nid.NotifierID = n.ID[:]
		return nid, nil
	}
	return nil, smp.ErrInternal
}

// deleteNotifier removes a queue's credentials, if it has any.
//
// Spec: smp.md 9.8
func (c *conn) deleteNotifier(ctx context.Context, q *queue.Queue) (smp.Response, error) {
	removed, err := c.srv.store.DeleteNotifier(ctx, q.Ref)
	if err != nil {
		return nil, err
	}
	c.endNotifier(q.Notifier, removed)
	if removed != (queue.Ended{}) {
		c.srv.count.NotifiersDeleted.Add(1)
	}
	return smp.OK{}, nil
}

// endNotifier ends what is left of credentials that a queue has no more, and tells who listened to them: those that it
// had when the command was authorised, and those that were found when it ran.
func (c *conn) endNotifier(had *queue.Notifier, found queue.Ended) {
	if had != nil && had.ID != found.ID {
		c.loseEnded(queue.Ended{ID: had.ID, Service: had.Service})
	}
	if !found.ID.IsZero() {
		c.loseEnded(found)
	}
}

func (c *conn) loseEnded(n queue.Ended) {
	if sub := c.srv.notify.Remove(n.ID, n.Service); sub != nil && sub != c.notifier {
		c.srv.loseNotifier(sub, n.ID, smp.DELD{})
	}
}

// loseNotifier tells a connection, with other events, that it does not listen to a notifier any more.
//
// Spec: smp.md 10.3
func (s *Server) loseNotifier(sub *notify.Subscriber, id queue.ID, event smp.Response) {
	s.tellLater(sub.Owner().(*conn), lost{id: id, event: event})
}

// subscribeNotifiers runs NSUB commands: the connection becomes the current subscriber first, and only then looks
// whether the notifier still exists, so that none can be removed in between. The records are those that were just
// looked up, so that costs no round trip unless they have changed.
//
// Spec: smp.md 9.13
func (c *conn) subscribeNotifiers(ctx context.Context, run []request) {
	if c.service != nil {
		c.serveNotifiers(ctx, run)
		return
	}
	ids, asked := idsOf(run)
	for i, r := range asked {
		c.subscribeNotifier(ids[i])
		r.resp = smp.SOK{}
	}
	found, err := c.srv.store.ByNotifier(ctx, ids, false)
	var served []queue.ID
	for i, r := range asked {
		switch {
		case err != nil:
			r.resp, r.err = nil, wireError(err)
		case found.Queues[i] == nil:
			r.resp, r.err = nil, smp.ErrAuth
		default:
			if !found.Queues[i].Notifier.Service.IsZero() {
				served = append(served, ids[i])
			}
			continue
		}
		c.srv.notify.Unsubscribe(c.notifier, ids[i])
	}
	c.takeFromServices(ctx, asked, served)
}

// subscribeNotifier makes the connection the current subscriber of a notifier.
func (c *conn) subscribeNotifier(id queue.ID) {
	if previous := c.srv.notify.Subscribe(c.notifier, id); previous != nil {
		c.srv.loseNotifier(previous, id, smp.END{})
	}
}

// takeFromServices ends the associations of notifiers among those subscribed. A service may have subscribed to them
// since the connection has, so it does again.
func (c *conn) takeFromServices(ctx context.Context, asked []*request, served []queue.ID) {
	if len(served) == 0 {
		return
	}
	err := c.dissociate(ctx, served)
	for _, id := range served {
		if err == nil {
			c.subscribeNotifier(id)
		} else {
			c.srv.notify.Unsubscribe(c.notifier, id)
		}
	}
	for _, r := range asked {
		if err != nil && slices.Contains(served, r.id) {
			r.resp, r.err = nil, wireError(err)
		}
	}
}

// notifyOf notes a message that its recipient wants to be told of.
//
// Spec: smp.md 10.4
func (s *Server) notifyOf(q *queue.Queue, m *queue.Message) {
	if !m.Notify || q.Notifier == nil {
		return
	}
	dropped := s.notify.Add(q.Notifier, m.ID, m.Time.UnixNano())
	s.count.NotificationsCreated.Add(1)
	s.count.NotificationsDropped.Add(uint64(dropped))
}

// notification is an NMSG that is sealed when it is written, so that those which are never sent cost nothing.
type notification queue.Notification

// Tag returns "NMSG".
func (*notification) Tag() string { return smp.NMSG{}.Tag() }

// AppendResponse seals the notification for the queue's recipient, who gets it from the notifier.
//
// Spec: smp.md 10.4
func (n *notification) AppendResponse(dst []byte, _ wire.Version) []byte {
	var (
		event smp.NMSG
		plain [smp.PaddedMetaSize]byte
		meta  [smp.EncryptedMetaSize]byte
	)
	_, _ = rand.Read(event.Nonce[:])
	secret := [box.KeySize]byte(n.Notifier.DHSecret)
	told := smp.NotificationMeta{MessageID: n.MessageID[:], Time: time.Unix(0, n.Time).Unix()}.AppendTo(plain[:0])
	sealed, err := box.SealPadded(meta[:0], told, &event.Nonce, &secret, smp.PaddedMetaSize)
	if err != nil {
		panic("a notification exceeds its size") // its parts have fixed sizes
	}
	event.EncryptedMeta = sealed
	return event.AppendResponse(dst, 0)
}

// notificationsInBlock is how many notifications are taken at a time: they fill a block. Spec: smp.md 5.2
const notificationsInBlock = 80

// takeNotifications returns notifications that wait for the connection, as a group; nil when there are none.
func (c *conn) takeNotifications() group {
	taken := c.srv.notify.Take(c.notifier, notificationsInBlock)
	g := make(group, len(taken))
	for i := range taken {
		g[i] = reply{entityID: taken[i].Notifier.ID[:], resp: (*notification)(&taken[i])}
	}
	return g
}
