package description

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"sotto/shared/address"
	"sotto/shared/auth"
)

// Parse parses a description. Whatever YAML can write it in is taken, but for aliases and anything after it; unknown keys
// are ignored. The error wraps [ErrDescription].
//
// Spec: xftp.md 13.1
// Spec: xftp.md 13.3
func Parse(text []byte) (*Description, error) {
	root, err := document(text)
	if err != nil {
		return nil, err
	}
	p := parser{chunks: map[int]*chunkParts{}}
	top := p.mapping(root, "the text")
	var d Description
	d.ChunkSize = p.chunkSize(p.scalar(top, "chunkSize"))
	p.bytes(d.Digest[:], p.scalar(top, "digest"), "digest")
	p.bytes(d.Key[:], p.scalar(top, "key"), "key")
	p.bytes(d.Nonce[:], p.scalar(top, "nonce"), "nonce")
	d.Party = p.party(p.scalar(top, "party"))
	d.Redirect = p.redirect(top["redirect"])
	d.Size = p.size(p.scalar(top, "size"))
	for _, group := range p.sequence(top, "replicas") {
		p.group(group)
	}
	d.Chunks = p.assemble(d.ChunkSize, d.Size)
	if p.err != nil {
		return nil, p.err
	}
	return &d, nil
}

// document returns the root of the only YAML document in text.
func document(text []byte) (*yaml.Node, error) {
	if len(text) > MaxText {
		return nil, fmt.Errorf("%w: it is too long", ErrDescription)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var doc, more yaml.Node
	// The errors of the decoder quote what it read.
	if err := decoder.Decode(&doc); err != nil || len(doc.Content) != 1 {
		return nil, fmt.Errorf("%w: it is not YAML", ErrDescription)
	}
	if err := decoder.Decode(&more); err != io.EOF {
		return nil, fmt.Errorf("%w: something follows it", ErrDescription)
	}
	return doc.Content[0], nil
}

// parser keeps the first error, after which what its methods return has no meaning, and the chunks as far as they are
// known.
type parser struct {
	err    error
	chunks map[int]*chunkParts // by their numbers
}

// chunkParts is what the replicas of one chunk have told.
type chunkParts struct {
	Chunk
	hasDigest bool
	hasSize   bool
}

// fail keeps an error that says what is wrong with what, which is a word of this package.
func (p *parser) fail(what, wrong string) {
	if p.err == nil {
		p.err = fmt.Errorf("%w: %s %s", ErrDescription, what, wrong)
	}
}

// mapping returns the values by their keys. A key that comes twice would be read in different ways by different clients,
// so it is an error.
func (p *parser) mapping(n *yaml.Node, what string) map[string]*yaml.Node {
	if n.Kind != yaml.MappingNode {
		p.fail(what, "is not a mapping")
		return nil
	}
	values := make(map[string]*yaml.Node, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i].Value
		if _, twice := values[key]; twice {
			p.fail(what, "has a key twice")
		}
		values[key] = n.Content[i+1]
	}
	return values
}

func (p *parser) scalar(values map[string]*yaml.Node, key string) string {
	n := values[key]
	if n == nil || n.Kind != yaml.ScalarNode {
		p.fail(key, "is missing or is not a text")
		return ""
	}
	return n.Value
}

func (p *parser) sequence(values map[string]*yaml.Node, key string) []*yaml.Node {
	n := values[key]
	if n == nil || n.Kind != yaml.SequenceNode {
		p.fail(key, "are missing or are not a list")
		return nil
	}
	return n.Content
}

// bytes decodes base64url of exactly the length of dst.
func (p *parser) bytes(dst []byte, s, what string) {
	b, err := decodeBase64(s)
	if err != nil || len(b) != len(dst) {
		p.fail(what, "is not base64url of the right length")
		return
	}
	copy(dst, b)
}

// decodeBase64 decodes base64url, whose padding may be missing, but not be wrong.
//
// Spec: xftp.md 1.3
func decodeBase64(s string) ([]byte, error) {
	encoding := base64.RawURLEncoding
	if strings.HasSuffix(s, "=") {
		encoding = base64.URLEncoding
	}
	if strings.ContainsAny(s, "\r\n") { // which the decoder skips
		return nil, base64.CorruptInputError(0)
	}
	return encoding.Strict().DecodeString(s)
}

func (p *parser) party(s string) Party {
	switch s {
	case "recipient":
		return Recipient
	case "sender":
		return Sender
	}
	p.fail("party", "is neither recipient nor sender")
	return 0
}

func (p *parser) size(s string) int64 {
	n, err := ParseSize(s)
	if err != nil {
		p.fail("a size", "is malformed")
	}
	return n
}

// chunkSize parses the size of a chunk, which has at least one byte.
func (p *parser) chunkSize(s string) uint32 {
	n := p.size(s)
	if n == 0 || n > math.MaxUint32 {
		p.fail("the size of a chunk", "is out of range")
	}
	return uint32(n)
}

// redirect parses the optional mapping; its size is a plain number.
//
// Spec: xftp.md 13.4
func (p *parser) redirect(n *yaml.Node) *Redirect {
	if n == nil || n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" {
		return nil
	}
	values := p.mapping(n, "redirect")
	var r Redirect
	p.bytes(r.Digest[:], p.scalar(values, "digest"), "the digest of redirect")
	size, err := strconv.ParseUint(p.scalar(values, "size"), 10, 63)
	if err != nil {
		p.fail("the size of redirect", "is not a number")
	}
	r.Size = int64(size)
	return &r
}

// group parses the replicas on one relay.
func (p *parser) group(n *yaml.Node) {
	values := p.mapping(n, "an item of replicas")
	server := p.server(p.scalar(values, "server"))
	for _, line := range p.sequence(values, "chunks") {
		if line.Kind != yaml.ScalarNode {
			p.fail("a replica", "is not a text")
		}
		if p.err != nil {
			return
		}
		p.replica(server, line.Value)
	}
}

// server parses an address, which has no password here, and the fingerprint of a certificate that can be.
//
// Spec: xftp.md 2.3
func (p *parser) server(s string) address.Server {
	server, err := address.Parse(address.XFTP, s)
	if err != nil || server.Password != nil || len(server.Fingerprint) != 32 {
		p.fail("a server", "is malformed or has a password")
	}
	return server
}

// replica parses one line.
//
// Spec: xftp.md 13.3
func (p *parser) replica(server address.Server, line string) {
	fields := strings.Split(line, ":")
	if len(fields) < 3 || len(fields) > 5 {
		p.fail("a replica", "has not 3 to 5 fields")
		return
	}
	number, err := strconv.ParseUint(fields[0], 10, 31)
	if err != nil || number == 0 || number > maxChunks {
		p.fail("a chunk number", "is malformed or out of range")
		return
	}
	c := p.chunks[int(number)]
	if c == nil {
		c = &chunkParts{}
		p.chunks[int(number)] = c
	}
	if len(c.Replicas) == maxReplicas {
		p.fail("a chunk", "has too many replicas")
		return
	}
	r := Replica{Server: server}
	if r.ID, err = decodeBase64(fields[1]); err != nil || len(r.ID) == 0 || len(r.ID) > math.MaxUint8 {
		p.fail("the id of a replica", "is malformed")
	}
	der, err := decodeBase64(fields[2])
	if err == nil {
		r.Key, err = auth.ParsePKCS8(der)
	}
	if err != nil {
		p.fail("the key of a replica", "is malformed")
	}
	c.Replicas = append(c.Replicas, r)
	p.extend(c, fields[3:])
}

// extend takes in the optional fields of a replica: digest and size of its chunk.
func (p *parser) extend(c *chunkParts, fields []string) {
	if len(fields) > 0 {
		known := c.Digest
		if p.bytes(c.Digest[:], fields[0], "the digest of a chunk"); c.hasDigest && c.Digest != known {
			p.fail("a chunk", "has different digests")
		}
		c.hasDigest = true
	}
	if len(fields) > 1 {
		known := c.Size
		if c.Size = p.chunkSize(fields[1]); c.hasSize && c.Size != known {
			p.fail("a chunk", "has different sizes")
		}
		c.hasSize = true
	}
}

// assemble returns the chunks in the order of their numbers, which have no gaps, and whose sizes add up.
//
// Spec: xftp.md 13.3
func (p *parser) assemble(size uint32, total int64) []Chunk {
	chunks := make([]Chunk, len(p.chunks))
	for i := range chunks {
		c := p.chunks[i+1]
		if c == nil {
			p.fail("the chunk numbers", "have a gap")
			return nil
		}
		if !c.hasDigest {
			p.fail("a chunk", "has no digest")
		}
		if !c.hasSize {
			c.Size = size
		}
		chunks[i] = c.Chunk
		total -= int64(c.Size)
	}
	if len(chunks) == 0 || total != 0 {
		p.fail("the size", "is not that of the chunks")
	}
	return chunks
}
