package settings

import (
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"

	"sotto/shared/address"
)

// CheckPositive finds the first setting, by name, that is not more than 0.
func CheckPositive(values map[string]int64) error {
	return checkLeast(values, 1, "%s must be more than 0")
}

// CheckNotNegative finds the first setting, by name, that is less than 0.
func CheckNotNegative(values map[string]int64) error {
	return checkLeast(values, 0, "%s may not be negative")
}

func checkLeast(values map[string]int64, least int64, text string) error {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if values[name] < least {
			return Bad(text, name)
		}
	}
	return nil
}

// CheckListen checks the list of addresses to listen on, each host:port or :port, in the setting name.
func CheckListen(name string, list []string) error {
	if len(list) == 0 {
		return Bad("%s is empty: name at least one address, such as :5223", name)
	}
	for _, at := range list {
		_, port, err := net.SplitHostPort(strings.TrimSpace(at))
		if err != nil {
			return Bad("%s has %q, which is not host:port or :port", name, at)
		}
		if !isPort(port) {
			return Bad("%s has %q, whose port is not a number from 0 to 65535", name, at)
		}
	}
	return nil
}

// CheckDial checks the address of something to connect to, host:port, in the setting name. Empty is well too.
func CheckDial(name, at string) error {
	if at == "" {
		return nil
	}
	host, port, err := net.SplitHostPort(at)
	if err != nil || host == "" || port == "0" || !isPort(port) {
		return Bad("%s is %q, which is not host:port", name, at)
	}
	return nil
}

func isPort(text string) bool {
	n, err := strconv.Atoi(text)
	return err == nil && n >= 0 && n <= 65535
}

// CheckPassword checks the password for creating queues or chunks in the setting name.
func CheckPassword(name, password string) error {
	if !address.Password(password).Valid() {
		return Bad(`%s may not hold spaces, "@", ":" or "/": apps could not enter the address`, name)
	}
	return nil
}

// CheckLogFormat checks how to log in the setting name.
func CheckLogFormat(name, format string) error {
	if format != "text" && format != "json" {
		return Bad("%s must be text or json", name)
	}
	return nil
}

// Advertised makes the relay's address, without fingerprint and password, from the comma-separated hosts in the setting
// name, the last perhaps with a port. Without one it is that of the first address listened on. The protocol's default
// port is left out.
//
// Spec: smp.md 1.4
// Spec: xftp.md 2.3
func Advertised(scheme address.Scheme, name, hosts, listen string) (address.Server, error) {
	s := address.Server{Scheme: scheme}
	list := strings.Split(hosts, ",")
	last := len(list) - 1
	if host, port, err := net.SplitHostPort(strings.TrimSpace(list[last])); err == nil {
		list[last], s.Port = host, port
	} else {
		_, s.Port, _ = net.SplitHostPort(strings.TrimSpace(listen))
	}
	if !isPort(s.Port) {
		return s, Bad("%s ends with a port that is not a number from 0 to 65535", name)
	}
	if s.Port == scheme.DefaultPort() {
		s.Port = ""
	}
	for _, text := range list {
		host, ok := address.ParseHost(strings.TrimSpace(text))
		if !ok {
			return s, Bad("%s has %q, which is not a host name or address", name, strings.TrimSpace(text))
		}
		s.Hosts = append(s.Hosts, host)
	}
	return s, nil
}

// Local is where a program on this machine reaches what listens on an address of the setting name.
func Local(scheme address.Scheme, name, listen string) (address.Server, error) {
	host, port, err := net.SplitHostPort(strings.TrimSpace(listen))
	if err != nil {
		return address.Server{}, Bad("%s has %q, which is not host:port or :port", name, listen)
	}
	if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
		host = "localhost"
	}
	local, ok := address.ParseHost(host)
	if !ok {
		return address.Server{}, Bad("%s has a host that cannot be connected to", name)
	}
	return address.Server{Scheme: scheme, Hosts: []address.Host{local}, Port: port}, nil
}
