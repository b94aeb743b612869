package main

import (
	"sotto/services/smp/internal/proxy"
	"sotto/shared/admin"
)

// routing is the part of the status about private routing: sessions with other relays now, and sums since the start.
type routing struct {
	Sessions       int    `json:"sessions"`
	Connected      uint64 `json:"connected"`
	ConnectFailed  uint64 `json:"connectFailed"`
	Forwarded      uint64 `json:"forwarded"`
	ForwardFailed  uint64 `json:"forwardFailed"`
	ForwardRefused uint64 `json:"forwardRefused"`
}

// routing sums up over all relays.
func (a administered) routing() *routing {
	if a.relays == nil {
		return nil
	}
	n := a.relays.Stats()
	r := &routing{Sessions: n.Sessions}
	for kind := range proxy.Kinds {
		for outcome := range proxy.Outcomes {
			connects, forwards := n.Connects[kind][outcome], n.Forwards[kind][outcome]
			switch proxy.Outcome(outcome) {
			case proxy.OutcomeOK:
				r.Connected += connects
				r.Forwarded += forwards
			case proxy.OutcomeRefused:
				r.ConnectFailed += connects
				r.ForwardRefused += forwards
			default:
				r.ConnectFailed += connects
				r.ForwardFailed += forwards
			}
		}
	}
	return r
}

// row tells a person.
func (r *routing) row() admin.Row {
	row := admin.Row{Name: "private routing", Value: "off"}
	if r != nil {
		row.Value = admin.Number(r.Sessions) + " relays connected, " + admin.Number(r.ConnectFailed) + " attempts failed; " +
			admin.Number(r.Forwarded) + " forwarded, " + admin.Number(r.ForwardRefused+r.ForwardFailed) + " failed"
	}
	return row
}
