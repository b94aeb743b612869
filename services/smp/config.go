package main

import (
	"errors"
	"time"

	"sotto/services/smp/internal/proxy"
	"sotto/services/smp/internal/server"
	"sotto/shared/address"
	"sotto/shared/limit"
	"sotto/shared/settings"
	"sotto/shared/smp"
	"sotto/shared/transport"
	"sotto/shared/wire"
)

// Config is everything that can be set, by environment variables named SMP_ and the field's name in the tag.
// An empty environment runs. Durations are written as in Go: 90s, 15m, 504h. A test keeps .env.example in step.
type Config struct {
	// Listen: addresses to serve SMP on, comma-separated host:port; the host may be left out.
	Listen []string `envconfig:"LISTEN" default:":5223"`
	// Host: the names or addresses that clients reach the relay by, comma-separated, as they go into its address;
	// :port is allowed after the last. Without a port it is that of the first listener.
	Host string `envconfig:"HOST" default:"localhost"`
	// DataDir: where the identity is kept. Back it up: it is the relay's address.
	DataDir string `envconfig:"DATA_DIR" default:"./data/smp"`
	// DatabaseURL: the Postgres database for queues and messages, as postgres://user:password@host/name.
	DatabaseURL string `envconfig:"DATABASE_URL"`
	// DatabaseURLFile: a file that holds the URL instead.
	DatabaseURLFile string `envconfig:"DATABASE_URL_FILE"`
	// CreatePassword: who may create queues must know it; it becomes part of the address. Empty: anyone may.
	CreatePassword string `envconfig:"CREATE_PASSWORD"`
	// CreatePasswordFile: a file that holds the password instead.
	CreatePasswordFile string `envconfig:"CREATE_PASSWORD_FILE"`
	// CACert, Cert, Key: PEM files of an existing identity instead of the one in DataDir: the offline certificate,
	// the Ed25519 online certificate that it issued, and the online certificate's key. All three or none.
	CACert string `envconfig:"CA_CERT"`
	Cert   string `envconfig:"CERT"`
	Key    string `envconfig:"KEY"`
	// NewQueues: whether queues may be created at all.
	NewQueues bool `envconfig:"NEW_QUEUES" default:"true"`
	// MinVersion, MaxVersion: the range of protocol versions that is offered, within 6 to 18.
	MinVersion uint16 `envconfig:"MIN_VERSION" default:"6"`
	MaxVersion uint16 `envconfig:"MAX_VERSION" default:"18"`
	// QueueQuota: messages that a queue holds before senders are told that it is full.
	QueueQuota int `envconfig:"QUEUE_QUOTA" default:"128"`
	// MessageTTL: undelivered messages are removed after this time; 0 keeps them for ever.
	MessageTTL time.Duration `envconfig:"MESSAGE_TTL" default:"504h"`
	// ExpiryInterval: how often all queues are searched for such messages.
	ExpiryInterval time.Duration `envconfig:"EXPIRY_INTERVAL" default:"2h"`
	// ExpireOnStart: search once at start.
	ExpireOnStart bool `envconfig:"EXPIRE_ON_START" default:"true"`
	// ExpireOnSend: search a queue before a message is added to it.
	ExpireOnSend bool `envconfig:"EXPIRE_ON_SEND" default:"true"`
	// EndInterval: how long the news that a subscription ended is held back, to send it together with others.
	EndInterval time.Duration `envconfig:"END_INTERVAL" default:"15s"`
	// NotificationInterval: how often the notifications that have come are delivered.
	NotificationInterval time.Duration `envconfig:"NOTIFICATION_INTERVAL" default:"1500ms"`
	// NotificationTTL: notifications that nobody has taken are removed after this time.
	NotificationTTL time.Duration `envconfig:"NOTIFICATION_TTL" default:"24h"`
	// InactiveTTL: a connection without subscriptions that is silent this long is closed; 0 never closes it.
	InactiveTTL time.Duration `envconfig:"INACTIVE_TTL" default:"6h"`
	// InactiveInterval: how often connections are checked for that.
	InactiveInterval time.Duration `envconfig:"INACTIVE_INTERVAL" default:"1h"`
	// TLSTimeout: from a connection's arrival to the end of its TLS handshake.
	TLSTimeout time.Duration `envconfig:"TLS_TIMEOUT" default:"60s"`
	// HandshakeTimeout: for the SMP handshake that follows.
	HandshakeTimeout time.Duration `envconfig:"HANDSHAKE_TIMEOUT" default:"120s"`
	// ServiceCertificates: whether clients are asked for certificates in their TLS handshake. Services have one, which
	// lets them subscribe to all their queues at once; others need none.
	ServiceCertificates bool `envconfig:"SERVICE_CERTIFICATES" default:"true"`
	// StallTimeout: a client that takes longer to send, or to take, one block of 16 KB is disconnected.
	StallTimeout time.Duration `envconfig:"STALL_TIMEOUT" default:"2m"`
	// ConnectionQueue: groups of answers that wait for one connection before it is no longer read from.
	ConnectionQueue int `envconfig:"CONNECTION_QUEUE" default:"128"`
	// MaxConnections: clients connected at a time to one listener; more are turned away.
	MaxConnections int `envconfig:"MAX_CONNECTIONS" default:"50000"`
	// MaxHandshakes: of these, clients in their TLS handshake; newer ones replace the oldest.
	MaxHandshakes int `envconfig:"MAX_HANDSHAKES" default:"4096"`
	// MaxConnectionsPerSource: of these, from one source: an IPv4 address or an IPv6 /64; 0: no bound.
	MaxConnectionsPerSource int `envconfig:"MAX_CONNECTIONS_PER_SOURCE" default:"2000"`
	// HandshakeRate: how often a source may connect per minute; 0: no bound. What it does not use, of this and the
	// following, is saved for ten minutes.
	HandshakeRate int `envconfig:"HANDSHAKE_RATE" default:"600"`
	// NewRate: how many queues a source may create per minute, and a connection a quarter of it; 0: no bound.
	NewRate int `envconfig:"NEW_RATE" default:"300"`
	// ProxyRate: how many sessions with other relays a source may ask for per minute, and a connection a quarter of it; 0:
	// no bound.
	ProxyRate int `envconfig:"PROXY_RATE" default:"600"`
	// MaxQueues: when there are so many queues no more are created; 0: no bound.
	MaxQueues int64 `envconfig:"MAX_QUEUES" default:"0"`
	// StoreTimeout: how long a command waits for a database that is away before it is answered with an error.
	StoreTimeout time.Duration `envconfig:"STORE_TIMEOUT" default:"10s"`
	// FrontListen: an address to share between SMP, web pages and the file relay, the front door. :443 is what apps and
	// browsers expect. Empty: there is no front door.
	FrontListen string `envconfig:"FRONT_LISTEN"`
	// FileRelay: host:port of a file relay behind the front door.
	FileRelay string `envconfig:"FILE_RELAY"`
	// FileRelayInner: host:port where the file relay takes sessions whose TLS ended at the front door, XFTP_INNER_LISTEN
	// there. Only these two may be in that network.
	FileRelayInner string `envconfig:"FILE_RELAY_INNER"`
	// FileHost: the names of the file relay, comma-separated, XFTP_HOST there. Browsers that ask for them are led to it.
	FileHost string `envconfig:"FILE_HOST"`
	PrivateRouting
	settings.Web
	settings.Metrics
	settings.Information
	settings.Admin
	// LogLevel: debug, info, warn or error. No level logs ids, addresses, keys or contents.
	LogLevel string `envconfig:"LOG_LEVEL" default:"info"`
	// LogFormat: text for people, json for machines.
	LogFormat string `envconfig:"LOG_FORMAT" default:"text"`
}

// prefix is that of all environment variables of this binary.
const prefix = "SMP"

// LoadConfig reads and checks the whole environment.
func LoadConfig() (*Config, error) {
	var c Config
	if err := settings.Load(prefix, &c); err != nil {
		return nil, err
	}
	return &c, c.Validate()
}

// Validate finds values that make no sense, alone or together.
func (c *Config) Validate() error {
	if c.MinVersion < uint16(smp.MinVersion) || c.MaxVersion > uint16(smp.MaxVersion) || c.MinVersion > c.MaxVersion {
		return settings.Bad("SMP_MIN_VERSION=%d and SMP_MAX_VERSION=%d must be a range within %d to %d",
			c.MinVersion, c.MaxVersion, smp.MinVersion, smp.MaxVersion)
	}
	for _, err := range []error{
		c.identity().Check(prefix),
		settings.CheckPassword("SMP_CREATE_PASSWORD", c.CreatePassword),
		settings.CheckLogFormat("SMP_LOG_FORMAT", c.LogFormat),
		c.checkNumbers(),
		settings.CheckListen("SMP_LISTEN", c.Listen),
		c.Web.Check(prefix),
		c.Metrics.Check(prefix),
		c.checkFront(),
		c.PrivateRouting.check(),
	} {
		if err != nil {
			return err
		}
	}
	_, err := c.Hosts()
	return err
}

func (c *Config) checkNumbers() error {
	return errors.Join(settings.CheckPositive(map[string]int64{
		"SMP_QUEUE_QUOTA":           int64(c.QueueQuota),
		"SMP_CONNECTION_QUEUE":      int64(c.ConnectionQueue),
		"SMP_MAX_CONNECTIONS":       int64(c.MaxConnections),
		"SMP_MAX_HANDSHAKES":        int64(c.MaxHandshakes),
		"SMP_EXPIRY_INTERVAL":       int64(c.ExpiryInterval),
		"SMP_END_INTERVAL":          int64(c.EndInterval),
		"SMP_NOTIFICATION_INTERVAL": int64(c.NotificationInterval),
		"SMP_NOTIFICATION_TTL":      int64(c.NotificationTTL),
		"SMP_INACTIVE_INTERVAL":     int64(c.InactiveInterval),
		"SMP_TLS_TIMEOUT":           int64(c.TLSTimeout),
		"SMP_HANDSHAKE_TIMEOUT":     int64(c.HandshakeTimeout),
		"SMP_STALL_TIMEOUT":         int64(c.StallTimeout),
		"SMP_STORE_TIMEOUT":         int64(c.StoreTimeout),
	}), settings.CheckNotNegative(map[string]int64{
		"SMP_MESSAGE_TTL":                int64(c.MessageTTL),
		"SMP_INACTIVE_TTL":               int64(c.InactiveTTL),
		"SMP_MAX_CONNECTIONS_PER_SOURCE": int64(c.MaxConnectionsPerSource),
		"SMP_HANDSHAKE_RATE":             int64(c.HandshakeRate),
		"SMP_NEW_RATE":                   int64(c.NewRate),
		"SMP_PROXY_RATE":                 int64(c.ProxyRate),
		"SMP_MAX_QUEUES":                 c.MaxQueues,
	}))
}

// checkFront finds a front door that does not fit together.
func (c *Config) checkFront() error {
	if c.FrontListen != "" {
		if err := settings.CheckListen("SMP_FRONT_LISTEN", []string{c.FrontListen}); err != nil {
			return err
		}
	}
	for name, value := range map[string]string{"SMP_FILE_RELAY": c.FileRelay, "SMP_FILE_RELAY_INNER": c.FileRelayInner} {
		if err := settings.CheckDial(name, value); err != nil {
			return err
		}
	}
	switch {
	case c.FileRelay != "" && c.FrontListen == "":
		return settings.Bad("SMP_FILE_RELAY is set without SMP_FRONT_LISTEN: the file relay is reached through the front door")
	case c.FileRelay == "" && c.FileRelayInner != "":
		return settings.Bad("SMP_FILE_RELAY_INNER is set without SMP_FILE_RELAY: say where the file relay is")
	case c.FileRelay == "" && c.FileHost != "":
		return settings.Bad("SMP_FILE_HOST is set without SMP_FILE_RELAY: say where the file relay is")
	}
	return nil
}

// identity says where the identity is.
func (c *Config) identity() settings.Identity {
	return settings.Identity{CACert: c.CACert, Cert: c.Cert, Key: c.Key, DataDir: c.DataDir}
}

// Hosts returns the advertised hosts and the port, empty for the protocol's default.
func (c *Config) Hosts() (smp.Server, error) {
	return settings.Advertised(address.SMP, "SMP_HOST", c.Host, c.Listen[0])
}

// limits are those of the ports, which count the connections of a source together.
func (c *Config) limits() transport.Limits {
	return transport.Limits{
		Connections: c.MaxConnections, Handshakes: c.MaxHandshakes,
		Sources: limit.NewArrivals(c.MaxConnectionsPerSource, c.HandshakeRate),
	}
}

// server is the part of the settings that the relay's behaviour is made of.
func (c *Config) server(relays *proxy.Relays) server.Config {
	return server.Config{
		NewQueues:      c.NewQueues,
		CreatePassword: []byte(c.CreatePassword),
		Versions: wire.VersionRange{
			Min: wire.Version(c.MinVersion), Max: wire.Version(c.MaxVersion),
		},
		MessageTTL:           c.MessageTTL,
		ExpireOnSend:         c.ExpireOnSend,
		ExpiryInterval:       c.ExpiryInterval,
		ExpireOnStart:        c.ExpireOnStart,
		EndInterval:          c.EndInterval,
		NotificationInterval: c.NotificationInterval,
		NotificationTTL:      c.NotificationTTL,
		InactiveTTL:          c.InactiveTTL,
		InactiveInterval:     c.InactiveInterval,
		TLSTimeout:           c.TLSTimeout,
		HandshakeTimeout:     c.HandshakeTimeout,
		StallTimeout:         c.StallTimeout,
		NewRate:              c.NewRate,
		ProxyRate:            c.ProxyRate,
		MaxQueues:            c.MaxQueues,
		ServiceCertificates:  c.ServiceCertificates,
		Proxy:                relays,
		ProxyConcurrency:     c.ProxyConcurrency,
		ConnectionBacklog:    c.ConnectionQueue,
	}
}
