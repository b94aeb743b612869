package pg

import (
	"net"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Describe says where a database is, for the person who starts a relay: its name and host, without user and password.
func Describe(url string) string {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return "a database URL that is not valid"
	}
	hosts := []string{place(config.Host, config.Port)}
	for _, fallback := range config.Fallbacks {
		if at := place(fallback.Host, fallback.Port); at != hosts[len(hosts)-1] {
			hosts = append(hosts, at)
		}
	}
	return "database " + config.Database + " at " + strings.Join(hosts, ", ")
}

// place is a host and port, or the directory of a socket.
func place(host string, port uint16) string {
	if strings.HasPrefix(host, "/") {
		return host
	}
	return net.JoinHostPort(host, strconv.Itoa(int(port)))
}
