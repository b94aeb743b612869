package main

import (
	"reflect"
	"testing"

	"github.com/rs/zerolog"

	"sotto/services/smp/internal/proxy"
	"sotto/shared/settings/settingstest"
)

func TestPrivateRoutingMistakes(t *testing.T) {
	for name, c := range map[string]struct {
		settings map[string]string
		says     string
	}{
		"switch":       {map[string]string{"SMP_PROXY": "perhaps"}, "SMP_PROXY"},
		"concurrency":  {map[string]string{"SMP_PROXY_CONCURRENCY": "0"}, "SMP_PROXY_CONCURRENCY"},
		"no time":      {map[string]string{"SMP_PROXY_CONNECT_TIMEOUT": "0"}, "SMP_PROXY_CONNECT_TIMEOUT"},
		"error memory": {map[string]string{"SMP_PROXY_ERROR_TTL": "-1s"}, "SMP_PROXY_ERROR_TTL"},
		"sessions":     {map[string]string{"SMP_PROXY_SESSIONS": "0"}, "SMP_PROXY_SESSIONS"},
		"domain":       {map[string]string{"SMP_PROXY_DOMAINS": "example.org,*.example.net"}, "SMP_PROXY_DOMAINS"},
		"allow":        {map[string]string{"SMP_PROXY_ALLOW": ".example.org"}, "SMP_PROXY_ALLOW"},
		"allow a port": {map[string]string{"SMP_PROXY_ALLOW": "example.org:443"}, "SMP_PROXY_ALLOW"},
		"port":         {map[string]string{"SMP_PROXY_PORTS": "https"}, "SMP_PROXY_PORTS"},
		"port 0":       {map[string]string{"SMP_PROXY_PORTS": "0-65535"}, "SMP_PROXY_PORTS"},
		"upside down":  {map[string]string{"SMP_PROXY_PORTS": "443,2000-1000"}, "SMP_PROXY_PORTS"},
		"ports":        {map[string]string{"SMP_PROXY_PORTS": "1-65536"}, "SMP_PROXY_PORTS"},
		"SOCKS":        {map[string]string{"SMP_PROXY_SOCKS": "tor"}, "SMP_PROXY_SOCKS"},
		"SOCKS where":  {map[string]string{"SMP_PROXY_SOCKS_ALL": "true"}, "SMP_PROXY_SOCKS"},
	} {
		t.Run(name, func(t *testing.T) {
			setOnly(t, c.settings)
			_, err := LoadConfig()
			settingstest.CheckMistake(t, err, c.says)
		})
	}
}

func TestPrivateRoutingSettings(t *testing.T) {
	setOnly(t, map[string]string{"SMP_PROXY_PORTS": "443,5223,8000-8100"})
	c, err := LoadConfig()
	if err != nil {
		t.Fatal(err)
	}
	want := []proxy.PortRange{{Min: 443, Max: 443}, {Min: 5223, Max: 5223}, {Min: 8000, Max: 8100}}
	if got, err := c.ports(); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	relays, err := c.proxy(zerolog.Nop())
	if err != nil || relays == nil {
		t.Fatalf("private routing is off without being told so: %v", err)
	}
	relays.Close()
	setOnly(t, map[string]string{"SMP_PROXY": "false"})
	if c, err = LoadConfig(); err != nil {
		t.Fatal(err)
	}
	if relays, err = c.proxy(zerolog.Nop()); err != nil || relays != nil {
		t.Errorf("private routing is on: %v", err)
	}
}
