package web

import "strings"

// link is a kind of links that apps make. What it leads to follows # and stays in the browser.
type link struct {
	path         string
	title, about string
	once         bool // it connects one person, once
	claimed      bool // by the apps, in the files of their makers
}

// links are all kinds. Those with a path of one letter lead to data on the relay, the others carry it.
var links = []link{
	{path: "a", title: "A contact address", about: "Open it in SimpleX Chat to write to its owner.", claimed: true},
	{path: "c", title: "A channel", about: "Open it in SimpleX Chat to join the channel.", claimed: true},
	{path: "g", title: "A group", about: "Open it in SimpleX Chat to join the group.", claimed: true},
	{path: "i", title: "An invitation", about: inviteAbout, once: true, claimed: true},
	{path: "r", title: "A chat relay", about: "Open it in SimpleX Chat to see the chat relay."},
	{path: "contact", title: "An address", about: addressAbout, claimed: true},
	{path: "invitation", title: "An invitation", about: inviteAbout, once: true, claimed: true},
}

const (
	addressAbout = "Open it in SimpleX Chat to write to its owner, or to join a group."
	inviteAbout  = "Open it in SimpleX Chat to connect with the person who made it. It works once."
)

// linkAt finds the kind of links with this path, which may end with a slash.
func linkAt(path string) (link, bool) {
	path = strings.TrimSuffix(strings.TrimPrefix(path, "/"), "/")
	for _, l := range links {
		if l.path == path {
			return l, true
		}
	}
	return link{}, false
}
