package settings

import "sotto/shared/address"

// Web is what both relays can be told about certificates and pages for browsers. It is a part of their settings.
type Web struct {
	// HTTPListen: addresses for plain HTTP, which answers certificate authorities and leads browsers to HTTPS; port 80 if
	// there is to be a certificate.
	HTTPListen []string `envconfig:"HTTP_LISTEN"`
	// PagesListen: addresses for the pages by plain HTTP, for a reverse proxy of the operator's.
	PagesListen []string `envconfig:"PAGES_LISTEN"`
	// ProxyProtocol: each connection to the relay's ports begins with a header of the PROXY protocol, from a proxy that
	// passes TLS through. The client's address in it is used for the bounds of sources, and not kept.
	ProxyProtocol bool `envconfig:"PROXY_PROTOCOL" default:"false"`
	// WebCert, WebKey: PEM files of a certificate that browsers trust, with those above it, and of its key, RSA or
	// ECDSA or Ed25519. They are read again when they change. Both or none.
	WebCert string `envconfig:"WEB_CERT"`
	WebKey  string `envconfig:"WEB_KEY"`
	// ACME: whether a certificate is asked for without them, which takes a public host name.
	ACME bool `envconfig:"ACME" default:"true"`
	// ACMEEmail: where the certificate authority writes to when something is wrong.
	ACMEEmail string `envconfig:"ACME_EMAIL"`
	// ACMEDirectory: the certificate authority: letsencrypt, staging, or the URL of another's directory.
	ACMEDirectory string `envconfig:"ACME_DIRECTORY" default:"letsencrypt"`
	// ACMERoots: a PEM file with the roots of that URL's own certificate, if this machine does not trust it.
	ACMERoots string `envconfig:"ACME_ROOTS"`
	// CertDatabaseURL: the Postgres database for certificates, which relays share. Empty: the relay's own.
	CertDatabaseURL string `envconfig:"CERT_DATABASE_URL"`
	// CertDatabaseURLFile: a file that holds the URL instead.
	CertDatabaseURLFile string `envconfig:"CERT_DATABASE_URL_FILE"`
	// OnionFile: a file with the relay's onion name, such as Tor's file hostname. The name is added to the address.
	OnionFile string `envconfig:"ONION_FILE"`
}

// Check finds values that make no sense.
func (w Web) Check(prefix string) error {
	if (w.WebCert == "") != (w.WebKey == "") {
		return Bad("%[1]s_WEB_CERT and %[1]s_WEB_KEY belong together: set both or none", prefix)
	}
	for name, list := range map[string][]string{"_HTTP_LISTEN": w.HTTPListen, "_PAGES_LISTEN": w.PagesListen} {
		if len(list) == 0 {
			continue
		}
		if err := CheckListen(prefix+name, list); err != nil {
			return err
		}
	}
	return nil
}

// AddOnion adds the onion name, if there is one, to the hosts of an address.
func (w Web) AddOnion(prefix string, server *address.Server) error {
	host, ok, err := Onion(prefix+"_ONION_FILE", w.OnionFile)
	if ok {
		server.Hosts = append(server.Hosts, host)
	}
	return err
}

// Information is what an operator tells about the relay and about who runs it, on its page. All is optional.
type Information struct {
	// SourceCode: where the source code of this very program is; the licence asks for it.
	SourceCode string `envconfig:"SOURCE_CODE"`
	// UsageConditions, ConditionAmendments: URLs of the conditions of use, and of the operator's changes to them.
	UsageConditions     string `envconfig:"USAGE_CONDITIONS"`
	ConditionAmendments string `envconfig:"CONDITION_AMENDMENTS"`
	// ServerCountry: where the machine is, two letters of ISO 3166.
	ServerCountry string `envconfig:"SERVER_COUNTRY"`
	// Operator, OperatorCountry, Website: who runs the relay, where they are, two letters, and their site.
	Operator        string `envconfig:"OPERATOR"`
	OperatorCountry string `envconfig:"OPERATOR_COUNTRY"`
	Website         string `envconfig:"WEBSITE"`
	// Admin...: contacts of the administrator: a SimpleX address, an e-mail, and the URL and fingerprint of a PGP key.
	AdminSimpleX        string `envconfig:"ADMIN_SIMPLEX"`
	AdminEmail          string `envconfig:"ADMIN_EMAIL"`
	AdminPGP            string `envconfig:"ADMIN_PGP"`
	AdminPGPFingerprint string `envconfig:"ADMIN_PGP_FINGERPRINT"`
	// Complaints...: likewise for complaints and feedback.
	ComplaintsSimpleX        string `envconfig:"COMPLAINTS_SIMPLEX"`
	ComplaintsEmail          string `envconfig:"COMPLAINTS_EMAIL"`
	ComplaintsPGP            string `envconfig:"COMPLAINTS_PGP"`
	ComplaintsPGPFingerprint string `envconfig:"COMPLAINTS_PGP_FINGERPRINT"`
	// Hosting, HostingCountry, HostingType: the provider of the machine, where it is, and the kind: virtual, dedicated,
	// colocation or owned.
	Hosting        string `envconfig:"HOSTING"`
	HostingCountry string `envconfig:"HOSTING_COUNTRY"`
	HostingType    string `envconfig:"HOSTING_TYPE"`
}
