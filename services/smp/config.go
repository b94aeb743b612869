package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/kelseyhightower/envconfig"

	"sotto/services/smp/internal/server"
	"sotto/shared/address"
	"sotto/shared/smp"
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
	// InactiveTTL: a connection without subscriptions that is silent this long is closed; 0 never closes it.
	InactiveTTL time.Duration `envconfig:"INACTIVE_TTL" default:"6h"`
	// InactiveInterval: how often connections are checked for that.
	InactiveInterval time.Duration `envconfig:"INACTIVE_INTERVAL" default:"1h"`
	// TLSTimeout: from a connection's arrival to the end of its TLS handshake.
	TLSTimeout time.Duration `envconfig:"TLS_TIMEOUT" default:"60s"`
	// HandshakeTimeout: for the SMP handshake that follows.
	HandshakeTimeout time.Duration `envconfig:"HANDSHAKE_TIMEOUT" default:"120s"`
	// StallTimeout: a client that takes longer to send, or to take, one block of 16 KB is disconnected.
	StallTimeout time.Duration `envconfig:"STALL_TIMEOUT" default:"2m"`
	// ConnectionQueue: groups of answers that wait for one connection before it is no longer read from.
	ConnectionQueue int `envconfig:"CONNECTION_QUEUE" default:"128"`
	// MaxConnections: clients connected at a time to one listener; more are turned away.
	MaxConnections int `envconfig:"MAX_CONNECTIONS" default:"50000"`
	// MaxHandshakes: of these, clients in their TLS handshake; newer ones replace the oldest.
	MaxHandshakes int `envconfig:"MAX_HANDSHAKES" default:"4096"`
	// StoreTimeout: how long a command waits for a database that is away before it is answered with an error.
	StoreTimeout time.Duration `envconfig:"STORE_TIMEOUT" default:"10s"`
	// LogLevel: debug, info, warn or error. No level logs ids, addresses, keys or contents.
	LogLevel string `envconfig:"LOG_LEVEL" default:"info"`
	// LogFormat: text for people, json for machines.
	LogFormat string `envconfig:"LOG_FORMAT" default:"text"`
}

// prefix is that of all environment variables of this binary.
const prefix = "SMP"

// configError is a mistake in the settings: the program says it and exits with 2.
type configError struct{ text string }

func (e configError) Error() string { return e.text }

func badSetting(format string, args ...any) error { return configError{fmt.Sprintf(format, args...)} }

// LoadConfig reads and checks the whole environment.
func LoadConfig() (*Config, error) {
	var c Config
	dropEmpty()
	if err := envconfig.CheckDisallowed(prefix, &c); err != nil {
		return nil, unknownSetting()
	}
	if err := envconfig.Process(prefix, &c); err != nil {
		var parse *envconfig.ParseError
		if errors.As(err, &parse) { // without the value, which may be a secret in the wrong place
			return nil, badSetting("%s has a value that is not a valid %s; see .env.example", parse.KeyName, parse.TypeName)
		}
		return nil, configError{err.Error()}
	}
	if err := c.readFiles(); err != nil {
		return nil, err
	}
	return &c, c.Validate()
}

// dropEmpty makes a setting with an empty value the same as none, as Compose files need it.
func dropEmpty() {
	for _, name := range settingNames() {
		if os.Getenv(name) == "" {
			_ = os.Unsetenv(name)
		}
	}
}

// unknownSetting names the variables that no field reads.
func unknownSetting() error {
	known := make(map[string]bool)
	for _, name := range settingNames() {
		known[name] = true
	}
	var unknown []string
	for _, pair := range os.Environ() {
		if name, _, _ := strings.Cut(pair, "="); strings.HasPrefix(name, prefix+"_") && !known[name] {
			unknown = append(unknown, name)
		}
	}
	return badSetting("unknown setting %s: check its spelling against .env.example, or unset it", strings.Join(unknown, ", "))
}

// readFiles takes secrets from the files that the _FILE settings name.
func (c *Config) readFiles() error {
	for _, f := range []struct {
		name, file string
		value      *string
	}{
		{"SMP_DATABASE_URL", c.DatabaseURLFile, &c.DatabaseURL},
		{"SMP_CREATE_PASSWORD", c.CreatePasswordFile, &c.CreatePassword},
	} {
		if f.file == "" {
			continue
		}
		if *f.value != "" {
			return badSetting("%s and %s_FILE are both set: unset one of them", f.name, f.name)
		}
		content, err := os.ReadFile(f.file)
		if err != nil {
			return badSetting("%s_FILE cannot be read: %v", f.name, err)
		}
		if *f.value = strings.TrimSpace(string(content)); *f.value == "" {
			return badSetting("%s_FILE names a file that is empty", f.name)
		}
	}
	return nil
}

// Validate finds values that make no sense, alone or together.
func (c *Config) Validate() error {
	if c.MinVersion < uint16(smp.MinVersion) || c.MaxVersion > uint16(smp.MaxVersion) || c.MinVersion > c.MaxVersion {
		return badSetting("SMP_MIN_VERSION=%d and SMP_MAX_VERSION=%d must be a range within %d to %d",
			c.MinVersion, c.MaxVersion, smp.MinVersion, smp.MaxVersion)
	}
	files := 0
	for _, f := range []string{c.CACert, c.Cert, c.Key} {
		if f != "" {
			files++
		}
	}
	if files != 0 && files != 3 {
		return badSetting("SMP_CA_CERT, SMP_CERT and SMP_KEY belong together: set all three or none")
	}
	if !smp.BasicAuth(c.CreatePassword).Valid() {
		return badSetting(`SMP_CREATE_PASSWORD may not hold spaces, "@", ":" or "/": apps could not enter the address`)
	}
	if c.LogFormat != "text" && c.LogFormat != "json" {
		return badSetting("SMP_LOG_FORMAT must be text or json")
	}
	if err := c.validateNumbers(); err != nil {
		return err
	}
	if err := c.validateListen(); err != nil {
		return err
	}
	_, err := c.Hosts()
	return err
}

func (c *Config) validateNumbers() error {
	for _, n := range []struct {
		name  string
		value int64
		least int64
	}{
		{"SMP_QUEUE_QUOTA", int64(c.QueueQuota), 1},
		{"SMP_CONNECTION_QUEUE", int64(c.ConnectionQueue), 1},
		{"SMP_MAX_CONNECTIONS", int64(c.MaxConnections), 1},
		{"SMP_MAX_HANDSHAKES", int64(c.MaxHandshakes), 1},
		{"SMP_MESSAGE_TTL", int64(c.MessageTTL), 0},
		{"SMP_EXPIRY_INTERVAL", int64(c.ExpiryInterval), 1},
		{"SMP_END_INTERVAL", int64(c.EndInterval), 1},
		{"SMP_INACTIVE_TTL", int64(c.InactiveTTL), 0},
		{"SMP_INACTIVE_INTERVAL", int64(c.InactiveInterval), 1},
		{"SMP_TLS_TIMEOUT", int64(c.TLSTimeout), 1},
		{"SMP_HANDSHAKE_TIMEOUT", int64(c.HandshakeTimeout), 1},
		{"SMP_STALL_TIMEOUT", int64(c.StallTimeout), 1},
		{"SMP_STORE_TIMEOUT", int64(c.StoreTimeout), 1},
	} {
		switch {
		case n.value >= n.least:
		case n.least == 0:
			return badSetting("%s may not be negative", n.name)
		default:
			return badSetting("%s must be more than 0", n.name)
		}
	}
	return nil
}

func (c *Config) validateListen() error {
	if len(c.Listen) == 0 {
		return badSetting("SMP_LISTEN is empty: name at least one address, such as :5223")
	}
	for _, address := range c.Listen {
		_, port, err := net.SplitHostPort(strings.TrimSpace(address))
		if err != nil {
			return badSetting("SMP_LISTEN has %q, which is not host:port or :port", address)
		}
		if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
			return badSetting("SMP_LISTEN has %q, whose port is not a number from 0 to 65535", address)
		}
	}
	return nil
}

// defaultPort is left out of addresses. Spec: smp.md 1.4
const defaultPort = "5223"

// Hosts returns the advertised hosts and the port, empty for the protocol's default.
func (c *Config) Hosts() (smp.Server, error) {
	var s smp.Server
	list := strings.Split(c.Host, ",")
	last := len(list) - 1
	if host, port, err := net.SplitHostPort(strings.TrimSpace(list[last])); err == nil {
		list[last], s.Port = host, port
	} else {
		_, s.Port, _ = net.SplitHostPort(strings.TrimSpace(c.Listen[0]))
	}
	if n, err := strconv.Atoi(s.Port); err != nil || n < 0 || n > 65535 {
		return s, badSetting("SMP_HOST ends with a port that is not a number from 0 to 65535")
	}
	if s.Port == defaultPort {
		s.Port = ""
	}
	for _, text := range list {
		host, ok := address.ParseHost(strings.TrimSpace(text))
		if !ok {
			return s, badSetting("SMP_HOST has %q, which is not a host name or address", strings.TrimSpace(text))
		}
		s.Hosts = append(s.Hosts, host)
	}
	return s, nil
}

// server is the part of the settings that the relay's behaviour is made of.
func (c *Config) server() server.Config {
	return server.Config{
		NewQueues:      c.NewQueues,
		CreatePassword: []byte(c.CreatePassword),
		Versions: wire.VersionRange{
			Min: wire.Version(c.MinVersion), Max: wire.Version(c.MaxVersion),
		},
		MessageTTL:        c.MessageTTL,
		ExpireOnSend:      c.ExpireOnSend,
		ExpiryInterval:    c.ExpiryInterval,
		ExpireOnStart:     c.ExpireOnStart,
		EndInterval:       c.EndInterval,
		InactiveTTL:       c.InactiveTTL,
		InactiveInterval:  c.InactiveInterval,
		TLSTimeout:        c.TLSTimeout,
		HandshakeTimeout:  c.HandshakeTimeout,
		StallTimeout:      c.StallTimeout,
		ConnectionBacklog: c.ConnectionQueue,
	}
}

// settingNames lists the environment variables of all fields.
func settingNames() []string {
	var names []string
	for field := range reflect.TypeFor[Config]().Fields() {
		names = append(names, prefix+"_"+field.Tag.Get("envconfig"))
	}
	return names
}
