package main

import (
	"context"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/rs/zerolog"

	"sotto/shared/address"
	"sotto/shared/handover"
	"sotto/shared/run"
	"sotto/shared/settings"
	"sotto/shared/site"
	"sotto/shared/transport"
	"sotto/shared/web"
)

// openSite makes what the relay is to browsers.
func (c *Config) openSite(ctx context.Context, server address.Server, log zerolog.Logger) (*site.Site, error) {
	other, shared, err := c.other(server)
	if err != nil {
		return nil, err
	}
	o := site.Options{
		Prefix: prefix, Web: c.Web, Information: c.Information, Server: server, DatabaseURL: c.DatabaseURL, Log: log,
		Public: server.Port == "", // the default, 443
		Facts: web.Site{
			Kind: web.Files, Version: version, Password: c.CreatePassword != "", Open: c.NewFiles, TTL: c.FileTTL,
			Storage: int64(c.StorageQuota), Other: other, Shared: shared,
		},
	}
	if shared {
		o.Handler = func(own http.Handler) http.Handler { return site.Share(own, c.PagesFrom) }
	}
	return site.Open(ctx, o)
}

// other tells where the message relay's page is, and whether that is on this site.
func (c *Config) other(server address.Server) (page string, shared bool, err error) {
	if c.PagesHost == "" {
		return "", false, nil
	}
	other, err := settings.Advertised(address.SMP, "XFTP_PAGES_HOST", c.PagesHost, ":"+address.SMP.DefaultPort())
	if err != nil {
		return "", false, err
	}
	if slices.ContainsFunc(other.Hosts, func(h address.Host) bool { return slices.Contains(server.Hosts, h) }) {
		return "/", true, nil
	}
	if host := string(other.Hosts[0]); net.ParseIP(host) == nil {
		return "https://" + strings.ToLower(host) + "/", false, nil
	}
	return "", false, nil
}

// listenInner opens the ports for sessions that the front door of a message relay hands over.
func (c *Config) listenInner(ctx context.Context, limits transport.Limits) (run.Listeners, error) {
	limits.Sources = nil // whoever connects is the front door
	listeners, err := run.Listen(ctx, "XFTP_INNER_LISTEN", c.InnerListen, limits)
	for i, ln := range listeners {
		listeners[i] = handover.Listener{Listener: ln}
	}
	return listeners, err
}
