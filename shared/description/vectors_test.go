package description

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"errors"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"

	"sotto/shared/address"
	"sotto/shared/auth"
	"sotto/shared/internal/vectors"
	"sotto/shared/wire"
)

// descriptionVector is a description as the vectors have it.
type descriptionVector struct {
	Party     string
	Size      int64
	Digest    vectors.Hex
	Key       vectors.Hex
	Nonce     vectors.Hex
	ChunkSize uint32
	Redirect  *struct {
		Size   int64
		Digest vectors.Hex
	}
	Chunks []struct {
		ChunkNo   int
		ChunkSize uint32
		Digest    vectors.Hex
		Replicas  []struct {
			Server     string
			ReplicaID  vectors.Hex
			ReplicaKey vectors.Hex
		}
	}
}

func (v descriptionVector) description(t testing.TB) *Description {
	t.Helper()
	d := &Description{
		Size: v.Size, Digest: [64]byte(v.Digest), Key: [32]byte(v.Key), Nonce: [24]byte(v.Nonce), ChunkSize: v.ChunkSize,
	}
	if v.Party == Sender.String() {
		d.Party = Sender
	} else if v.Party != Recipient.String() {
		t.Fatalf("party %q", v.Party)
	}
	if v.Redirect != nil {
		d.Redirect = &Redirect{Size: v.Redirect.Size, Digest: [64]byte(v.Redirect.Digest)}
	}
	for _, c := range v.Chunks {
		chunk := Chunk{Size: c.ChunkSize, Digest: [32]byte(c.Digest)}
		for _, r := range c.Replicas {
			server, err := address.Parse(address.XFTP, r.Server)
			if err != nil {
				t.Fatal(err)
			}
			key, err := auth.ParsePKCS8(r.ReplicaKey)
			if err != nil {
				t.Fatal(err)
			}
			chunk.Replicas = append(chunk.Replicas, Replica{Server: server, ID: wire.EntityID(r.ReplicaID), Key: key})
		}
		d.Chunks = append(d.Chunks, chunk)
	}
	return d
}

// sequential reports whether the chunks have the numbers that they have by their order.
func (v descriptionVector) sequential() bool {
	for i, c := range v.Chunks {
		if c.ChunkNo != i+1 {
			return false
		}
	}
	return true
}

type descriptionVectors struct {
	Descriptions []struct {
		Name        string
		YAML        string
		Description descriptionVector
		Parsed      *descriptionVector
		Valid       bool
	}
	Decode []struct {
		Name        string
		YAML        string
		Description descriptionVector
		Validation  *string
	}
	Errors []struct{ Name, YAML string } `json:"decode_errors"`
	Sizes  []struct {
		Bytes int64
		Text  string
	}
	Base64 []struct {
		Hex               vectors.Hex
		Text, AlsoDecodes string
	} `json:"base64url"`
}

func loadDescriptions(t testing.TB) (v descriptionVectors) {
	t.Helper()
	vectors.Load(t, "xftp/descriptions.json", &v)
	return v
}

// Spec: xftp.md 13.1
// Spec: xftp.md 13.3
// Spec: xftp.md 13.4
func TestDescriptionVectors(t *testing.T) {
	v := loadDescriptions(t)
	for _, c := range v.Descriptions {
		d := c.Description.description(t)
		if got := string(d.Append(nil)); got != c.YAML {
			t.Errorf("%s is written\n%s, want\n%s", c.Name, got, c.YAML)
		}
		want := d
		if c.Parsed != nil {
			want = c.Parsed.description(t)
		}
		got, err := Parse([]byte(c.YAML))
		if (err == nil) != c.Valid || !c.Description.sequential() {
			t.Errorf("%s: %v", c.Name, err)
		} else if !reflect.DeepEqual(got, want) {
			t.Errorf("%s is parsed as another", c.Name)
		}
	}
	for _, c := range v.Decode {
		got, err := Parse([]byte(c.YAML))
		switch {
		case c.Validation != nil:
			if !errors.Is(err, ErrDescription) {
				t.Errorf("%s: %v, want %s", c.Name, err, *c.Validation)
			}
		case err != nil:
			t.Errorf("%s: %v", c.Name, err)
		case !reflect.DeepEqual(got, c.Description.description(t)):
			t.Errorf("%s is parsed as another", c.Name)
		}
	}
	for _, c := range v.Errors {
		if _, err := Parse([]byte(c.YAML)); !errors.Is(err, ErrDescription) {
			t.Errorf("%s: %v", c.Name, err)
		}
	}
	t.Logf("checked %d both ways, %d other texts, %d that are none", len(v.Descriptions), len(v.Decode), len(v.Errors))
}

// Spec: xftp.md 13.2
func TestSizeVectors(t *testing.T) {
	all := loadDescriptions(t).Sizes
	for _, c := range all {
		if got := FormatSize(c.Bytes); got != c.Text {
			t.Errorf("%d is written %s", c.Bytes, got)
		}
		if got, err := ParseSize(c.Text); got != c.Bytes || err != nil {
			t.Errorf("%s is %d: %v", c.Text, got, err)
		}
	}
	t.Logf("checked %d sizes", len(all))
}

// Spec: xftp.md 1.3
func TestBase64Vectors(t *testing.T) {
	all := loadDescriptions(t).Base64
	for _, c := range all {
		if got := string(appendBase64(nil, c.Hex)); got != c.Text {
			t.Errorf("%v is written %s", c.Hex, got)
		}
		for _, text := range []string{c.Text, c.AlsoDecodes} {
			if got, err := decodeBase64(text); err != nil || !bytes.Equal(got, c.Hex) {
				t.Errorf("%q is %x: %v", text, got, err)
			}
		}
	}
	t.Logf("checked %d texts", len(all))
}

type linkVectors struct {
	Fragments []struct {
		Name           string
		YAML           string
		Fragment       string
		Others         map[string]string `json:"otherFragments"`
		WithoutPadding string            `json:"fragmentWithoutPadding"`
		FragmentLength int
		UsesRedirect   bool
	}
	Errors []struct{ Name, Fragment string } `json:"fragment_errors"`
	Links  []struct{ Server, PagePath, Fragment, Link string }
}

func loadLinks(t testing.TB) (v linkVectors) {
	t.Helper()
	vectors.Load(t, "xftp/links.json", &v)
	return v
}

// Spec: xftp.md 13.5
func TestFragmentVectors(t *testing.T) {
	v := loadLinks(t)
	checked := 0
	for _, c := range v.Fragments {
		want, err := Parse([]byte(c.YAML))
		if err != nil {
			t.Fatal(err)
		}
		others := []string{c.Fragment, c.WithoutPadding, fragment(want)}
		for _, other := range c.Others {
			others = append(others, other)
		}
		for _, other := range others {
			d, extra, err := ParseLink("https://example.org/#" + other)
			if err != nil || extra != "" || !reflect.DeepEqual(d, want) {
				t.Errorf("%s: a fragment of %d characters is another: %v", c.Name, len(other), err)
			}
			checked++
		}
		// The text inside is the same to the byte.
		compressed, err := base64.URLEncoding.DecodeString(c.Fragment)
		if err != nil {
			t.Fatal(err)
		}
		if text, err := inflate(compressed); err != nil || string(text) != c.YAML {
			t.Errorf("%s: another text: %v", c.Name, err)
		}
		if len(c.Fragment) != c.FragmentLength || WantsRedirect(want, "https://example.org/#"+c.Fragment) != c.UsesRedirect {
			t.Errorf("%s: a redirect, or none, for %d characters", c.Name, c.FragmentLength)
		}
		// What is written inflates to the vectors' text, where that is what would be written again.
		if text := inflateFragment(t, fragment(want)); text != string(want.Append(nil)) {
			t.Errorf("%s is compressed as\n%s", c.Name, text)
		}
	}
	for _, c := range v.Errors {
		if _, _, err := ParseLink("https://example.org/#" + c.Fragment); !errors.Is(err, ErrLink) {
			t.Errorf("%s: %v", c.Name, err)
		}
	}
	t.Logf("checked %d fragments and %d that are none", checked, len(v.Errors))
}

func inflateFragment(t *testing.T, fragment string) string {
	t.Helper()
	compressed, err := base64.URLEncoding.DecodeString(fragment)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(flate.NewReader(bytes.NewReader(compressed)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestPageLinkVectors makes the link of a page from the first relay of a description, and parses it.
//
// Spec: xftp.md 13.5
func TestPageLinkVectors(t *testing.T) {
	all := loadLinks(t).Links
	for _, c := range all {
		d, _, err := ParseLink(c.Link)
		if err != nil {
			t.Fatal(err)
		}
		// The vectors take the server from elsewhere than the fragment.
		if d.Chunks[0].Replicas[0].Server, err = address.Parse(address.XFTP, c.Server); err != nil {
			t.Fatal(err)
		}
		link, err := WebLink(d, d.Origin()+c.PagePath)
		if err != nil {
			t.Fatal(err)
		}
		page, _, _ := strings.Cut(c.Link, "#")
		if got, _, _ := strings.Cut(link, "#"); got != page || c.Link != page+"#"+c.Fragment {
			t.Errorf("the page is %s, want %s", got, page)
		}
		again, _, err := ParseLink(link)
		if err != nil || !reflect.DeepEqual(again, d) {
			t.Errorf("the link is another: %v", err)
		}
	}
	t.Logf("checked %d links", len(all))
}

// addressVector is an address as the browser's client reads it.
type addressVector struct {
	Address   string
	Note      string
	KeyHash   vectors.Hex
	Host      string
	Port      string
	Formatted string
	Origin    string
}

// TestAddressVectors reads the addresses in a description, as the browser's client does but for its quirks.
//
// Spec: xftp.md 2.3
func TestAddressVectors(t *testing.T) {
	var v struct {
		Addresses []addressVector
		Errors    []struct{ Why, Address string } `json:"address_errors"`
	}
	vectors.Load(t, "xftp/addresses.json", &v)
	quirks := 0
	for _, c := range v.Addresses {
		d, err := Parse(withServer(t, c.Address))
		switch c.Note {
		case "port after the first host", "quirk: empty port":
			// Neither the native client nor this package takes it, and no client writes it.
			if quirks++; !errors.Is(err, ErrDescription) {
				t.Errorf("%s: %v", c.Note, err)
			}
			continue
		case "quirk of the web client: a port after the last host is not applied to the first":
			// It is the port of every host.
			quirks++
			c.Port = "5000"
			c.Formatted = strings.Replace(c.Formatted, ":443", ":5000", 1)
			c.Origin += ":5000"
		}
		if err != nil {
			t.Errorf("%s: %v", c.Note, err)
			continue
		}
		checkAddress(t, d, c)
	}
	for _, c := range v.Errors {
		if _, err := Parse(withServer(t, c.Address)); !errors.Is(err, ErrDescription) {
			t.Errorf("%s: %v", c.Why, err)
		}
	}
	if quirks != 3 {
		t.Errorf("%d quirks of the browser's client, 3 are known", quirks)
	}
	t.Logf("checked %d addresses, %d with another outcome, and %d that are none", len(v.Addresses), quirks, len(v.Errors))
}

func checkAddress(t *testing.T, d *Description, c addressVector) {
	t.Helper()
	s := d.Chunks[0].Replicas[0].Server
	if !bytes.Equal(s.Fingerprint, c.KeyHash) || urlHost(s.Hosts[0]) != c.Host || d.Origin() != c.Origin {
		t.Errorf("%s is the relay %s at %s", c.Address, s.String(), d.Origin())
	}
	if port := s.Port; port != c.Port && (port != "" || c.Port != s.Scheme.DefaultPort()) {
		t.Errorf("%s has port %s", c.Address, port)
	}
	if text := string(d.Append(nil)); !slices.ContainsFunc(strings.Split(text, "\n"), func(line string) bool {
		server, ok := strings.CutPrefix(line, "  server: ")
		again, err := address.Parse(address.XFTP, server)
		return ok && err == nil && again.Equal(s)
	}) {
		t.Errorf("%s is written as\n%s", c.Address, text)
	}
	// The browser's client names the first host only, and always the port.
	if s.Hosts = s.Hosts[:1]; s.Port == "" {
		s.Port = s.Scheme.DefaultPort()
	}
	if got := serverText(s); got != c.Formatted {
		t.Errorf("%s is written %s", c.Address, got)
	}
}

// withServer returns the text of a description on the relay with the given address.
func withServer(t *testing.T, server string) []byte {
	t.Helper()
	text := loadDescriptions(t).Descriptions[0].YAML
	before, rest, ok := strings.Cut(text, "  server: ")
	_, after, _ := strings.Cut(rest, "\n")
	if !ok {
		t.Fatal("no server in the text")
	}
	return []byte(before + "  server: '" + server + "'\n" + after)
}
