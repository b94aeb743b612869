package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"sotto/shared/settings/settingstest"
	"sotto/shared/xftp"
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
	if !reflect.DeepEqual(c.Listen, []string{":443"}) || c.Host != "localhost" || c.FileTTL != 48*time.Hour || !c.NewFiles ||
		c.UploadTimeout != 5*time.Minute || c.ExpiryInterval != 2*time.Hour {
		t.Errorf("defaults are not those of the specification: %+v", c)
	}
	if sizes := c.server().ChunkSizes; !reflect.DeepEqual(sizes, xftp.ChunkSizes) {
		t.Errorf("chunk sizes %v, want %v", sizes, xftp.ChunkSizes)
	}
}

func TestMistakesNameTheSetting(t *testing.T) {
	for name, c := range map[string]struct {
		settings map[string]string
		says     string
	}{
		"unknown":            {map[string]string{"XFTP_LISTENN": ":1"}, "XFTP_LISTENN"},
		"not a duration":     {map[string]string{"XFTP_FILE_TTL": "2 days"}, "XFTP_FILE_TTL"},
		"negative":           {map[string]string{"XFTP_FILE_TTL": "-1h"}, "XFTP_FILE_TTL"},
		"negative rate":      {map[string]string{"XFTP_NEW_RATE": "-1"}, "XFTP_NEW_RATE"},
		"not a size":         {map[string]string{"XFTP_STORAGE_QUOTA": "much"}, "XFTP_STORAGE_QUOTA is not a size"},
		"small quota":        {map[string]string{"XFTP_STORAGE_QUOTA": "1mb"}, "XFTP_STORAGE_QUOTA"},
		"no upload memory":   {map[string]string{"XFTP_UPLOAD_MEMORY": "0"}, "XFTP_UPLOAD_MEMORY"},
		"chunk size":         {map[string]string{"XFTP_CHUNK_SIZES": "64kb,lots"}, "XFTP_CHUNK_SIZES"},
		"large chunk size":   {map[string]string{"XFTP_CHUNK_SIZES": "64kb,1gb"}, "XFTP_CHUNK_SIZES"},
		"small chunk size":   {map[string]string{"XFTP_CHUNK_SIZES": "0"}, "XFTP_CHUNK_SIZES"},
		"listen":             {map[string]string{"XFTP_LISTEN": "443"}, "XFTP_LISTEN"},
		"host":               {map[string]string{"XFTP_HOST": "xftp example"}, "XFTP_HOST"},
		"password":           {map[string]string{"XFTP_CREATE_PASSWORD": "a:b"}, "XFTP_CREATE_PASSWORD"},
		"half an identity":   {map[string]string{"XFTP_KEY": "server.key"}, "XFTP_CA_CERT"},
		"half a certificate": {map[string]string{"XFTP_WEB_CERT": "web.crt"}, "XFTP_WEB_KEY"},
		"metrics names":      {map[string]string{"XFTP_METRICS_NAMES": "ours"}, "XFTP_METRICS_NAMES"},
		"metrics listen":     {map[string]string{"XFTP_METRICS_LISTEN": "9090"}, "XFTP_METRICS_LISTEN"},
		"log format":         {map[string]string{"XFTP_LOG_FORMAT": "xml"}, "XFTP_LOG_FORMAT"},
		"inner port":         {map[string]string{"XFTP_INNER_LISTEN": "8443"}, "XFTP_INNER_LISTEN"},
		"pages from nowhere": {map[string]string{"XFTP_PAGES_FROM": "smp:8080", "XFTP_PAGES_HOST": "a.example"}, "XFTP_PAGES_FROM"},
		"pages of nobody":    {map[string]string{"XFTP_PAGES_FROM": "http://smp:8080"}, "XFTP_PAGES_HOST"},
		"no time to upload":  {map[string]string{"XFTP_UPLOAD_TIMEOUT": "0"}, "XFTP_UPLOAD_TIMEOUT"},
	} {
		t.Run(name, func(t *testing.T) {
			setOnly(t, c.settings)
			_, err := LoadConfig()
			settingstest.CheckMistake(t, err, c.says)
		})
	}
}

func TestWebCertificate(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "web.crt"), filepath.Join(dir, "web.key")
	setOnly(t, map[string]string{"XFTP_WEB_CERT": certFile, "XFTP_WEB_KEY": keyFile})
	cfg, err := LoadConfig()
	if err != nil {
		t.Fatal(err)
	}
	hosts, err := cfg.Hosts()
	if err != nil {
		t.Fatal(err)
	}
	hosts.Fingerprint = make([]byte, 32)
	_, err = cfg.openSite(t.Context(), hosts, zerolog.Nop())
	settingstest.CheckMistake(t, err, "XFTP_WEB_CERT")
	writeCertificate(t, certFile, keyFile)
	site, err := cfg.openSite(t.Context(), hosts, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	defer site.Close()
	if cert := forBrowsers(site)(&tls.ClientHelloInfo{ServerName: "localhost"}); cert == nil || cert.Leaf == nil {
		t.Error("browsers are not shown the certificate")
	}
}

// writeCertificate writes a self-signed certificate of an ECDSA key.
func writeCertificate(t *testing.T, certFile, keyFile string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{
		certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: key},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestEnvExample(t *testing.T) {
	settingstest.CheckExample(t, "../../.env.example", prefix, new(Config))
}
