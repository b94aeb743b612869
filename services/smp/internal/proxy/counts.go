package proxy

import (
	"sync/atomic"

	"sotto/shared/smp"
)

type atomicCount = atomic.Uint64

// Outcome is what became of connecting, or of forwarding, as coarse as an operator needs it.
type Outcome uint8

// Outcomes.
const (
	OutcomeOK      Outcome = iota
	OutcomeNetwork         // NETWORK: TCP, TLS, DNS, a wrong certificate, or a connection lost
	OutcomeTimeout         // TIMEOUT
	OutcomeHost            // HOST: a destination that is not connected to
	OutcomeRelay           // the relay broke the protocol: TRANSPORT, RESPONSE, UNEXPECTED, CRYPTO
	OutcomeRefused         // PROTOCOL: the relay has answered with an error
	outcomes
)

// Outcomes are the names of the outcomes, in their order.
var Outcomes = [outcomes]string{"ok", "network", "timeout", "host", "relay", "refused"}

// Kinds are the names of the kinds of relays that are counted apart: others, and those in [Options.Domains].
var Kinds = [2]string{"other", "own"}

// Counts are what is counted since the start, over all relays of a kind. The tags name the metric and tell what it is.
type Counts[N any] struct {
	Connects [2][outcomes]N `metric:"smp_proxy_connects_total" labels:"relay,outcome" help:"Attempts to connect to other relays for clients, by kind of relay and outcome."`
	Forwards [2][outcomes]N `metric:"smp_proxy_forwards_total" labels:"relay,outcome" help:"Commands forwarded to other relays, by kind of relay and outcome."`
	Evicted  N              `metric:"smp_proxy_sessions_evicted_total" help:"Idle sessions with other relays closed to make room for others."`
	Full     N              `metric:"smp_proxy_sessions_refused_full_total" help:"Sessions with other relays refused because all that there may be are in use."`
}

// Stats is what was counted, and how many sessions there are now.
type Stats struct {
	Counts[uint64]
	Sessions int
}

func outcomeOf(err smp.Error) Outcome {
	switch err.(type) {
	case nil:
		return OutcomeOK
	case smp.ProtocolError:
		return OutcomeRefused
	}
	switch err {
	case smp.BrokerNetwork, smp.ProxyNoSession:
		return OutcomeNetwork
	case smp.BrokerTimeout:
		return OutcomeTimeout
	case smp.BrokerHost:
		return OutcomeHost
	}
	return OutcomeRelay
}

// kind is the place of a relay in [Kinds].
func kind(own bool) int {
	if own {
		return 1
	}
	return 0
}
