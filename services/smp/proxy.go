package main

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"sotto/services/smp/internal/proxy"
	"sotto/shared/address"
	"sotto/shared/settings"
	"sotto/shared/smp"
	"sotto/shared/wire"
)

// PrivateRouting is what the relay can be told about private routing. It is a part of its settings.
type PrivateRouting struct {
	// Proxy: whether clients may send to queues on other relays through this one. With CreatePassword, they must know it.
	Proxy bool `envconfig:"PROXY" default:"true"`
	// ProxyConcurrency: how many of these commands of one client are under way at a time; more wait.
	ProxyConcurrency int `envconfig:"PROXY_CONCURRENCY" default:"32"`
	// ProxyConnectTimeout: for connecting to a relay, hellos included.
	ProxyConnectTimeout time.Duration `envconfig:"PROXY_CONNECT_TIMEOUT" default:"45s"`
	// ProxyErrorTTL: how long a relay that could not be connected to is not tried again.
	ProxyErrorTTL time.Duration `envconfig:"PROXY_ERROR_TTL" default:"30s"`
	// ProxySessions: relays connected to at a time; then the one not used for longest makes room.
	ProxySessions int `envconfig:"PROXY_SESSIONS" default:"1000"`
	// ProxyDomains: the operator's own domains, comma-separated, whose relays are counted apart.
	ProxyDomains []string `envconfig:"PROXY_DOMAINS"`
	// ProxySocks: host:port of a SOCKS5 server for relays that have an onion name alone.
	ProxySocks string `envconfig:"PROXY_SOCKS"`
	// ProxySocksAll: connect to all relays through it.
	ProxySocksAll bool `envconfig:"PROXY_SOCKS_ALL" default:"false"`
	// ProxyAllow: hosts, or domains with all in them, that may be connected to, comma-separated; empty: all.
	ProxyAllow []string `envconfig:"PROXY_ALLOW"`
	// ProxyPorts: ports that may be connected to, numbers and ranges, comma-separated. Relays use 5223, 443 and ports of
	// their operators' choice, which are rarely below 1024, where other services are: strangers choose the destinations, and
	// nobody is to have this relay knock at mail servers.
	ProxyPorts []string `envconfig:"PROXY_PORTS" default:"443,1024-65535"`
	// ProxyAllowPrivate: relays may be in private networks, on this machine, or in others that are not the public one.
	ProxyAllowPrivate bool `envconfig:"PROXY_ALLOW_PRIVATE" default:"false"`
}

// check finds values that make no sense.
func (p *PrivateRouting) check() error {
	_, err := p.ports()
	socks := settings.CheckDial("SMP_PROXY_SOCKS", p.ProxySocks)
	if p.ProxySocksAll && p.ProxySocks == "" {
		socks = settings.Bad("SMP_PROXY_SOCKS_ALL is set without SMP_PROXY_SOCKS: say where the SOCKS server is")
	}
	return errors.Join(
		settings.CheckPositive(map[string]int64{
			"SMP_PROXY_CONCURRENCY":     int64(p.ProxyConcurrency),
			"SMP_PROXY_CONNECT_TIMEOUT": int64(p.ProxyConnectTimeout),
			"SMP_PROXY_ERROR_TTL":       int64(p.ProxyErrorTTL),
			"SMP_PROXY_SESSIONS":        int64(p.ProxySessions),
		}),
		checkHosts("SMP_PROXY_DOMAINS", p.ProxyDomains),
		checkHosts("SMP_PROXY_ALLOW", p.ProxyAllow),
		socks, err,
	)
}

// checkHosts checks the list of hosts or domains in the setting name.
func checkHosts(name string, hosts []string) error {
	for _, host := range hosts {
		if _, ok := address.ParseHost(host); !ok || strings.Trim(host, ".*") != host {
			return settings.Bad("%s=%s: %q is not a host or a domain, such as example.org", name, strings.Join(hosts, ","), host)
		}
	}
	return nil
}

// ports reads the ports that may be connected to.
func (p *PrivateRouting) ports() (ranges []proxy.PortRange, err error) {
	for _, text := range p.ProxyPorts {
		first, last, ok := strings.Cut(text, "-")
		if !ok {
			last = first
		}
		low, errLow := strconv.ParseUint(first, 10, 16)
		high, errHigh := strconv.ParseUint(last, 10, 16)
		if errLow != nil || errHigh != nil || low == 0 || low > high {
			return nil, settings.Bad("SMP_PROXY_PORTS=%s: %q is not a port or a range of ports, such as 443 or 1024-65535",
				strings.Join(p.ProxyPorts, ","), text)
		}
		ranges = append(ranges, proxy.PortRange{Min: uint16(low), Max: uint16(high)})
	}
	return ranges, nil
}

// proxy returns the sessions with other relays, none yet; nil if clients may not have any.
func (c *Config) proxy(log zerolog.Logger) (*proxy.Relays, error) {
	if !c.Proxy {
		return nil, nil
	}
	ports, err := c.ports()
	if err != nil {
		return nil, err
	}
	return proxy.New(proxy.Options{
		ConnectTimeout: c.ProxyConnectTimeout,
		ErrorTTL:       c.ProxyErrorTTL,
		MaxSessions:    c.ProxySessions,
		// SMP_MIN_VERSION and SMP_MAX_VERSION are what this relay offers to its own clients.
		Versions:     wire.VersionRange{Min: smp.MinVersion, Max: smp.MaxVersion},
		Domains:      c.ProxyDomains,
		Allow:        c.ProxyAllow,
		Ports:        ports,
		AllowPrivate: c.ProxyAllowPrivate,
		Socks:        c.ProxySocks,
		SocksAll:     c.ProxySocksAll,
		Log:          log,
	})
}

// proxied is what there is to tell of private routing.
func proxied(relays *proxy.Relays) proxy.Stats {
	if relays == nil {
		return proxy.Stats{}
	}
	return relays.Stats()
}
