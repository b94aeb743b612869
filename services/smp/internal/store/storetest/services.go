package storetest

import (
	"errors"
	"slices"
	"sync"
	"testing"

	"sotto/services/smp/internal/queue"
)

// newService returns a service with random ids, not stored yet.
func newService() *queue.Service {
	return &queue.Service{ID: randomID(), Role: 'N', Fingerprint: randomSecret(), Chain: [][]byte{{1, 2}, {3}}, CreatedDay: 20000}
}

func (f *fixture) service(v *queue.Service) *queue.Service {
	f.t.Helper()
	have, err := f.Service(f.ctx, v)
	if err != nil {
		f.t.Fatalf("service: %v", err)
	}
	return have
}

func sameService(t *testing.T, got, want *queue.Service) {
	t.Helper()
	same := got.ID == want.ID && got.Role == want.Role && got.Fingerprint == want.Fingerprint && got.CreatedDay == want.CreatedDay
	if !same || !slices.EqualFunc(got.Chain, want.Chain, slices.Equal) {
		t.Fatal("another service than expected")
	}
}

// Spec: smp.md 4.5
func testServices(t *testing.T, open Open) {
	f := newFixture(t, open, 3)
	v, other := newService(), newService()
	sameService(t, f.service(v), v)
	sameService(t, f.service(other), other)
	again := newService()
	again.Fingerprint, again.Role = v.Fingerprint, 'M'
	sameService(t, f.service(again), v)
	if f.Reopen != nil {
		f.reopen()
		sameService(t, f.service(again), v)
	}
}

// testServiceRace: those that connect with one certificate at once are one service.
func testServiceRace(t *testing.T, open Open) {
	f := newFixture(t, open, 3)
	fingerprint := randomSecret()
	var wait sync.WaitGroup
	var mu sync.Mutex
	ids := make(map[queue.ID]bool)
	for range 16 {
		wait.Go(func() {
			v := newService()
			v.Fingerprint = fingerprint
			have, err := f.Service(f.ctx, v)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			ids[have.ID] = true
			mu.Unlock()
		})
	}
	wait.Wait()
	if len(ids) != 1 {
		t.Fatalf("%d services", len(ids))
	}
}

// associate associates notifiers and checks what each was associated with before.
func (f *fixture) associate(service queue.ID, ids []queue.ID, before ...queue.ID) {
	f.t.Helper()
	got, err := f.Associate(f.ctx, ids, service)
	if err != nil {
		f.t.Fatalf("associate: %v", err)
	}
	for i := range got {
		if got[i].Gone || got[i].Before != before[i] {
			f.t.Fatalf("notifier %d: gone %t, or another service than expected", i, got[i].Gone)
		}
	}
}

func (f *fixture) wantAssociated(service queue.ID, want int64) {
	f.t.Helper()
	if n, err := f.CountAssociated(f.ctx, service); err != nil || n != want {
		f.t.Fatalf("%d notifiers of the service, want %d (%v)", n, want, err)
	}
}

// Spec: smp.md 9.13
func testAssociate(t *testing.T, open Open) {
	f := newFixture(t, open, 3)
	a, b := randomID(), randomID()
	var queues []*queue.Queue
	var notifiers []*queue.Notifier
	var ids, none []queue.ID
	for range 5 {
		q := f.create()
		n := f.setNotifier(q, queue.ID{})
		queues, notifiers, ids, none = append(queues, q), append(notifiers, n), append(ids, n.ID), append(none, queue.ID{})
	}
	want := func(i int, service queue.ID) {
		t.Helper()
		n := *notifiers[i]
		n.Service = service
		f.wantNotifier(queues[i], &n)
	}
	f.associate(a, ids, none...)
	f.wantAssociated(a, 5)
	f.associate(a, ids[:1], a)
	f.associate(b, ids[3:], a, a)
	f.wantAssociated(a, 3)
	f.wantAssociated(b, 2)
	f.associate(queue.ID{}, ids[2:4], a, b)
	for i, service := range []queue.ID{a, a, {}, {}, b} {
		want(i, service)
	}
	// New credentials have no association, and those that are gone have none any more.
	if old, err := f.SetNotifier(f.ctx, queues[0].Ref, NewNotifier(t)); err != nil || old != (queue.Ended{ID: ids[0], Service: a}) {
		t.Fatalf("replaced another notifier, or one without its service: %v", err)
	}
	if err := f.Delete(f.ctx, queues[4].Ref); err != nil {
		t.Fatal(err)
	}
	got, err := f.Associate(f.ctx, []queue.ID{ids[1], ids[0], ids[4], ids[2], ids[2]}, b)
	if err != nil || got[0].Gone || !got[1].Gone || !got[2].Gone || got[3].Gone || got[4].Gone {
		t.Fatalf("associate with some gone: %v", err)
	}
	if f.Reopen != nil {
		f.reopen()
	}
	f.wantAssociated(a, 0)
	f.wantAssociated(b, 2)
	want(1, b)
	want(2, b)
	want(3, queue.ID{})
	f.associateRace(ids[1:4])
}

// associateRace associates the same notifiers from many sides: what is looked up after is what was stored last.
func (f *fixture) associateRace(ids []queue.ID) {
	f.t.Helper()
	backwards := slices.Clone(ids)
	slices.Reverse(backwards)
	var wait sync.WaitGroup
	for c := range 8 {
		wait.Go(func() {
			for range 10 {
				list := [][]queue.ID{ids, backwards}[c%2]
				if _, err := f.Associate(f.ctx, list, randomID()); err != nil && !errors.Is(err, queue.ErrNotFound) {
					f.t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	for _, id := range ids {
		if cached, fresh := f.byNotifier(id, false), f.byNotifier(id, true); *cached.Notifier != *fresh.Notifier {
			f.t.Fatal("the record in memory has another service than the one stored")
		}
	}
}
