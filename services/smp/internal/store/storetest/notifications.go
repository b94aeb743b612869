package storetest

import (
	"errors"
	"slices"
	"sync"
	"testing"

	"sotto/services/smp/internal/queue"
)

var notificationCases = []testCase{
	{"save, read, remove", testNotifications},
	{"expire", testExpireNotifications},
	{"end with their notifier", testNotificationsEnd},
	{"end with their notifier, at once", testNotificationRace},
}

// save saves notifications of these times for n.
func (f *fixture) save(n *queue.Notifier, times ...int64) []queue.Notification {
	f.t.Helper()
	var in []queue.Notification
	for _, at := range times {
		in = append(in, queue.Notification{Notifier: *n, MessageID: randomMessageID(), Time: at})
	}
	saved, err := f.SaveNotifications(f.ctx, in)
	if err != nil {
		f.t.Fatalf("save: %v", err)
	}
	for _, s := range saved {
		if s.Gone || s.Service != n.Service {
			f.t.Fatalf("gone: %t, or another service", s.Gone)
		}
	}
	return in
}

// wantSaved reads all notifications, in pages, and compares them.
func (f *fixture) wantSaved(want ...queue.Notification) {
	f.t.Helper()
	all := make(map[queue.MessageID]queue.Notification)
	var last *queue.Notification
	for {
		page, err := f.SavedNotifications(f.ctx, last, 3)
		if err != nil {
			f.t.Fatalf("saved: %v", err)
		}
		for _, n := range page {
			if _, again := all[n.MessageID]; again {
				f.t.Fatal("the same notification in two pages")
			}
			all[n.MessageID] = n
		}
		if len(page) < 3 {
			break
		}
		last = &page[2]
	}
	if len(all) != len(want) {
		f.t.Fatalf("%d notifications are saved, want %d", len(all), len(want))
	}
	for _, w := range want {
		got, a, b := all[w.MessageID], all[w.MessageID].Notifier, w.Notifier
		if got.Time != w.Time || a.ID != b.ID || a.DHSecret != b.DHSecret || a.Service != b.Service {
			f.t.Fatal("another notification than was saved")
		}
	}
}

// Spec: smp.md 8.1, undelivered notifications are saved and restored.
func testNotifications(t *testing.T, open Open) {
	f := newFixture(t, open, 3)
	a, b := f.setNotifier(f.create(), queue.ID{}), f.setNotifier(f.create(), queue.ID{})
	f.wantSaved()
	b.Service = randomID()
	f.associate(b.Service, []queue.ID{b.ID}, queue.ID{})
	all := append(f.save(a, 5, 1, 3, 2), f.save(b, 4, 4, 4)...)
	f.wantSaved(all...)
	if saved, err := f.SaveNotifications(f.ctx, all[1:5]); err != nil || saved[0].Gone || saved[3].Service != b.Service {
		t.Fatalf("saved again: %v", err)
	}
	f.wantSaved(all...)
	if f.Reopen != nil {
		f.reopen()
		f.wantSaved(all...)
	}
	gone := queue.Notification{Notifier: *NewNotifier(t), MessageID: randomMessageID()}
	if err := f.RemoveNotifications(f.ctx, []queue.Notification{all[0], gone, all[6], all[0]}); err != nil {
		t.Fatal(err)
	}
	f.wantSaved(all[1:6]...)
	saved, err := f.SaveNotifications(f.ctx, []queue.Notification{gone, all[0]})
	if err != nil || !saved[0].Gone || saved[1].Gone {
		t.Fatalf("of a notifier that is gone: %v", err)
	}
	f.wantSaved(all[:6]...)
}

// Spec: smp.md 10.4
func testExpireNotifications(t *testing.T, open Open) {
	f := newFixture(t, open, 3)
	a, b := f.setNotifier(f.create(), queue.ID{}), f.setNotifier(f.create(), queue.ID{})
	old, young := f.save(a, 1, 2, 9), f.save(b, 10, 20)
	if n, err := f.ExpireNotifications(f.ctx, 1); n != 0 || err != nil {
		t.Fatalf("%d removed before their time, %v", n, err)
	}
	if n, err := f.ExpireNotifications(f.ctx, 10); n != 3 || err != nil {
		t.Fatalf("%d of %d removed, %v", n, len(old), err)
	}
	f.wantSaved(young...)
	f.save(a, slices.Repeat([]int64{5}, 2500)...)
	if n, err := f.ExpireNotifications(f.ctx, 10); n != 2500 || err != nil {
		t.Fatalf("%d of many removed, %v", n, err)
	}
	f.wantSaved(young...)
}

// Spec: smp.md 9.7, 9.8
func testNotificationsEnd(t *testing.T, open Open) {
	f := newFixture(t, open, 3)
	replaced, removed, deleted, other := f.create(), f.create(), f.create(), f.create()
	first := f.setNotifier(replaced, queue.ID{})
	for _, n := range []*queue.Notifier{first, f.setNotifier(removed, queue.ID{}), f.setNotifier(deleted, queue.ID{})} {
		f.save(n, 1, 2, 3)
	}
	kept := f.save(f.setNotifier(other, queue.ID{}), 4)
	f.setNotifier(replaced, first.ID)
	if _, err := f.DeleteNotifier(f.ctx, removed.Ref); err != nil {
		t.Fatal(err)
	}
	if err := f.Delete(f.ctx, deleted.Ref); err != nil {
		t.Fatal(err)
	}
	f.wantSaved(kept...)
}

// testNotificationRace saves and removes notifications while their notifiers, and queues, end.
func testNotificationRace(t *testing.T, open Open) {
	f := newFixture(t, open, 3)
	var queues []*queue.Queue
	var in []queue.Notification
	for range 12 {
		q := f.create()
		queues = append(queues, q)
		in = append(in, queue.Notification{Notifier: *f.setNotifier(q, queue.ID{}), MessageID: randomMessageID(), Time: 1})
	}
	var wait sync.WaitGroup
	over := make(chan struct{})
	wait.Go(func() {
		for {
			if _, err := f.SaveNotifications(f.ctx, in); err != nil {
				t.Error(err)
			}
			if err := f.RemoveNotifications(f.ctx, in[:6]); err != nil {
				t.Error(err)
			}
			select {
			case <-over:
				return
			default:
			}
		}
	})
	var enders sync.WaitGroup
	for i, q := range queues {
		enders.Go(func() {
			var err error
			switch i % 3 {
			case 0:
				_, err = f.SetNotifier(f.ctx, q.Ref, NewNotifier(t))
			case 1:
				_, err = f.DeleteNotifier(f.ctx, q.Ref)
			default:
				err = f.Delete(f.ctx, q.Ref)
			}
			if err != nil && !errors.Is(err, queue.ErrNotFound) {
				t.Error(err)
			}
		})
	}
	enders.Wait()
	close(over)
	wait.Wait()
	f.wantSaved()
}
