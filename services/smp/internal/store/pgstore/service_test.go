package pgstore

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"sotto/services/smp/internal/client"
	"sotto/services/smp/internal/queue"
	"sotto/services/smp/internal/server"
	"sotto/services/smp/internal/smptest"
	"sotto/services/smp/internal/store/storetest"
	"sotto/shared/auth"
	"sotto/shared/key"
	"sotto/shared/pg/pgtest"
	"sotto/shared/smp"
	"sotto/shared/wire"
)

// serviceStage is a relay on a database, and a service.
type serviceStage struct {
	t       *testing.T
	ctx     context.Context
	url     string
	store   *Store
	relay   *smptest.Relay
	service *client.Service
}

// start starts the relay, after it has stopped the one before.
func (s *serviceStage) start() {
	s.t.Helper()
	if s.relay != nil {
		s.relay.Stop(s.t)
		s.store.Close()
	}
	s.store = openAt(s.t, Options{URL: s.url})
	s.relay = smptest.Start(s.t, smptest.Options{Store: s.store, Config: func(c *server.Config) {
		c.EndInterval, c.NotificationInterval = 10*time.Millisecond, 10*time.Millisecond
	}})
}

func (s *serviceStage) dial() *client.Client {
	s.t.Helper()
	c := client.New(s.relay.Dial(s.t, client.Options{}))
	s.t.Cleanup(func() { _ = c.Close() })
	return c
}

// serve connects the service.
func (s *serviceStage) serve() *client.Client {
	s.t.Helper()
	conn, err := s.relay.DialService(s.t, client.Options{Service: s.service}, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	c := client.New(conn)
	s.t.Cleanup(func() { _ = c.Close() })
	return c
}

// want waits for an event.
func (s *serviceStage) want(c *client.Client, tag string, entity wire.EntityID) {
	s.t.Helper()
	select {
	case e := <-c.Events():
		if e.Response == nil || e.Response.Tag() != tag || !bytes.Equal(e.EntityID, entity) {
			s.t.Fatalf("%v arrived instead of %s", e.Response, tag)
		}
	case <-s.ctx.Done():
		s.t.Fatalf("no %s arrived", tag)
	}
}

func (s *serviceStage) wantAll(c *client.Client, want int64) {
	s.t.Helper()
	if n, err := c.SubscribeService(s.ctx); err != nil || n != want {
		s.t.Fatalf("the service has %d notifiers, want %d: %v", n, want, err)
	}
}

func (s *serviceStage) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// TestChecklist47AssociationsSurvive takes a service through restarts on one database. Spec: smp.md 9.13
func TestChecklist47AssociationsSurvive(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), storetest.Patience)
	defer cancel()
	s := &serviceStage{t: t, ctx: ctx, url: pgtest.Open(t), service: smptest.NewService(t, smp.RoleNotifier, key.Ed25519, 2)}
	s.start()
	alice, own := s.dial(), s.serve()
	k := auth.NewEd25519()
	var queues []*client.Queue
	for range 2 {
		q, err := alice.NewQueue(ctx, client.QueueOptions{Mode: smp.ModeMessaging, NotifierKey: k.Public()})
		s.must(err)
		s.must(own.SubscribeNotifier(ctx, q.NotifierID, k))
		queues = append(queues, q)
	}
	s.start()
	own, alice = s.serve(), s.dial()
	s.wantAll(own, 2)
	s.must(alice.Send(ctx, queues[0].SenderID, auth.Key{}, true, []byte("hello")))
	s.want(own, "NMSG", queues[0].NotifierID)
	s.must(alice.SubscribeNotifier(ctx, queues[0].NotifierID, k))
	s.want(own, "END", queues[0].NotifierID)
	_ = own.Close()
	// What comes now waits for the service, over a restart.
	s.must(alice.Send(ctx, queues[1].SenderID, auth.Key{}, true, []byte("hello")))
	s.start()
	own = s.serve()
	s.wantAll(own, 1)
	s.want(own, "NMSG", queues[1].NotifierID)
	s.must(s.dial().Delete(ctx, queues[1]))
	s.want(own, "DELD", queues[1].NotifierID)
}

// The database is away for longer than Wait: what has to do with notifiers fails within a bound, and works again after.
func TestNotifierOutage(t *testing.T) {
	for name, how := range map[string]pgtest.Mode{"refused": pgtest.Refuse, "silent": pgtest.Silent, "answers lost": pgtest.Mute} {
		t.Run(name, func(t *testing.T) {
			proxy := pgtest.NewProxy(t, pgtest.Open(t))
			s := openAt(t, Options{URL: proxy.URL, Wait: 300 * time.Millisecond})
			q := newQueue(t, s)
			n := storetest.NewNotifier(t)
			if _, err := s.SetNotifier(t.Context(), q, n); err != nil {
				t.Fatal(err)
			}
			one := []queue.Notification{{Notifier: *n, MessageID: queue.MessageID{1}, Time: 1}}
			service := &queue.Service{ID: queue.ID{9}, Role: 'N', Chain: [][]byte{{1}}}
			operations := map[string]func() error{
				"associate": func() error { _, err := s.Associate(t.Context(), []queue.ID{n.ID}, queue.ID{9}); return err },
				"count":     func() error { _, err := s.CountAssociated(t.Context(), queue.ID{9}); return err },
				"service":   func() error { _, err := s.Service(t.Context(), service); return err },
				"save":      func() error { _, err := s.SaveNotifications(t.Context(), one); return err },
				"remove":    func() error { return s.RemoveNotifications(t.Context(), one) },
				"read":      func() error { _, err := s.SavedNotifications(t.Context(), nil, 9); return err },
				"expire":    func() error { _, err := s.ExpireNotifications(t.Context(), 1); return err },
				"set":       func() error { _, err := s.SetNotifier(t.Context(), q, n); return err },
			}
			proxy.Set(how)
			for op, do := range operations {
				if err := do(); !errors.Is(err, queue.ErrUnavailable) {
					t.Errorf("%s while the database is away: %v", op, err)
				}
			}
			proxy.Set(pgtest.Pass)
			recovered(t, s, q)
			for op, do := range operations {
				if err := smptest.Eventually(func() bool { return do() == nil }); err != nil {
					t.Errorf("%s after it is back: %v", op, err)
				}
			}
			if _, err := s.DeleteNotifier(t.Context(), q); err != nil {
				t.Errorf("delete after it is back: %v", err)
			}
		})
	}
}
