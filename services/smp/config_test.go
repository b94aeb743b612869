package main

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"sotto/shared/settings/settingstest"
)

// setOnly makes the given settings the only ones of this test.
func setOnly(t *testing.T, values map[string]string) {
	t.Helper()
	settingstest.SetOnly(t, prefix, values)
}

func TestEmptyEnvironmentLoads(t *testing.T) {
	setOnly(t, nil)
	c, err := LoadConfig()
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(c.Listen, []string{":5223"}) || c.Host != "localhost" || c.QueueQuota != 128 ||
		c.MessageTTL != 21*24*time.Hour || !c.NewQueues || c.MinVersion != 6 || c.MaxVersion != 18 {
		t.Errorf("defaults are not those of the specification: %+v", c)
	}
}

func TestMistakesNameTheSetting(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		settings map[string]string
		says     string
	}{
		"unknown":          {map[string]string{"SMP_LISTENN": ":1"}, "SMP_LISTENN"},
		"not a number":     {map[string]string{"SMP_QUEUE_QUOTA": "many"}, "SMP_QUEUE_QUOTA"},
		"not a duration":   {map[string]string{"SMP_MESSAGE_TTL": "21 days"}, "SMP_MESSAGE_TTL"},
		"negative":         {map[string]string{"SMP_MESSAGE_TTL": "-1h"}, "SMP_MESSAGE_TTL"},
		"no quota":         {map[string]string{"SMP_QUEUE_QUOTA": "0"}, "SMP_QUEUE_QUOTA"},
		"negative rate":    {map[string]string{"SMP_NEW_RATE": "-1"}, "SMP_NEW_RATE"},
		"negative bound":   {map[string]string{"SMP_MAX_QUEUES": "-1"}, "SMP_MAX_QUEUES"},
		"versions":         {map[string]string{"SMP_MIN_VERSION": "9", "SMP_MAX_VERSION": "8"}, "SMP_MIN_VERSION"},
		"version unknown":  {map[string]string{"SMP_MAX_VERSION": "19"}, "SMP_MAX_VERSION"},
		"listen":           {map[string]string{"SMP_LISTEN": "5223"}, "SMP_LISTEN"},
		"listen port":      {map[string]string{"SMP_LISTEN": ":http"}, "SMP_LISTEN"},
		"host":             {map[string]string{"SMP_HOST": "smp example"}, "SMP_HOST"},
		"host port":        {map[string]string{"SMP_HOST": "smp.example:x"}, "SMP_HOST"},
		"password":         {map[string]string{"SMP_CREATE_PASSWORD": "a:b"}, "SMP_CREATE_PASSWORD"},
		"password twice":   {map[string]string{"SMP_CREATE_PASSWORD": "a", "SMP_CREATE_PASSWORD_FILE": "b"}, "SMP_CREATE_PASSWORD_FILE"},
		"password missing": {map[string]string{"SMP_CREATE_PASSWORD_FILE": "/does/not/exist"}, "SMP_CREATE_PASSWORD_FILE"},
		"password empty":   {map[string]string{"SMP_CREATE_PASSWORD_FILE": empty}, "SMP_CREATE_PASSWORD_FILE"},
		"half an identity": {map[string]string{"SMP_CERT": "server.crt"}, "SMP_CA_CERT"},
		"metrics names":    {map[string]string{"SMP_METRICS_NAMES": "ours"}, "SMP_METRICS_NAMES"},
		"metrics listen":   {map[string]string{"SMP_METRICS_LISTEN": "9090"}, "SMP_METRICS_LISTEN"},
		"log format":       {map[string]string{"SMP_LOG_FORMAT": "xml"}, "SMP_LOG_FORMAT"},
		"front door":       {map[string]string{"SMP_FRONT_LISTEN": "443"}, "SMP_FRONT_LISTEN"},
		"no front door":    {map[string]string{"SMP_FILE_RELAY": "xftp:443"}, "SMP_FRONT_LISTEN"},
		"file relay":       {map[string]string{"SMP_FRONT_LISTEN": ":443", "SMP_FILE_RELAY": "xftp"}, "SMP_FILE_RELAY"},
		"only its inside":  {map[string]string{"SMP_FILE_RELAY_INNER": "xftp:8443"}, "SMP_FILE_RELAY"},
		"only its name":    {map[string]string{"SMP_FILE_HOST": "xftp.example"}, "SMP_FILE_RELAY"},
		"half a web cert":  {map[string]string{"SMP_WEB_CERT": "web.crt"}, "SMP_WEB_KEY"},
		"plain HTTP":       {map[string]string{"SMP_HTTP_LISTEN": "80"}, "SMP_HTTP_LISTEN"},
		"ACME":             {map[string]string{"SMP_ACME": "maybe"}, "SMP_ACME"},
	} {
		t.Run(name, func(t *testing.T) {
			setOnly(t, c.settings)
			_, err := LoadConfig()
			settingstest.CheckMistake(t, err, c.says)
		})
	}
}

func TestSecretsComeFromFiles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	setOnly(t, map[string]string{"SMP_CREATE_PASSWORD_FILE": file})
	c, err := LoadConfig()
	if err != nil {
		t.Fatal(err)
	}
	if c.CreatePassword != "s3cret" {
		t.Error("the password of the file was not used, or not trimmed")
	}
}

func TestAdvertisedHosts(t *testing.T) {
	for _, c := range []struct{ listen, host, want string }{
		{":5223", "localhost", "localhost"},
		{":15223", "localhost", "localhost:15223"},
		{":15223", "smp.example.org:5223", "smp.example.org"},
		{":15223", "smp.example.org,abcdefghijklmnop234567abcdefghijklmnop234567abcdefghijkl.onion:443", "smp.example.org,abcdefghijklmnop234567abcdefghijklmnop234567abcdefghijkl.onion:443"},
		{":5223", "192.0.2.1", "192.0.2.1"},
		{":5223", "2001:db8::1", "2001:db8::1"},
		{":15223", "smp.example.org, smp.example.net", "smp.example.org,smp.example.net:15223"},
	} {
		setOnly(t, map[string]string{"SMP_LISTEN": c.listen, "SMP_HOST": c.host})
		cfg, err := LoadConfig()
		if err != nil {
			t.Errorf("%s: %v", c.host, err)
			continue
		}
		s, err := cfg.Hosts()
		if err != nil {
			t.Errorf("%s: %v", c.host, err)
			continue
		}
		if _, got, _ := strings.Cut(s.String(), "@"); got != c.want {
			t.Errorf("SMP_LISTEN=%s SMP_HOST=%s advertises %s, want %s", c.listen, c.host, got, c.want)
		}
	}
}

func TestEnvExample(t *testing.T) {
	settingstest.CheckExample(t, "../../.env.example", prefix, new(Config))
}
