package smptest

import (
	"embed"
	"path"
	"strconv"
	"strings"
	"testing"

	"sotto/services/smp/internal/server"
	"sotto/shared/key"
	"sotto/shared/wire"
)

//go:embed testdata/conversations/*.txt
var texts embed.FS

// Conversations returns those of testdata/conversations.
func Conversations(t testing.TB) []*Conversation {
	t.Helper()
	const dir = "testdata/conversations"
	entries, err := texts.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []*Conversation
	for _, e := range entries {
		text, err := texts.ReadFile(path.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		c, err := ParseConversation(strings.TrimSuffix(e.Name(), ".txt"), string(text))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	return all
}

// RunConversations runs all conversations, at each of their versions and with each of their keys, in bubbles. With
// open, which makes the store for a quota, they run over sockets instead, because a bubble cannot wait for what is
// outside; those that let time pass are then left out.
func RunConversations(t *testing.T, open func(testing.TB, int) server.Store) {
	for _, c := range Conversations(t) {
		t.Run(c.Name, func(t *testing.T) {
			if c.Timed && open != nil {
				t.Skip("needs a bubble")
			}
			for _, v := range c.Versions {
				for _, alg := range c.Keys {
					t.Run(runName(v, alg, len(c.Keys) > 1), func(t *testing.T) { c.Run(t, v, alg, open == nil, open) })
				}
			}
		})
	}
}

func runName(v wire.Version, alg key.Algorithm, withKey bool) string {
	name := "v" + strconv.Itoa(int(v))
	if withKey {
		name += "-" + alg.String()
	}
	return name
}
