package description

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"

	"sotto/shared/address"
)

// ErrLink reports a text that is not a link to a file. The errors of [ParseLink] wrap it, and [ErrDescription] if it is
// what the link holds that is wrong; they do not quote it.
var ErrLink = errors.New("not a link to a file")

// maxLink is the longest link: a description of [MaxText] bytes with each of them percent-encoded, and as much again
// for what goes with it.
const maxLink = 2 * 3 * MaxText

// redirectLength is the longest fragment of a link to a file of several chunks.
const redirectLength = 400

// AppLink returns the link that SimpleX's apps open, with extra data for them if extra is not empty. It is as secret as
// the description.
//
// Spec: xftp.md 13.5
func AppLink(d *Description, extra string) string {
	link := appendPercent([]byte("simplex:/file#/?desc="), d.Append(nil))
	if extra != "" {
		link = appendPercent(append(link, "&data="...), []byte(extra))
	}
	return string(link)
}

// appendPercent percent-encodes everything but letters, digits and "-_.~".
func appendPercent(dst, text []byte) []byte {
	const digits = "0123456789ABCDEF"
	for _, c := range text {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-_.~", c) >= 0:
			dst = append(dst, c)
		default:
			dst = append(dst, '%', digits[c>>4], digits[c&15])
		}
	}
	return dst
}

// Origin returns the origin of the web page on the relay that has the first chunk: "https://", its first host and, unless
// it is 443, its port.
//
// Spec: xftp.md 13.5
func (d *Description) Origin() string {
	if len(d.Chunks) == 0 || len(d.Chunks[0].Replicas) == 0 || len(d.Chunks[0].Replicas[0].Server.Hosts) == 0 {
		return ""
	}
	server := &d.Chunks[0].Replicas[0].Server
	origin := "https://" + urlHost(server.Hosts[0])
	if server.Port != "" && server.Port != address.XFTP.DefaultPort() {
		origin += ":" + server.Port
	}
	return origin
}

// WebLink returns the link that browsers open: the address of a page, with the compressed description behind "#". page is
// the origin, such as [Description.Origin], with the path of the page if that is not "/". The link is as secret as the
// description. The error wraps [ErrLink] if page is not an address on the web.
//
// Spec: xftp.md 13.5
func WebLink(d *Description, page string) (string, error) {
	u, err := url.Parse(page)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || strings.ContainsAny(page, "#?") {
		return "", fmt.Errorf("%w: the page is not an address on the web", ErrLink)
	}
	if u.Path == "" {
		page += "/"
	}
	return page + "#" + fragment(d), nil
}

// WantsRedirect reports whether link, which [WebLink] made of d, is so long that the browser's client would upload the
// description to a relay and make a link to that.
//
// Spec: xftp.md 13.5
func WantsRedirect(d *Description, link string) bool {
	_, fragment, _ := strings.Cut(link, "#")
	return len(fragment) > redirectLength && len(d.Chunks) > 1
}

// fragment compresses the description.
func fragment(d *Description) string {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.DefaultCompression)
	if err != nil {
		panic("description: " + err.Error()) // there is such a level
	}
	_, _ = w.Write(d.Append(nil)) // writing to a Buffer does not fail
	_ = w.Close()
	return string(appendBase64(nil, b.Bytes()))
}

// ParseLink parses a link of either kind, and returns the data for apps that it has with it. The error wraps [ErrLink].
//
// Spec: xftp.md 13.5
func ParseLink(link string) (d *Description, extra string, err error) {
	if len(link) > maxLink {
		return nil, "", fmt.Errorf("%w: it is too long", ErrLink)
	}
	page, rest, ok := strings.Cut(link, "#")
	if !ok {
		return nil, "", fmt.Errorf("%w: it has no fragment", ErrLink)
	}
	var text []byte
	if query, ok := strings.CutPrefix(rest, "/?"); ok {
		text, extra, err = parseApp(page, query)
	} else {
		text, err = parseWeb(page, rest)
	}
	if err != nil {
		return nil, "", err
	}
	if d, err = Parse(text); err != nil {
		return nil, "", fmt.Errorf("%w: %w", ErrLink, err)
	}
	return d, extra, nil
}

// parseApp returns the description and the data of a link for apps.
func parseApp(page, query string) (text []byte, extra string, err error) {
	page = strings.TrimSuffix(page, "/")
	if page != "simplex:/file" {
		u, err := url.Parse(page)
		if err != nil || u.Scheme != "https" || u.Host == "" || u.Path != "/file" || u.RawQuery != "" {
			return nil, "", fmt.Errorf("%w: it is not for files", ErrLink)
		}
	}
	values, err := url.ParseQuery(query)
	if err != nil || len(values["desc"]) != 1 || len(values["data"]) > 1 {
		return nil, "", fmt.Errorf("%w: its parameters are malformed", ErrLink)
	}
	return []byte(values.Get("desc")), values.Get("data"), nil
}

// parseWeb returns the description of a link for browsers.
func parseWeb(page, fragment string) ([]byte, error) {
	if u, err := url.Parse(page); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return nil, fmt.Errorf("%w: it is neither for browsers nor for apps", ErrLink)
	}
	compressed, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(fragment, "="))
	if err != nil {
		return nil, fmt.Errorf("%w: its fragment is not base64url", ErrLink)
	}
	return inflate(compressed)
}

// inflate decompresses a description, and no more than one can be long.
func inflate(compressed []byte) ([]byte, error) {
	in := bytes.NewReader(compressed)
	text, err := io.ReadAll(io.LimitReader(flate.NewReader(in), MaxText+1))
	if err != nil || len(text) > MaxText || in.Len() > 0 {
		return nil, fmt.Errorf("%w: its fragment is not compressed text", ErrLink)
	}
	return text, nil
}
