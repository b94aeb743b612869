package queue

// Lookup is the result of looking up several queues at once, in the order of the ids asked for.
type Lookup struct {
	Queues []*Queue // nil: unknown
	Cached []bool   // this answer needed no round trip to the database
}

// NewMessage is a message on its way into a queue.
type NewMessage struct {
	Queue   Ref
	Message *Message
}

// Appended is the outcome of one append.
type Appended struct {
	// WasEmpty: the queue had no entry before this one, so a subscriber may be sent it now.
	WasEmpty bool
	// Err is ErrQuota (the store keeps a quota marker, with the id and time of the first message refused),
	// ErrNotFound, or storage trouble.
	Err error
}

// Acknowledgement names the entry that a recipient has received.
type Acknowledgement struct {
	Queue Ref
	ID    MessageID
}

// Head is the first entry of a queue, nil when it is empty.
type Head struct {
	Message *Message
	Err     error
}

// Notification tells a notifier that a message came. Of the notifier, stores are given the id only. Spec: smp.md 10.4.
type Notification struct {
	Notifier  Notifier
	MessageID MessageID
	Time      int64 // nanoseconds since the Unix epoch, when the relay accepted the message
}

// Saved is what a store says of a notification that it was given.
type Saved struct {
	Gone    bool // there is no such notifier; nothing was saved
	Service ID   // that is associated with the notifier; zero: none
}

// Ended are credentials for notifications that a queue has no more; zero: there were none.
type Ended struct {
	ID      ID
	Service ID // that was associated; zero: none
}

// Associated is what a store says of a notifier that was associated with a service, or with none.
type Associated struct {
	Gone   bool // there is no such notifier
	Before ID   // the service that it was associated with; zero: none
}
