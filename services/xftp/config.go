package main

import (
	"errors"
	"net/url"
	"slices"
	"time"

	"sotto/services/xftp/internal/server"
	"sotto/shared/address"
	"sotto/shared/limit"
	"sotto/shared/settings"
	"sotto/shared/transport"
	"sotto/shared/xftp"
)

// Config is everything that can be set, by environment variables named XFTP_ and the field's name in the tag.
// An empty environment runs. Durations are written as in Go: 90s, 15m, 48h; sizes with any unit: 64kb, 10gb, 1.5tb.
// A test keeps .env.example in step.
type Config struct {
	// Listen: addresses to serve XFTP on, comma-separated host:port; the host may be left out.
	Listen []string `envconfig:"LISTEN" default:":443"`
	// Host: the names or addresses that clients reach the relay by, comma-separated, as they go into its address;
	// :port is allowed after the last. Without a port it is that of the first listener.
	Host string `envconfig:"HOST" default:"localhost"`
	// DataDir: where the identity is kept. Back it up: it is the relay's address.
	DataDir string `envconfig:"DATA_DIR" default:"./data/xftp"`
	// DatabaseURL: the Postgres database for chunks, as postgres://user:password@host/name.
	DatabaseURL string `envconfig:"DATABASE_URL"`
	// DatabaseURLFile: a file that holds the URL instead.
	DatabaseURLFile string `envconfig:"DATABASE_URL_FILE"`
	// CreatePassword: who uploads must know it; it becomes part of the address. Empty: anyone may.
	CreatePassword string `envconfig:"CREATE_PASSWORD"`
	// CreatePasswordFile: a file that holds the password instead.
	CreatePasswordFile string `envconfig:"CREATE_PASSWORD_FILE"`
	// NewFiles: whether chunks may be registered at all.
	NewFiles bool `envconfig:"NEW_FILES" default:"true"`
	// StorageQuota: how much the bodies of all chunks may take; uploads beyond it are refused. 0: no bound.
	StorageQuota settings.Size `envconfig:"STORAGE_QUOTA" default:"10gb"`
	// FileTTL: chunks are removed after this time; 0 keeps them for ever. Clients expect 48h.
	FileTTL time.Duration `envconfig:"FILE_TTL" default:"48h"`
	// ExpiryInterval: how often that is done; it is done at start as well.
	ExpiryInterval time.Duration `envconfig:"EXPIRY_INTERVAL" default:"2h"`
	// ChunkSizes: the sizes that a chunk may have. Clients use these four.
	ChunkSizes []settings.Size `envconfig:"CHUNK_SIZES" default:"64kb,256kb,1mb,4mb"`
	// UploadTimeout: how long the upload of one chunk may take.
	UploadTimeout time.Duration `envconfig:"UPLOAD_TIMEOUT" default:"5m"`
	// UploadMemory: what uploads may take of memory while the database is slower than they are, besides 32 KB for
	// each connection.
	UploadMemory settings.Size `envconfig:"UPLOAD_MEMORY" default:"64mb"`
	// MaxTransfers: uploads and downloads at a time, at about 400 KB each; more wait for their turn.
	MaxTransfers int `envconfig:"MAX_TRANSFERS" default:"1000"`
	// StallTimeout: a client that sends nothing, or takes nothing, of a chunk for this long is disconnected.
	StallTimeout time.Duration `envconfig:"STALL_TIMEOUT" default:"1m"`
	// InactiveTTL: a connection without a request for this long is closed; 0 never closes it.
	InactiveTTL time.Duration `envconfig:"INACTIVE_TTL" default:"6h"`
	// InactiveInterval: how often connections are checked for that.
	InactiveInterval time.Duration `envconfig:"INACTIVE_INTERVAL" default:"1h"`
	// TLSTimeout: from a connection's arrival to the end of its TLS handshake.
	TLSTimeout time.Duration `envconfig:"TLS_TIMEOUT" default:"60s"`
	// HandshakeTimeout: for the XFTP handshake that follows.
	HandshakeTimeout time.Duration `envconfig:"HANDSHAKE_TIMEOUT" default:"60s"`
	// MaxConnections: clients connected at a time to one listener; more are turned away.
	MaxConnections int `envconfig:"MAX_CONNECTIONS" default:"10000"`
	// MaxHandshakes: of these, clients in their TLS handshake; newer ones replace the oldest.
	MaxHandshakes int `envconfig:"MAX_HANDSHAKES" default:"1024"`
	// MaxConnectionsPerSource: of these, from one source: an IPv4 address or an IPv6 /64; 0: no bound.
	MaxConnectionsPerSource int `envconfig:"MAX_CONNECTIONS_PER_SOURCE" default:"500"`
	// HandshakeRate: how often a source may connect per minute; 0: no bound. What it does not use, of this and the
	// following, is saved for ten minutes.
	HandshakeRate int `envconfig:"HANDSHAKE_RATE" default:"600"`
	// NewRate: how many chunks a source may register per minute, and a connection a quarter of it; 0: no bound.
	NewRate int `envconfig:"NEW_RATE" default:"600"`
	// StoreTimeout: how long a command waits for a database that is away before it is answered with an error.
	StoreTimeout time.Duration `envconfig:"STORE_TIMEOUT" default:"10s"`
	// CACert, Cert, Key: PEM files of an existing identity instead of the one in DataDir: the offline certificate,
	// the Ed25519 online certificate that it issued, and the online certificate's key. All three or none.
	CACert string `envconfig:"CA_CERT"`
	Cert   string `envconfig:"CERT"`
	Key    string `envconfig:"KEY"`
	// InnerListen: addresses for sessions whose TLS ended at the front door of a message relay, which has the same
	// identity. Whoever connects is believed: only the front door may be in that network.
	InnerListen []string `envconfig:"INNER_LISTEN"`
	// PagesFrom: URL of a message relay's pages, SMP_PAGES_LISTEN there. They are shown here too, if both relays have one
	// host name.
	PagesFrom string `envconfig:"PAGES_FROM"`
	// PagesHost: the names of that message relay, comma-separated, SMP_HOST there.
	PagesHost string `envconfig:"PAGES_HOST"`
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
const prefix = "XFTP"

// Bounds of a chunk's size: smaller ones would be mostly overhead, and larger ones would make a transfer outlive its
// timeouts.
const (
	minChunkSize = 1 << 10
	maxChunkSize = 64 << 20
)

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
	for _, err := range []error{
		c.identity().Check(prefix),
		settings.CheckPassword("XFTP_CREATE_PASSWORD", c.CreatePassword),
		settings.CheckLogFormat("XFTP_LOG_FORMAT", c.LogFormat),
		c.checkNumbers(),
		c.checkChunkSizes(),
		settings.CheckListen("XFTP_LISTEN", c.Listen),
		c.Web.Check(prefix),
		c.Metrics.Check(prefix),
		c.checkFront(),
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
		"XFTP_EXPIRY_INTERVAL":   int64(c.ExpiryInterval),
		"XFTP_UPLOAD_TIMEOUT":    int64(c.UploadTimeout),
		"XFTP_UPLOAD_MEMORY":     int64(c.UploadMemory),
		"XFTP_STALL_TIMEOUT":     int64(c.StallTimeout),
		"XFTP_INACTIVE_INTERVAL": int64(c.InactiveInterval),
		"XFTP_TLS_TIMEOUT":       int64(c.TLSTimeout),
		"XFTP_HANDSHAKE_TIMEOUT": int64(c.HandshakeTimeout),
		"XFTP_MAX_CONNECTIONS":   int64(c.MaxConnections),
		"XFTP_MAX_TRANSFERS":     int64(c.MaxTransfers),
		"XFTP_MAX_HANDSHAKES":    int64(c.MaxHandshakes),
		"XFTP_STORE_TIMEOUT":     int64(c.StoreTimeout),
	}), settings.CheckNotNegative(map[string]int64{
		"XFTP_FILE_TTL":                   int64(c.FileTTL),
		"XFTP_INACTIVE_TTL":               int64(c.InactiveTTL),
		"XFTP_MAX_CONNECTIONS_PER_SOURCE": int64(c.MaxConnectionsPerSource),
		"XFTP_HANDSHAKE_RATE":             int64(c.HandshakeRate),
		"XFTP_NEW_RATE":                   int64(c.NewRate),
	}))
}

// checkFront finds settings for a message relay beside this one that make no sense.
func (c *Config) checkFront() error {
	if len(c.InnerListen) > 0 {
		if err := settings.CheckListen("XFTP_INNER_LISTEN", c.InnerListen); err != nil {
			return err
		}
	}
	if (c.PagesFrom == "") != (c.PagesHost == "") {
		return settings.Bad("XFTP_PAGES_FROM and XFTP_PAGES_HOST belong together: set both or none")
	}
	if c.PagesFrom == "" {
		return nil
	}
	if u, err := url.Parse(c.PagesFrom); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return settings.Bad("XFTP_PAGES_FROM is not a URL like http://smp:8080")
	}
	return nil
}

func (c *Config) checkChunkSizes() error {
	if len(c.ChunkSizes) == 0 {
		return settings.Bad("XFTP_CHUNK_SIZES is empty: clients use 64kb,256kb,1mb,4mb")
	}
	for _, size := range c.ChunkSizes {
		if size < minChunkSize || size > maxChunkSize {
			return settings.Bad("XFTP_CHUNK_SIZES has a size that is not within %v to %v",
				settings.Size(minChunkSize), settings.Size(maxChunkSize))
		}
		if c.StorageQuota > 0 && size > c.StorageQuota {
			return settings.Bad("XFTP_STORAGE_QUOTA is less than a chunk of %v, which XFTP_CHUNK_SIZES allows", size)
		}
	}
	return nil
}

// identity says where the identity is.
func (c *Config) identity() settings.Identity {
	return settings.Identity{CACert: c.CACert, Cert: c.Cert, Key: c.Key, DataDir: c.DataDir}
}

// Hosts returns the advertised hosts and the port, empty for the protocol's default.
func (c *Config) Hosts() (address.Server, error) {
	return settings.Advertised(address.XFTP, "XFTP_HOST", c.Host, c.Listen[0])
}

// limits are those of the ports, which count the connections of a source together.
func (c *Config) limits() transport.Limits {
	return transport.Limits{
		Connections: c.MaxConnections, Handshakes: c.MaxHandshakes,
		Sources: limit.NewArrivals(c.MaxConnectionsPerSource, c.HandshakeRate),
	}
}

// server is the part of the settings that the relay's behaviour is made of.
func (c *Config) server() server.Config {
	var sizes []uint32
	for _, size := range c.ChunkSizes {
		sizes = append(sizes, uint32(size))
	}
	slices.Sort(sizes)
	return server.Config{
		NewFiles:         c.NewFiles,
		CreatePassword:   []byte(c.CreatePassword),
		ChunkSizes:       sizes,
		UploadTimeout:    c.UploadTimeout,
		UploadMemory:     int64(c.UploadMemory),
		MaxTransfers:     c.MaxTransfers,
		StallTimeout:     c.StallTimeout,
		ExpiryInterval:   c.ExpiryInterval,
		InactiveTTL:      c.InactiveTTL,
		InactiveInterval: c.InactiveInterval,
		TLSTimeout:       c.TLSTimeout,
		HandshakeTimeout: c.HandshakeTimeout,
		Versions:         xftp.Versions,
		NewRate:          c.NewRate,
	}
}
