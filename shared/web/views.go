package web

import (
	"fmt"
	"html/template"
	"net/url"
	"strings"
	"time"

	"sotto/shared/address"
	"sotto/shared/settings"
)

// frame is what all pages have.
type frame struct {
	Title, Description string
	Assets             string // where the assets are
	Script             string // one of them, or none
}

// linkView is the page of a kind of links.
type linkView struct {
	frame
	Path, Heading, About, Host string
}

// informationView is the page of a relay.
type informationView struct {
	frame
	Kind, Lead       string
	Host             []string // in parts, between which lines may break
	State, StateText string
	Address          string
	Code             template.HTML
	Scan, Notes      []string
	Facts            []fact
	Operator         []row
	Other, OtherText string
	Version          string
	SourceCode       string
}

// fact is something about the relay, with a heading.
type fact struct{ Heading, Text string }

// row is a term with what there is to say about it.
type row struct {
	Term  string
	Items []item
}

// item is a text, perhaps with a link; Code is an exact one, for comparison.
type item struct {
	Text, Code string
	Link       template.URL // checked: of http, https, mailto or simplex
}

// scan is the way to where the app scans a relay's code.
var scan = []string{"Network & servers", "Your servers", "Add server", "Scan server QR code"}

func (s Site) information(server address.Server, code template.HTML) informationView {
	host := string(server.Hosts[0])
	v := informationView{
		Host: strings.SplitAfter(host, "."), Address: s.Address, Code: code, Scan: scan, Notes: s.notes(server),
		Operator: s.Operator.rows(), Other: s.Other, Version: s.Version, SourceCode: s.Operator.SourceCode,
	}
	if s.Kind == Files {
		v.Kind, v.Lead, v.Facts, v.OtherText = "File relay", filesLead, s.fileFacts(), "Message relay"
	} else {
		v.Kind, v.Lead, v.Facts, v.OtherText = "Message relay", messagesLead, s.messageFacts(), "File relay"
	}
	v.State, v.StateText = s.state()
	v.frame = frame{
		Title: host + ": " + strings.ToLower(v.Kind) + " for SimpleX Chat", Description: v.Lead, Assets: assetsPath,
		Script: "information.mjs",
	}
	return v
}

// notes are what there is to say about the address.
func (s Site) notes(server address.Server) []string {
	var notes []string
	switch {
	case !s.Open && s.Kind == Files:
		notes = append(notes, "The relay takes no uploads at present. What is there can still be fetched.")
	case !s.Open:
		notes = append(notes, "The relay takes no new queues at present. Those that exist go on.")
	case s.Password:
		notes = append(notes, "The address here has no password. Ask the operator for it, and put it after the fingerprint: "+
			server.Scheme.String()+"fingerprint:password@host.")
	}
	if onion(server) {
		notes = append(notes, "The address has an onion name too: apps that use Tor reach the relay without leaving it.")
	}
	return notes
}

const (
	messagesLead = "It passes encrypted messages from one SimpleX Chat app to another, and keeps each only until it is " +
		"delivered."
	filesLead = "It holds encrypted files on their way from one SimpleX Chat app to another, for a while and no longer."
)

// state is a word for the style sheet and one for people.
func (s Site) state() (class, text string) {
	what := "new queues"
	if s.Kind == Files {
		what = "uploads"
	}
	switch {
	case !s.Open:
		return "closed", "Closed to " + what
	case s.Password:
		return "password", strings.ToUpper(what[:1]) + what[1:] + " need a password"
	default:
		return "open", "Open to everyone"
	}
}

const (
	silentHeading = "A silent log"
	silentText    = "The relay's program writes no IP addresses, keys, ids or contents to its log, and counts no visits " +
		"to this page."
)

func (s Site) messageFacts() []fact {
	undelivered := "What nobody collects stays until somebody does."
	if s.TTL > 0 {
		undelivered = "What nobody collects is removed after " + span(s.TTL) + "."
	}
	if s.Quota > 0 {
		undelivered += " A queue has room for " + count(s.Quota, "message") + "."
	}
	return []fact{
		{"Encrypted end to end", "The sender's app encrypts a message, and only the recipient's can open it. " +
			"The relay has no keys to it, and every message has the same size here."},
		{"Gone once delivered", "A message is removed as soon as the recipient's app confirms it. " + undelivered},
		{"No accounts", "A queue carries messages one way, for one contact. It has no user's name, number or profile, " +
			"and one id for its sender and another for its recipient."},
		{silentHeading, silentText},
	}
}

func (s Site) fileFacts() []fact {
	gone := fact{"Kept until deleted", "A chunk stays until its sender deletes it."}
	if s.TTL > 0 {
		gone = fact{
			"Gone after " + span(s.TTL),
			"Then a chunk is removed, whether or not anybody fetched it. Its sender can delete it before.",
		}
	}
	if s.Storage > 0 {
		gone.Text += " There is room for " + settings.Size(s.Storage).String() + " in all."
	}
	return []fact{
		{"Encrypted before it comes", "The sender's app encrypts a file, pads it, and cuts it into chunks of a few sizes. " +
			"The relay stores chunks: it has no keys to them, and no names of files."},
		gone,
		{"No accounts", "A chunk belongs to no user. It has one id for its sender and another for each recipient."},
		{silentHeading, silentText},
	}
}

// rows are what the operator tells.
func (o Operator) rows() []row {
	var rows []row
	add := func(term string, items ...item) {
		var told []item
		for _, i := range items {
			if i.Text != "" {
				told = append(told, i)
			}
		}
		if len(told) > 0 {
			rows = append(rows, row{term, told})
		}
	}
	add("Operator", item{Text: in(o.Operator, o.OperatorCountry)})
	add("Website", linked(o.Website))
	add("Contact", o.Admin.items()...)
	add("Complaints", o.Complaints.items()...)
	add("Server location", item{Text: country(o.ServerCountry)})
	add("Hosting", item{Text: in(o.Hosting, o.HostingCountry)}, item{Text: capital(hostingTypes[o.HostingType])})
	add("Conditions of use", named("Conditions", o.UsageConditions), named("Amendments", o.ConditionAmendments))
	return rows
}

func (c Contact) items() []item {
	mail := item{Text: c.Email, Link: template.URL("mailto:" + url.PathEscape(c.Email))}
	key := named("PGP key", c.PGP)
	key.Code = c.PGPFingerprint
	return []item{named("SimpleX address", c.SimpleX), mail, key}
}

// named is a link with a text of its own, or nothing.
func named(text, link string) item {
	if link == "" {
		return item{}
	}
	return item{Text: text, Link: template.URL(link)}
}

// linked is a link that shows where it leads.
func linked(link string) item {
	_, shown, _ := strings.Cut(link, "://")
	return named(strings.TrimSuffix(shown, "/"), link)
}

// in names somebody with their country, if it is known.
func in(name, code string) string {
	if code == "" {
		return name
	}
	return name + ", " + country(code)
}

func capital(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

// onion reports that the relay has a name in the Tor network.
func onion(server address.Server) bool {
	for _, h := range server.Hosts {
		if strings.HasSuffix(string(h), ".onion") {
			return true
		}
	}
	return false
}

// span writes a time as people say it: 21 days, 48 hours, 90 minutes. Two days are 48 hours, as everywhere in SimpleX.
func span(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d > 2*day && d%day == 0:
		return count(int(d/day), "day")
	case d%time.Hour == 0:
		return count(int(d/time.Hour), "hour")
	case d%time.Minute == 0:
		return count(int(d/time.Minute), "minute")
	default:
		return d.String()
	}
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
