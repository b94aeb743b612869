package main

import (
	"context"
	"net"
	"strings"

	"github.com/rs/zerolog"

	"sotto/shared/address"
	"sotto/shared/frontdoor"
	"sotto/shared/identity"
	"sotto/shared/run"
	"sotto/shared/settings"
	"sotto/shared/site"
	"sotto/shared/transport"
	"sotto/shared/web"
)

// front is what the relay has for browsers, and the port that it shares with them.
type front struct {
	site *site.Site      // nil: nothing for browsers
	door *frontdoor.Door // nil: no shared port
	// listeners are the ports of the door.
	listeners run.Listeners
}

// openFront opens what the settings ask for.
func (c *Config) openFront(ctx context.Context, server address.Server, id *identity.Identity, limits transport.Limits,
	log zerolog.Logger,
) (*front, error) {
	if c.FrontListen == "" && len(c.HTTPListen) == 0 && len(c.PagesListen) == 0 {
		return new(front), nil
	}
	files, err := c.fileHosts()
	if err != nil {
		return nil, err
	}
	s, err := site.Open(ctx, site.Options{
		Prefix: prefix, Web: c.Web, Information: c.Information, Server: server, Facts: c.facts(server, files),
		DatabaseURL: c.DatabaseURL, Public: c.FrontListen != "", Also: files, Log: log,
	})
	if err != nil {
		return nil, err
	}
	f := &front{site: s}
	if c.FrontListen == "" {
		return f, nil
	}
	listeners, err := run.ListenBehind(ctx, c.ProxyProtocol, "SMP_FRONT_LISTEN", []string{c.FrontListen}, limits)
	if err != nil {
		s.Close()
		return nil, err
	}
	f.listeners = listeners
	f.door = frontdoor.New(listeners[0], frontdoor.Options{
		Hosts: s.Names(), Identity: id, Certificates: c.ServiceCertificates,
		Certificate: s.Certificate, Challenge: s.Challenge, Pages: s.Pages, Log: log,
		Files: frontdoor.Files{Hosts: files, Address: c.FileRelay, Inner: c.FileRelayInner},
	})
	return f, nil
}

// fileHosts lists the names of the file relay.
func (c *Config) fileHosts() ([]string, error) {
	if c.FileHost == "" {
		return nil, nil
	}
	server, err := settings.Advertised(address.XFTP, "SMP_FILE_HOST", c.FileHost, ":"+address.XFTP.DefaultPort())
	if err != nil {
		return nil, err
	}
	var names []string
	for _, host := range server.Hosts {
		if net.ParseIP(string(host)) == nil { // which no client sends as a name
			names = append(names, strings.ToLower(string(host)))
		}
	}
	return names, nil
}

// facts are what the pages tell of the relay.
func (c *Config) facts(server address.Server, files []string) web.Site {
	s := web.Site{
		Kind: web.Messages, Version: version, Password: c.CreatePassword != "", Open: c.NewQueues, TTL: c.MessageTTL,
		Quota: c.QueueQuota,
	}
	switch {
	case len(files) == 0:
	case strings.EqualFold(files[0], string(server.Hosts[0])):
		s.Other = web.FilesPath
	default:
		s.Other = "https://" + files[0] + "/"
	}
	return s
}

// serve adds the front to what is served.
func (f *front) serve(ctx context.Context, p *run.Program) {
	if f.site != nil {
		f.site.Start(ctx)
		p.Parts = append(p.Parts, f.site.Parts()...)
	}
	if f.door != nil {
		p.Parts = append(p.Parts, f.door)
		p.Listeners = append(p.Listeners, f.door.Messages())
	}
}

// lines tell the operator what is there.
func (f *front) lines(c *Config) [][2]string {
	if f.site == nil {
		return nil
	}
	lines := [][2]string{{"certificate", f.site.State()}}
	if f.door != nil {
		behind := "messages and web pages"
		if c.FileRelay != "" {
			behind += ", files at " + c.FileRelay
		}
		lines = append(lines, [2]string{"front door", c.FrontListen + ": " + behind})
	}
	return lines
}

// close closes what is open.
func (f *front) close() {
	if f.site != nil {
		f.site.Close()
	}
	if f.door != nil {
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // what was served has ended in time, or not
		_ = f.door.Shutdown(ctx)
	}
}
