package main

import (
	"crypto/hkdf"
	"crypto/sha512"
	"encoding/base64"
	"net/url"
	"strings"

	"sotto/services/smp/internal/queue"
	"sotto/shared/admin"
	"sotto/shared/settings"
)

// Kinds of ids.
const (
	kindSender = "sender"
	kindLink   = "link"
)

// Of a link to an address, a group or a channel, the id of its data is derived from the key that opens them. The relay may
// know the id and not the key.
const (
	linkKeySize = 32
	linkInfo    = "SimpleXContactLink"
)

// errQueue is what a mistake in what was pasted gets. It does not quote it.
var errQueue = settings.Bad("this is no id of a queue and no link to one: paste an id, 32 characters, or the whole link, with quotes around it")

// findQueues reads an id, or a link.
func findQueues(text string) ([]admin.Subject, error) {
	subject, err := findQueue(text)
	return []admin.Subject{subject}, err
}

// findQueue reads an id, or a link. Links that are longer carry what short ones lead to.
func findQueue(text string) (admin.Subject, error) {
	if id, ok := parseID(text); ok {
		return admin.Subject{ID: id}, nil
	}
	at, err := url.Parse(text)
	if err != nil {
		return admin.Subject{}, errQueue
	}
	if at.Scheme == "smp" {
		return findSender(text)
	}
	path := strings.Trim(at.Path, "/")
	if at.Scheme == "simplex" {
		path = strings.Trim(at.Path+at.Opaque, "/")
	} else if at.Scheme != "https" && at.Scheme != "http" {
		return admin.Subject{}, errQueue
	}
	data, params := cutParams(at.EscapedFragment())
	switch path {
	case "contact", "invitation":
		return findCarried(params)
	case "a", "c", "g", "r":
		return findDerived(at.Host, data, params)
	case "i":
		return findInvitation(at.Host, data, params)
	}
	return admin.Subject{}, errQueue
}

// cutParams cuts what follows # in a link into its data and its parameters.
func cutParams(fragment string) (data string, params url.Values) {
	data, query, _ := strings.Cut(fragment, "?")
	params, err := url.ParseQuery(query)
	if err != nil {
		return data, nil
	}
	return strings.Trim(data, "/"), params
}

// findCarried reads the address of the queue that a long link carries.
func findCarried(params url.Values) (admin.Subject, error) {
	queues := strings.FieldsFunc(params.Get("smp"), func(r rune) bool { return r == ';' })
	switch len(queues) {
	case 1:
		return findSender(queues[0])
	case 0:
		return admin.Subject{}, errQueue
	}
	return admin.Subject{}, settings.Bad("the link has more than one queue: paste the address of one of them, smp://...")
}

// findSender reads the sender id in the address of a queue: smp://fingerprint@hosts/id#...
func findSender(text string) (admin.Subject, error) {
	rest, _, _ := strings.Cut(strings.TrimPrefix(text, "smp://"), "#")
	_, rest, ok := strings.Cut(rest, "@")
	hosts, path, _ := strings.Cut(rest, "/")
	id, valid := parseID(strings.Trim(path, "/"))
	if !ok || !valid {
		return admin.Subject{}, errQueue
	}
	return admin.Subject{ID: id, Kind: kindSender, Host: hosts}, nil
}

// findDerived derives the link id of a short link from its key.
func findDerived(host, data string, params url.Values) (admin.Subject, error) {
	key, err := decodeBase64(data)
	if err != nil || len(key) != linkKeySize {
		return admin.Subject{}, errQueue
	}
	id, err := hkdf.Key(sha512.New, key, nil, linkInfo, queue.IDSize)
	if err != nil {
		return admin.Subject{}, err
	}
	return admin.Subject{ID: base64.RawURLEncoding.EncodeToString(id), Kind: kindLink, Host: relayOf(host, params)}, nil
}

// findInvitation reads the link id of an invitation, which is before the key.
func findInvitation(host, data string, params url.Values) (admin.Subject, error) {
	text, _, _ := strings.Cut(data, "/")
	id, ok := parseID(text)
	if !ok {
		return admin.Subject{}, errQueue
	}
	return admin.Subject{ID: id, Kind: kindLink, Host: relayOf(host, params)}, nil
}

// relayOf names the relay of a short link: its host, unless that is left out.
func relayOf(host string, params url.Values) string {
	if host == "" {
		host = params.Get("h")
	}
	return host
}

// parseID reads an id and writes it in one form.
func parseID(text string) (string, bool) {
	id, err := decodeBase64(text)
	return base64.RawURLEncoding.EncodeToString(id), err == nil && len(id) == queue.IDSize
}

// decodeBase64 takes what programs write: of both alphabets, with padding or without it.
func decodeBase64(text string) ([]byte, error) {
	text = strings.NewReplacer("+", "-", "/", "_").Replace(strings.TrimRight(text, "="))
	return base64.RawURLEncoding.Strict().DecodeString(text)
}
