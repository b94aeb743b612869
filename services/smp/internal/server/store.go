package server

import (
	"context"

	"sotto/services/smp/internal/queue"
	"sotto/shared/key"
)

// Store is what the command handlers need of storage. Methods are safe for concurrent use. When a method returns
// nil its effect is durable, as far as the store is durable at all. Errors are the sentinels of package queue,
// wrapped or not; any other error means storage trouble. Every method returns within a bound of its own when the
// database is away ([queue.ErrUnavailable]).
type Store interface {
	Queues
	Links
	Moderation
	Messages
	Notifiers
	Notifications
	Services
}

// Queues stores queue records.
type Queues interface {
	// Create stores q, with its notifier if it has one and an optional link, and sets q.Ref. It returns
	// queue.ErrExists, and stores nothing, when the recipient, sender, notifier or link id is taken.
	Create(ctx context.Context, q *queue.Queue, link *queue.Link) error
	// ByRecipient returns the records with these recipient ids, in their order, nil for those unknown, with one
	// round trip at most. Records may come from a bounded cache unless fresh is set; the bool slice of the
	// result tells which came from the cache.
	ByRecipient(ctx context.Context, ids []queue.ID, fresh bool) (queue.Lookup, error)
	// BySender is ByRecipient for sender ids.
	BySender(ctx context.Context, ids []queue.ID, fresh bool) (queue.Lookup, error)
	// ByNotifier is ByRecipient for notifier ids.
	ByNotifier(ctx context.Context, ids []queue.ID, fresh bool) (queue.Lookup, error)
	// ByLink is ByRecipient for link ids.
	ByLink(ctx context.Context, ids []queue.ID, fresh bool) (queue.Lookup, error)
	// Secure sets the sender key. The same key again is nil; another is queue.ErrSecured. Spec: smp.md 8.2.
	Secure(ctx context.Context, q queue.Ref, k key.Public) error
	// SetRecipientKeys replaces all recipient keys.
	SetRecipientKeys(ctx context.Context, q queue.Ref, keys []key.Public) error
	// Suspend sets the status to off.
	Suspend(ctx context.Context, q queue.Ref) error
	// Delete removes the record, its link and all its messages. A second Delete is queue.ErrNotFound.
	Delete(ctx context.Context, q queue.Ref) error
	// Count returns how many queues there are, at once. It may be wrong by those whose creation or deletion failed without
	// an answer from the database, until the store is opened again.
	Count() int64
	// Touch notes that the queue was used on this day. It returns at once; the day is stored in the background,
	// at most once per queue and day, and may be lost in a crash.
	Touch(q *queue.Queue, day int64)
}

// Links stores short link data. A record has the link id only; the data is large, seldom read, and not kept in memory.
type Links interface {
	// SetLink gives the queue this link or, if it has a link with the same id and fixed data, replaces the user data. It
	// changes nothing and returns queue.ErrSecured for a secured messaging queue, and queue.ErrExists when the queue has
	// another link or other fixed data, or another queue has the link id. Spec: smp.md 9.12.
	SetLink(ctx context.Context, q queue.Ref, l *queue.Link) error
	// Link returns the queue's link, or queue.ErrNotFound when it has none with this id.
	Link(ctx context.Context, q queue.Ref, id queue.ID) (*queue.Link, error)
	// SecureLink is Link and Secure in one: when it returns an error, the queue is as secured as before, unless the
	// error is storage trouble.
	SecureLink(ctx context.Context, q queue.Ref, id queue.ID, k key.Public) (*queue.Link, error)
	// DeleteLink removes the queue's link; nil when it has none.
	DeleteLink(ctx context.Context, q queue.Ref) error
}

// Moderation stores what an operator decides about queues.
type Moderation interface {
	// Block sets the status to blocked, with the reasons b in place of those that the queue is blocked for already. It
	// keeps by itself whether the owner has suspended the queue (b.WasOff is not looked at). Spec: smp.md 8.3.
	Block(ctx context.Context, q queue.Ref, b queue.Blocking) error
	// Unblock gives a blocked queue the status that it had before, and does nothing to another.
	Unblock(ctx context.Context, q queue.Ref) error
}

// Messages stores the entries of queues.
type Messages interface {
	// Append adds each message at the tail of its queue, in the order given, and waits until all are durable.
	// results has one element per element of in. A full queue gets the quota marker and queue.ErrQuota as
	// smp.md 8.4 says. Messages to one queue keep the order of their calls.
	Append(ctx context.Context, in []queue.NewMessage, results []queue.Appended)
	// Acknowledge removes, for each element, the head of the queue if its id is ID, and waits until that is
	// durable; then it tells the head that the queue has now (also if nothing was removed).
	Acknowledge(ctx context.Context, in []queue.Acknowledgement, results []queue.Head)
	// Heads returns the first entry of each queue, with one round trip at most.
	Heads(ctx context.Context, qs []queue.Ref, results []queue.Head)
	// NonEmpty reports for each queue whether it has entries, with one round trip at most and without reading
	// bodies. Spec: smp.md 9.4.
	NonEmpty(ctx context.Context, qs []queue.Ref) ([]bool, error)
	// Size returns the number of entries of the queue including the quota marker, and its head without its body
	// (nil when empty).
	Size(ctx context.Context, q queue.Ref) (int, *queue.Message, error)
	// Expire removes messages older than before (Unix seconds) from the head of each of these queues, stopping
	// at the first entry that is younger or a quota marker, and returns how many it removed. Spec: smp.md 8.5.
	Expire(ctx context.Context, q queue.Ref, before int64) (int64, error)
	// ExpireAll does the same for every queue, in bounded steps, and returns how many messages it removed.
	ExpireAll(ctx context.Context, before int64) (int64, error)
}

// Notifiers stores the credentials for notifications that queues have.
type Notifiers interface {
	// SetNotifier gives the queue the credentials n, in place of those it has and of all that belongs to those. It
	// returns what it has replaced, or queue.ErrExists, and changes nothing, when the id of n is taken.
	// Spec: smp.md 9.8.
	SetNotifier(ctx context.Context, q queue.Ref, n *queue.Notifier) (replaced queue.Ended, err error)
	// DeleteNotifier removes the queue's credentials and all that belongs to them, and returns what it has removed.
	DeleteNotifier(ctx context.Context, q queue.Ref) (removed queue.Ended, err error)
}

// Notifications keeps those that wait over a restart. They belong to a notifier and end with it.
type Notifications interface {
	// SaveNotifications stores notifications, again if it has them already, with one round trip, and tells for each
	// whether its notifier exists.
	SaveNotifications(ctx context.Context, in []queue.Notification) ([]queue.Saved, error)
	// RemoveNotifications removes notifications, with one round trip. Those that are not there are removed already.
	RemoveNotifications(ctx context.Context, in []queue.Notification) error
	// SavedNotifications returns at most n of those stored, with the notifiers that they are for, in a fixed order that
	// begins after the given one; nil: at the beginning.
	SavedNotifications(ctx context.Context, after *queue.Notification, n int) ([]queue.Notification, error)
	// ExpireNotifications removes, in bounded steps, those of messages from before a time, in Unix nanoseconds, and
	// returns how many.
	ExpireNotifications(ctx context.Context, before int64) (int64, error)
}

// Services stores services, and which notifiers they have subscribed to.
type Services interface {
	// Service returns the service that has this fingerprint, which is v, stored now, if there was none. When two are
	// stored at once, both callers get the same. It returns queue.ErrFull when there are [queue.MaxServices].
	Service(ctx context.Context, v *queue.Service) (*queue.Service, error)
	// Associate associates notifiers with a service in place of any other, zero: with none, and tells what each was
	// associated with before, with one round trip.
	Associate(ctx context.Context, notifiers []queue.ID, service queue.ID) ([]queue.Associated, error)
	// CountAssociated returns how many notifiers are associated with a service.
	CountAssociated(ctx context.Context, service queue.ID) (int64, error)
}
