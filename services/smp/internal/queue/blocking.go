package queue

// Blocking says why an operator blocked a queue. Spec: smp.md 7.5.
type Blocking struct {
	Reason    string // "spam" or "content"
	HasNotice bool
	NoticeTTL int64 // seconds; 0: indefinite
	WasOff    bool  // its owner had suspended the queue before, so unblocking does not make it active
}

// Block makes the record that of a blocked queue. It is for stores, on a copy of their own.
//
// Spec: smp.md 8.3
func (q *Queue) Block(b Blocking) {
	b.WasOff = q.Status == Off || (q.Status == Blocked && q.Blocking.WasOff)
	q.Status, q.Blocking = Blocked, b
}

// Unblock makes the record of a blocked queue what it was before, and does nothing to others. It is for stores, on a
// copy of their own.
//
// Spec: smp.md 8.3
func (q *Queue) Unblock() {
	if q.Status != Blocked {
		return
	}
	q.Status = Active
	if q.Blocking.WasOff {
		q.Status = Off
	}
	q.Blocking = Blocking{}
}
