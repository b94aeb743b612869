package smp

import (
	"encoding/base64"
	"encoding/json"
	"strconv"
	"time"

	"sotto/shared/wire"
)

// SubscriptionState is what a connection is to a queue, in the words of INFO.
//
// Spec: smp.md 9.9
type SubscriptionState string

// Subscription states, with their wire form. Relays of this kind report the first and the last.
const (
	StateSubscribed SubscriptionState = "noSub"
	StatePending    SubscriptionState = "subPending"
	StateThread     SubscriptionState = "subThread"
	StateGetOnly    SubscriptionState = "prohibitSub"
)

// QueueInfo is the state of a queue as QUE reports it to the recipient.
//
// Spec: smp.md 9.9
type QueueInfo struct {
	Secured      bool
	HasNotifier  bool
	Subscription *SubscriptionInfo // of the asking connection; nil: it has no state for the queue
	Size         int               // entries, the quota marker included
	Head         *HeadInfo         // the first entry; nil: the queue is empty
}

// SubscriptionInfo is what the asking connection is to the queue.
//
// Spec: smp.md 9.9
type SubscriptionInfo struct {
	State     SubscriptionState
	Delivered MessageID // delivered and not yet acknowledged; nil: none
}

// HeadInfo describes the first entry of a queue.
//
// Spec: smp.md 9.9
type HeadInfo struct {
	MessageID MessageID
	Time      time.Time
	Quota     bool // it is the quota marker
}

// AppendJSON appends the JSON that INFO carries.
//
// Spec: smp.md 9.9
func (q QueueInfo) AppendJSON(dst []byte) []byte {
	dst = strconv.AppendBool(append(dst, `{"qiSnd":`...), q.Secured)
	dst = strconv.AppendBool(append(dst, `,"qiNtf":`...), q.HasNotifier)
	if s := q.Subscription; s != nil {
		dst = append(append(dst, `,"qiSub":{"qSubThread":"`...), s.State...)
		if s.Delivered != nil {
			dst = base64.StdEncoding.AppendEncode(append(dst, `","qDelivered":"`...), s.Delivered)
		}
		dst = append(dst, `"}`...)
	}
	dst = strconv.AppendInt(append(dst, `,"qiSize":`...), int64(q.Size), 10)
	if h := q.Head; h != nil {
		dst = base64.StdEncoding.AppendEncode(append(dst, `,"qiMsg":{"msgId":"`...), h.MessageID)
		dst = h.Time.UTC().AppendFormat(append(dst, `","msgTs":"`...), time.RFC3339Nano)
		dst = append(append(dst, `","msgType":"`...), messageType(h.Quota)...)
		dst = append(dst, `"}`...)
	}
	return append(dst, '}')
}

func messageType(quota bool) string {
	if quota {
		return "quota"
	}
	return "message"
}

// ParseQueueInfo parses the JSON that INFO carries. Members it does not know are ignored. The error is
// [wire.ErrSyntax].
//
// Spec: smp.md 9.9
func ParseQueueInfo(b []byte) (QueueInfo, error) {
	var in struct {
		Secured     *bool `json:"qiSnd"`
		HasNotifier *bool `json:"qiNtf"`
		Sub         *struct {
			State     SubscriptionState `json:"qSubThread"`
			Delivered []byte            `json:"qDelivered"`
		} `json:"qiSub"`
		Size *int `json:"qiSize"`
		Head *struct {
			ID   []byte    `json:"msgId"`
			Time time.Time `json:"msgTs"`
			Type string    `json:"msgType"`
		} `json:"qiMsg"`
	}
	if err := json.Unmarshal(b, &in); err != nil || in.Secured == nil || in.HasNotifier == nil || in.Size == nil {
		return QueueInfo{}, wire.ErrSyntax
	}
	q := QueueInfo{Secured: *in.Secured, HasNotifier: *in.HasNotifier, Size: *in.Size}
	if s := in.Sub; s != nil {
		q.Subscription = &SubscriptionInfo{State: s.State, Delivered: s.Delivered}
		switch s.State {
		case StateSubscribed, StatePending, StateThread, StateGetOnly:
		default:
			return QueueInfo{}, wire.ErrSyntax
		}
	}
	if h := in.Head; h != nil {
		q.Head = &HeadInfo{MessageID: h.ID, Time: h.Time.UTC(), Quota: h.Type == messageType(true)}
		if year := q.Head.Time.Year(); year < 0 || year > 9999 || h.Type != messageType(q.Head.Quota) {
			return QueueInfo{}, wire.ErrSyntax
		}
	}
	return q, nil
}
