package main

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"sotto/shared/admin"
	"sotto/shared/settings"
)

// An id, a key, and the id that is derived from the key, computed apart.
const (
	someID    = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"
	someKey   = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"
	derivedID = "e7bKxt3aBWYd5zqZdJJsTT0w89024ONl"
	someRelay = "rRepBUq6hvnP0OfvUwf82_27-9RT0Nvq8X6aZT_nzZU=@smp.example.org,pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscryd.onion:5223"
)

func TestFindQueue(t *testing.T) {
	hosts := strings.SplitN(someRelay, "@", 2)[1]
	carried := func(queues string) string { return "#/?v=2-7&smp=" + url.QueryEscape(queues) + "&e2e=v%3D2" }
	queue := "smp://" + someRelay + "/" + someID + "#/?v=1-4&dh=MCowBQYDK2VuAyEAaPZLWTIsQBXCZYkhIGY0_dSHlKhIuo6mA8S4Lq-uXSs%3D&q=c"
	sender := admin.Subject{ID: someID, Kind: kindSender, Host: hosts}
	for text, want := range map[string]admin.Subject{
		someID:                             {ID: someID},
		"-_8yMzQ1Njc4OWFiY2RlZjAxMjM0NTY3": {ID: "-_8yMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"},
		"+/8yMzQ1Njc4OWFiY2RlZjAxMjM0NTY3": {ID: "-_8yMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"},

		"https://smp.example.org/a#" + someKey:                       {ID: derivedID, Kind: kindLink, Host: "smp.example.org"},
		"https://smp.example.org:8443/a/#" + someKey + "?c=x&p=5223": {ID: derivedID, Kind: kindLink, Host: "smp.example.org:8443"},
		"https://smp.example.org/c#" + someKey + "=":                 {ID: derivedID, Kind: kindLink, Host: "smp.example.org"},
		"https://smp.example.org/g#" + someKey + "?h=x.onion":        {ID: derivedID, Kind: kindLink, Host: "smp.example.org"},
		"https://smp.example.org/r#" + someKey:                       {ID: derivedID, Kind: kindLink, Host: "smp.example.org"},
		"simplex:/a#" + someKey + "?h=smp.example.org%2Cx.onion":     {ID: derivedID, Kind: kindLink, Host: "smp.example.org,x.onion"},
		"https://smp.example.org/i#" + someID + "/" + someKey:        {ID: someID, Kind: kindLink, Host: "smp.example.org"},
		"simplex:/i#" + someID + "/" + someKey + "?h=a.example&p=1":  {ID: someID, Kind: kindLink, Host: "a.example"},

		queue: sender,
		"smp://" + someRelay + "/" + someID + "#MCowBQYDK2VuAyEA": sender,
		"smp://" + someRelay + "/" + someID + "/#/?v=1":           sender,
		"simplex:/contact" + carried(queue):                       sender,
		"simplex:/invitation" + carried(queue):                    sender,
		"https://simplex.chat/contact" + carried(queue):           sender,
		"https://simplex.chat/invitation/" + carried(queue):       sender,
	} {
		got, err := findQueue(text)
		if err != nil || got != want {
			t.Errorf("%s\nis %+v, %v", text, got, err)
		}
	}
}

// What is no queue is a mistake of the person's, and is not quoted: it may have a key.
func TestFindNoQueue(t *testing.T) {
	for _, text := range []string{
		"", " ", "x", someID[1:], someID + "A", someKey, "https://smp.example.org/", "https://smp.example.org/a", "https://smp.example.org/a#" + someID,
		"https://smp.example.org/i#" + someKey, "https://smp.example.org/x#" + someKey, "ftp://smp.example.org/a#" + someKey,
		"smp://" + someRelay, "smp://" + someRelay + "/", "smp://" + someID, "simplex:/contact#/?v=2", "simplex:/contact#/?smp=%zz",
		"simplex:/contact#/?smp=" + someKey, "simplex:/file#/?desc=" + someKey, "https://a b/a#" + someKey, "://" + someKey,
		"simplex:/contact#/?smp=smp%3A%2F%2Fa%40b%2F" + someID + "%23x%3Bsmp%3A%2F%2Fa%40b%2F" + someID + "%23x",
	} {
		got, err := findQueue(text)
		var mistake settings.Error
		if !errors.As(err, &mistake) {
			t.Errorf("%q is %+v, %v", text, got, err)
			continue
		}
		if strings.Contains(err.Error(), someKey) || strings.Contains(err.Error(), someID) {
			t.Errorf("%q is quoted: %v", text, err)
		}
	}
}
