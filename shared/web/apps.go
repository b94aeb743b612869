package web

import "encoding/json"

// The apps that open the links of a relay, as their makers name and sign them. Phones open the app in place of the
// browser only where both sides agree: the app lists the host name, and the host lists the app in these files. For all
// other host names there is the page with a button.
const (
	appleApp       = "5NN7GUYB6T.chat.simplex.app"
	androidPackage = "chat.simplex.app"
)

// androidCertificates are the SHA-256 fingerprints of the certificates that the Android app is signed with: in Google
// Play, in downloaded packages and on F-Droid.
var androidCertificates = []string{
	"5E:3E:DC:C2:00:FB:A8:D5:F4:88:F3:CA:4C:32:5B:05:78:C5:6A:9C:03:A1:CC:B5:92:9C:D7:5C:7E:57:E2:4D",
	"3C:52:C4:FD:3C:AD:1C:07:C9:B0:0A:70:80:E3:58:FA:B9:FE:FC:B8:AF:5A:EC:14:77:65:F1:6D:0F:21:AD:85",
	"AE:C1:95:DC:FD:46:14:BD:3A:91:EC:26:D1:D5:14:C8:75:71:C5:CC:8D:CF:48:08:3F:92:83:14:3C:A2:B9:A6",
}

// robots lets the makers' crawlers read which apps there are, and asks search engines to leave the rest alone: a relay
// is found by its address, and a page of a link says nothing without what follows #.
const robots = "User-agent: *\nAllow: /.well-known/\nDisallow: /\n"

// object is one of JSON.
type object = map[string]any

// appleAssociation is the file apple-app-site-association.
func appleAssociation() ([]byte, error) {
	var components []object
	for _, l := range links {
		if l.claimed {
			components = append(components, object{"/": "/" + l.path}, object{"/": "/" + l.path + "/*"})
		}
	}
	details := []object{{"appIDs": []string{appleApp}, "components": components}}
	return json.Marshal(object{"applinks": object{"details": details}})
}

// assetLinks is the file assetlinks.json.
func assetLinks() ([]byte, error) {
	return json.Marshal([]object{{
		"relation": []string{"delegate_permission/common.handle_all_urls"},
		"target": object{
			"namespace": "android_app", "package_name": androidPackage, "sha256_cert_fingerprints": androidCertificates,
		},
	}})
}
