package smptest

import (
	"strings"
	"testing"

	"sotto/services/smp/internal/server"
	"sotto/services/smp/internal/store/memstore"
)

func TestConversations(t *testing.T) { RunConversations(t, nil) }

func TestConversationsOverSockets(t *testing.T) {
	RunConversations(t, func(_ testing.TB, quota int) server.Store { return memstore.New(quota) })
}

// TestMistakesAreFound: a runner that accepts everything would be of no use.
func TestMistakesAreFound(t *testing.T) {
	for name, text := range map[string]string{
		"no step":          "alice says hello",
		"no block":         "& PING",
		"no such keys":     "keys: rsa",
		"no such version":  "versions: new",
		"open guard":       "[6 alice> PING",
		"open quote":       `alice> SEND q "hello`,
		"option twice":     "alice> PING corr=a corr=b",
		"wait how long":    "wait a while",
		"header too late":  "alice> PING\nversions: 6",
		"continued guards": "[6] wait 1s\n& PING",
	} {
		if _, err := ParseConversation(name, text); err == nil {
			t.Errorf("%s: accepted", name)
		} else if !strings.HasPrefix(err.Error(), name+":") {
			t.Errorf("%s: the error does not say where: %v", name, err)
		}
	}
}
