package server

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/subtle"
	"errors"

	"sotto/services/smp/internal/hub"
	"sotto/services/smp/internal/queue"
	"sotto/shared/box"
	"sotto/shared/key"
	"sotto/shared/smp"
)

// createAttempts is how often random ids are drawn before giving up. Spec: smp.md 9.2 step 5
const createAttempts = 3

// create makes a queue.
//
// Spec: smp.md 9.2
func (c *conn) create(ctx context.Context, w *work, r *request, cmd smp.NEW) (smp.Response, error) {
	if !c.srv.mayCreate(cmd) {
		return nil, smp.ErrAuth
	}
	if c.service != nil && !cmd.Subscribe {
		return nil, smp.CmdProhibited
	}
	q, serverKey, err := c.srv.newQueue(cmd)
	if err != nil {
		return nil, err
	}
	link, err := requestedLink(q, cmd.Queue, r.tr.CorrID)
	if err != nil {
		return nil, err
	}
	ids := smp.IDS{DHKey: serverKey, ServiceID: c.serviceID()}
	if c.service != nil {
		q.Service = c.service.id
	}
	if cmd.Notifier != nil {
		var nid smp.NID
		if q.Notifier, nid, err = newNotifier(cmd.Notifier.NotifierKey, cmd.Notifier.DHKey); err != nil {
			return nil, err
		}
		ids.Notifier = &nid
	}
	if err := c.srv.insert(ctx, q, link, cmd.Queue); err != nil {
		return nil, err
	}
	c.srv.count.QueuesCreated.Add(1)
	if cmd.Subscribe && c.service == nil {
		c.subscribeTo(w, q)
	}
	ids.RecipientID, ids.SenderID = q.RecipientID[:], q.SenderID[:]
	if q.Mode != queue.ModeNone {
		ids.Mode = smp.QueueMode(q.Mode)
	}
	if link != nil {
		ids.LinkID = link.ID[:]
	}
	if ids.Notifier != nil {
		ids.Notifier.NotifierID = q.Notifier.ID[:]
		c.srv.count.NotifiersCreated.Add(1)
	}
	return ids, nil
}

// mayCreate checks the operator's rules for new queues.
func (s *Server) mayCreate(cmd smp.NEW) bool {
	return s.cfg.NewQueues && s.knowsPassword(cmd.HasBasicAuth, cmd.BasicAuth)
}

// knowsPassword checks the password for new queues and for private routing. Without one any is accepted.
func (s *Server) knowsPassword(has bool, password smp.BasicAuth) bool {
	want := s.cfg.CreatePassword
	return len(want) == 0 || (has && subtle.ConstantTimeCompare(want, password) == 1)
}

// newQueue makes the record with the relay's half of the message encryption; the private key is not kept.
//
// Spec: smp.md 9.2 step 4
func (s *Server) newQueue(cmd smp.NEW) (*queue.Queue, key.Public, error) {
	priv, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return nil, key.Public{}, err
	}
	secret, err := box.DH(cmd.DHKey, priv)
	if err != nil {
		return nil, key.Public{}, smp.ErrAuth // a key of low order: no client makes one
	}
	public, err := key.New(key.X25519, priv.PublicKey().Bytes())
	q := &queue.Queue{
		RecipientKeys: []key.Public{cmd.AuthKey}, DHSecret: secret, Status: queue.Active, UpdatedDay: queue.Day(s.now()),
	}
	if cmd.Queue != nil {
		q.Mode = queue.Mode(cmd.Queue.Mode)
	}
	return q, public, err
}

// requestedLink takes the link data and the ids that the client chose for them. Only whoever knows the correlation
// id that hashes to a sender id may claim it, so that NEW does not tell which ids exist.
//
// Spec: smp.md 9.2 step 3
func requestedLink(q *queue.Queue, req *smp.QueueRequest, corrID []byte) (*queue.Link, error) {
	if req == nil || req.Link == nil {
		return nil, nil
	}
	sender, ok := queue.ParseID(req.Link.SenderID)
	if !ok || sender != queue.ID(smp.SenderIDFrom(corrID)) {
		return nil, smp.CmdProhibited
	}
	q.SenderID, q.HasLink = sender, true
	link := &queue.Link{FixedData: clone(req.Link.FixedData), UserData: clone(req.Link.UserData)}
	if req.Mode == smp.ModeContact {
		if link.ID, ok = queue.ParseID(req.Link.LinkID); !ok {
			return nil, smp.ErrAuth
		}
	}
	return link, nil
}

func clone(b []byte) []byte { return append(make([]byte, 0, len(b)), b...) }

// insert draws the random ids and stores the record. A relay that is full answers like one that takes no new queues.
//
// Spec: smp.md 9.2 step 5
func (s *Server) insert(ctx context.Context, q *queue.Queue, link *queue.Link, req *smp.QueueRequest) error {
	if !s.takeRoom() {
		return smp.ErrAuth
	}
	defer s.releaseRoom()
	for range createAttempts {
		_, _ = rand.Read(q.RecipientID[:])
		if q.Notifier != nil {
			_, _ = rand.Read(q.Notifier.ID[:])
		}
		if link == nil {
			_, _ = rand.Read(q.SenderID[:])
		} else {
			if req.Mode == smp.ModeMessaging {
				_, _ = rand.Read(link.ID[:])
			}
			q.LinkID = link.ID
		}
		err := s.store.Create(ctx, q, link)
		if link != nil || !errors.Is(err, queue.ErrExists) {
			return err
		}
	}
	return smp.ErrInternal
}

// subscribeTo makes the connection the current subscriber of q; nothing is pushed before the block is answered.
func (c *conn) subscribeTo(w *work, q *queue.Queue) *hub.Subscription {
	sub, previous := c.srv.hub.Subscribe(q, c)
	c.listen(q.Ref, &listening{sub: sub})
	if !c.srv.hub.Current(sub) { // lost before it could be found in c.subs
		c.forget(q.Ref, sub)
	}
	w.settle = append(w.settle, sub)
	c.srv.count.Subscribed.Add(1)
	if previous != nil {
		c.srv.lose(previous, smp.END{})
	}
	return sub
}

// subscribe runs SUB commands: the connection becomes the current subscriber first, and only then looks for
// messages, so none can fall in between.
//
// Spec: smp.md 9.4
func (c *conn) subscribe(ctx context.Context, w *work, run []request) {
	refs := make([]queue.Ref, 0, len(run))
	subs := make([]*hub.Subscription, 0, len(run))
	asked := make([]*request, 0, len(run))
	for i := range run {
		r := &run[i]
		if r.err != nil {
			continue
		}
		if l := c.listening(r.queue.Ref); l != nil && l.sub == nil {
			r.err = smp.CmdProhibited
			continue
		}
		r.resp = smp.SOK{ServiceID: c.serviceID()}
		subs, asked = append(subs, c.subscribeTo(w, r.queue)), append(asked, r)
		c.used(r.queue, r.cmd)
	}
	subs, asked = c.notBlocked(ctx, w, subs, asked)
	for i := range subs {
		refs = append(refs, subs[i].Queue.Ref)
	}
	if len(w.requests) > answersWithMessage {
		c.wakeWaiting(ctx, refs, subs, asked)
		return
	}
	heads := make([]queue.Head, len(refs))
	c.srv.store.Heads(ctx, refs, heads)
	for i, head := range heads {
		switch {
		case head.Err != nil:
			c.unsubscribe(asked[i], subs[i], head.Err)
		case head.Message != nil && c.srv.hub.Deliver(subs[i], head.Message):
			q := asked[i].queue
			w.messages = append(w.messages, reply{entityID: q.RecipientID[:], msg: head.Message, q: q})
		}
	}
}

// wakeWaiting leaves the messages of many queues to the writer, which reads a few at a time.
func (c *conn) wakeWaiting(ctx context.Context, refs []queue.Ref, subs []*hub.Subscription, asked []*request) {
	waiting, err := c.srv.store.NonEmpty(ctx, refs)
	for i := range subs {
		switch {
		case err != nil:
			c.unsubscribe(asked[i], subs[i], err)
		case waiting[i]:
			c.srv.hub.Wake(subs[i])
		}
	}
}

// unsubscribe takes back a subscription whose queue could not be read.
func (c *conn) unsubscribe(r *request, sub *hub.Subscription, err error) {
	c.forget(r.queue.Ref, sub)
	c.srv.hub.Unsubscribe(sub)
	r.resp, r.err = nil, wireError(err)
}

// get delivers the head of the queue without a subscription.
//
// Spec: smp.md 9.6
func (c *conn) get(ctx context.Context, w *work, r *request) error {
	l := c.listening(r.queue.Ref)
	switch {
	case l == nil:
		l = new(listening)
		c.listen(r.queue.Ref, l)
	case l.sub != nil:
		return smp.CmdProhibited
	}
	l.hasDelivered = false
	var head [1]queue.Head
	c.srv.store.Heads(ctx, []queue.Ref{r.queue.Ref}, head[:])
	if head[0].Err != nil {
		return head[0].Err
	}
	r.resp = smp.OK{}
	if m := head[0].Message; m != nil {
		l.delivered, l.hasDelivered = m.ID, true
		r.msg = m
		w.held++
	}
	return nil
}

// secure sets the sender key, once.
//
// Spec: smp.md 9.3
func (c *conn) secure(ctx context.Context, q *queue.Queue, k key.Public) (smp.Response, error) {
	if err := c.srv.store.Secure(ctx, q.Ref, k); err != nil {
		return nil, err
	}
	c.srv.count.QueuesSecured.Add(1)
	return smp.OK{}, nil
}

// setRecipientKeys replaces the keys that may read a contact queue.
//
// Spec: smp.md 9.3
func (c *conn) setRecipientKeys(ctx context.Context, q *queue.Queue, keys []key.Public) (smp.Response, error) {
	if q.Mode != queue.ModeContact {
		return nil, smp.ErrAuth
	}
	return smp.OK{}, c.srv.store.SetRecipientKeys(ctx, q.Ref, keys)
}

// delete removes the queue with all that belongs to it, and tells another connection that listened to it.
//
// Spec: smp.md 9.7
func (c *conn) delete(ctx context.Context, q *queue.Queue) (smp.Response, error) {
	if err := c.srv.store.Delete(ctx, q.Ref); err != nil {
		return nil, err
	}
	c.srv.count.QueuesDeleted.Add(1)
	c.forget(q.Ref, nil)
	if sub := c.srv.hub.Remove(q.Ref); sub != nil && sub.Owner() != hub.Listener(c) {
		c.srv.lose(sub, smp.DELD{})
	}
	c.endNotifier(q.Notifier, queue.Ended{})
	return smp.OK{}, nil
}

// info describes the queue to its owner.
//
// Spec: smp.md 9.9
func (c *conn) info(ctx context.Context, q *queue.Queue) (smp.Response, error) {
	size, head, err := c.srv.store.Size(ctx, q.Ref)
	if err != nil {
		return nil, err
	}
	info := smp.QueueInfo{Secured: q.Secured(), HasNotifier: q.Notifier != nil, Size: size}
	if l := c.listening(q.Ref); l != nil {
		info.Subscription = c.subscriptionInfo(l)
	}
	if head != nil {
		info.Head = &smp.HeadInfo{MessageID: head.ID[:], Time: head.Time, Quota: head.Quota}
	}
	return smp.INFO{JSON: info.AppendJSON(nil)}, nil
}

func (c *conn) subscriptionInfo(l *listening) *smp.SubscriptionInfo {
	info := &smp.SubscriptionInfo{State: smp.StateGetOnly}
	delivered, ok := l.delivered, l.hasDelivered
	if l.sub != nil {
		info.State = smp.StateSubscribed
		delivered, ok = c.srv.hub.Delivered(l.sub)
	}
	if ok {
		info.Delivered = delivered[:]
	}
	return info
}
