package description

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"sotto/shared/auth"
)

// TestParseAnyYAML: what other writers of YAML make of the same description.
//
// Spec: xftp.md 13.1
func TestParseAnyYAML(t *testing.T) {
	want := exampleDescription(t)
	replace := func(pairs ...string) string { return strings.NewReplacer(pairs...).Replace(exampleText) }
	server := "xftp://tNtuCkJvU8nYDIdVjtuHImIeangaOFViVQnSzPioS3s=@xftp.example.org"
	for name, text := range map[string]string{
		"line ends of Windows":    strings.ReplaceAll(exampleText, "\n", "\r\n"),
		"byte order mark":         "\ufeff" + exampleText,
		"begin of document":       "---\n" + exampleText,
		"begin and end":           "%YAML 1.1\n---\n" + exampleText + "...\n",
		"comments":                "# a file\n" + replace("party: recipient", "party: recipient # not the sender"),
		"double quotes":           replace("64kb", `"64kb"`, "recipient", `"recip\x69ent"`),
		"single quotes":           replace("64kb", "'64kb'", server, "'"+server+"'"),
		"other indentation":       replace("- chunks:\n  - 1", "  -   chunks:\n        -   1", "  server", "      server"),
		"bytes as a number":       replace("64kb", "65536"),
		"folded":                  replace("party: recipient", "party: >-\n  recipient"),
		"literal":                 replace("party: recipient", "party: |-\n  recipient"),
		"flow style":              replace("replicas:\n- chunks:\n  - ", "replicas: [ { chunks: [ \"", "8KM=\n  server: "+server, "8KM=\" ], server: \""+server+"\" } ]"),
		"no padding":              strings.NewReplacer("==\n", "\n", "=\n", "\n", "==:", ":").Replace(exampleText),
		"redirect of null":        replace("party", "redirect: null\nparty"),
		"redirect of nothing":     replace("party", "redirect:\nparty"),
		"redirect of a tilde":     replace("party", "redirect: ~\nparty"),
		"keys nobody knows":       replace("party", "x: {y: [1, 2], ? [a] : b, ? [c] : d}\nparty", "  server", "  z: 1\n  server"),
		"alias in an unknown key": replace("party", "x: &a [1]\ny: *a\nparty"),
		"anchor":                  replace("party: recipient", "party: &a recipient"),
		"leading zeros":           replace("  - 1:", "  - 0001:", "size: 64kb", "size: 0064kb"),
		"size that is default":    replace("8KM=\n", "8KM=:64kb\n"),
		"another default":         replace("chunkSize: 64kb", "chunkSize: 1mb", "8KM=\n", "8KM=:64kb\n"),
		"an empty group":          replace("size: 64kb\n", "size: 64kb\n", "replicas:\n", "replicas:\n- {server: '"+server+"', chunks: []}\n"),
	} {
		got, err := Parse([]byte(text))
		if err != nil {
			t.Errorf("%s: %v in\n%s", name, err, text)
			continue
		}
		if name == "another default" {
			got.ChunkSize = want.ChunkSize
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: another description", name)
		}
	}
}

// TestParseRefuses: texts that are no descriptions, and what is said about them.
//
// Spec: xftp.md 13.3
func TestParseRefuses(t *testing.T) {
	replace := func(pairs ...string) string { return strings.NewReplacer(pairs...).Replace(exampleText) }
	replica := exampleText[strings.Index(exampleText, "1:I")+2 : strings.Index(exampleText, "\n  server")]
	server := "xftp://tNtuCkJvU8nYDIdVjtuHImIeangaOFViVQnSzPioS3s="
	another := "KLvxeqbipwzO9t_bUQo7bFPeT-F8Szl3No84SUFn8KI="
	const privateKey = "MC4CAQAwBQYDK2VwBCIEICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj9A"
	for name, text := range map[string]string{
		"nothing":                  "",
		"a comment":                "# nothing\n",
		"a text":                   "hello",
		"a list":                   "- a\n- b\n",
		"null":                     "~",
		"not YAML":                 "a: b: c",
		"not UTF-8":                replace("recipient", "\xff"),
		"control characters":       replace("recipient", "\x00"),
		"two documents":            exampleText + "---\n" + exampleText,
		"broken second document":   exampleText + "---\n{",
		"too long":                 exampleText + strings.Repeat("#", MaxText),
		"no party":                 replace("party: recipient\n", ""),
		"no size":                  replace("\nsize: 64kb", ""),
		"no chunk size":            replace("chunkSize: 64kb\n", ""),
		"no digest":                replace("digest: ", "digest2: "),
		"no key":                   replace("key: ", "key2: "),
		"no nonce":                 replace("nonce: ", "nonce2: "),
		"no replicas":              replace("replicas:", "replica:"),
		"empty replicas":           replace("replicas:\n", "replicas: []\nx:\n"),
		"replicas of a text":       replace("replicas:\n", "replicas: text\nx:\n"),
		"replicas of null":         replace("replicas:\n", "replicas:\nx:\n"),
		"a group of a text":        replace("replicas:\n", "replicas:\n- text\n"),
		"a group of a list":        replace("replicas:\n", "replicas:\n- [chunks, ['1:"+replica+"'], server, '"+server+"@xftp.example.org']\nx:\n"),
		"no chunks":                replace("- chunks:", "- chunk:"),
		"no server":                replace("  server:", "  servers:"),
		"a chunk of a list":        replace("  - 1:", "  - - 1:"),
		"a size twice":             exampleText + "size: 64kb\n",
		"a server twice":           replace("  server:", "  server: "+server+"@other\n  server:"),
		"another party":            replace("recipient", "receiver"),
		"party in capitals":        replace("recipient", "Recipient"),
		"party as a list":          replace("recipient", "[recipient]"),
		"party as an alias":        replace("chunkSize", "x: &recipient recipient\nchunkSize", "party: recipient", "party: *recipient"),
		"replicas as an alias":     replace("chunkSize", "x: &a []\nchunkSize", "replicas:\n", "replicas: *a\nx:\n"),
		"merged":                   replace("chunkSize", "x: &a {party: recipient}\n<<: *a\nchunkSize", "party: recipient\n", ""),
		"unit in capitals":         replace("64kb", "64KB"),
		"negative size":            replace("\nsize: 64kb", "\nsize: -64kb"),
		"size that is too much":    replace("\nsize: 64kb", "\nsize: 9223372036854775808"),
		"size of the file differs": replace("\nsize: 64kb", "\nsize: 65kb"),
		"chunk size of nothing":    replace("chunkSize: 64kb", "chunkSize: 0", "8KM=\n", "8KM=:64kb\n"),
		"chunk size over 4 GiB":    replace("chunkSize: 64kb", "chunkSize: 4194368kb"), // cut to 32 bits, it would fit
		"nothing in no chunks":     replace("replicas:\n", "replicas: []\nx:\n", "\nsize: 64kb", "\nsize: 0"),
		"chunk size of 4 GiB":      replace("64kb", "4gb"),
		"a chunk of nothing":       replace("8KM=\n", "8KM=:0\n", "\nsize: 64kb", "\nsize: 0"),
		"a chunk with no size":     replace("8KM=\n", "8KM=:\n"),
		"short digest":             replace("DzGwAENyi2A==", "DzGwAENyi"),
		"long key":                 replace("key: AA", "key: AAAA"),
		"short nonce":              replace("nonce: 0NHS", "nonce: "),
		"empty key":                replace("key: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "key: ''"),
		"standard base64":          replace("qXHftJr-", "qXHftJr+"),
		"wrong padding":            replace("HR4fHh8=", "HR4fHh8==", "GxwdHh8=", "GxwdHh8=="),
		"bits left over":           replace("GxwdHh8=", "GxwdHh9="),
		"lines in base64":          replace("nonce: 0NHS", "nonce: \"0NHS\\n", "bn\n", "bn\"\n"),
		"chunk number 0":           replace("  - 1:", "  - 0:"),
		"chunk number 2":           replace("  - 1:", "  - 2:"),
		"negative chunk number":    replace("  - 1:", "  - -1:"),
		"chunk number with a sign": replace("  - 1:", "  - +1:"),
		"no chunk number":          replace("  - 1:", "  - ':"),
		"huge chunk number":        replace("  - 1:", "  - 8193:"),
		"huger chunk number":       replace("  - 1:", "  - 18446744073709551617:"),
		"one field":                replace(replica, ""),
		"two fields":               replace(":"+privateKey, "", ":KLvxeqbipwzO9t_bUQo7bFPeT-F8Szl3No84SUFn8KM=", ""),
		"six fields":               replace("8KM=\n", "8KM=:64kb:1\n"),
		"empty id":                 replace("IiIiIiIiIiIiIiIiIiIiIg==", ""),
		"id of padding":            replace("IiIiIiIiIiIiIiIiIiIiIg==", "=="),
		"id of 256 bytes":          replace("IiIiIiIiIiIiIiIiIiIiIg==", base64.URLEncoding.EncodeToString(make([]byte, 256))),
		"id that is no base64":     replace("IiIiIiIiIiIiIiIiIiIiIg==", "IiI*"),
		"no private key":           replace(privateKey, ""),
		"key that is no base64":    replace(privateKey, "*"),
		"key of another kind":      replace(privateKey, base64.URLEncoding.EncodeToString(append([]byte("\x30\x46\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x6f\x04\x3a\x04\x38"), make([]byte, 56)...))),
		"public key":               replace(privateKey, "MCowBQYDK2VwAyEA2dsRnuaGW0WyDciCjabI4X84Q-y3CXYbVqBF4KB3hrE="),
		"no digest of the chunk":   replace(":KLvxeqbipwzO9t_bUQo7bFPeT-F8Szl3No84SUFn8KM=", ""),
		"empty digest":             replace("KLvxeqbipwzO9t_bUQo7bFPeT-F8Szl3No84SUFn8KM=", ""),
		"size for a digest":        replace("KLvxeqbipwzO9t_bUQo7bFPeT-F8Szl3No84SUFn8KM=", "64kb"),
		"different digests":        replace("8KM=\n", "8KM=\n  - 1:QQ==:"+privateKey+":"+another+"\n"),
		"different sizes":          replace("8KM=\n", "8KM=:64kb\n  - 1:QQ==:"+privateKey+":KLvxeqbipwzO9t_bUQo7bFPeT-F8Szl3No84SUFn8KM=:1kb\n"),
		"17 replicas":              replace("8KM=\n", "8KM=\n"+strings.Repeat("  - 1:QQ==:"+privateKey+"\n", 16)),
		"password":                 replace(server+"@", server+":secret@"),
		"relay for messages":       replace("xftp://", "smp://"),
		"short fingerprint":        replace(server, "xftp://AAAA"),
		"no host":                  replace("@xftp.example.org", "@"),
		"redirect of a text":       replace("party", "redirect: text\nparty"),
		"redirect of a list":       replace("party", "redirect: []\nparty"),
		"redirect of nothing":      replace("party", "redirect: {}\nparty"),
		"redirect, no digest":      replace("party", "redirect: {size: 1}\nparty"),
		"redirect, short digest":   replace("party", "redirect: {size: 1, digest: AAAA}\nparty"),
		"redirect, no size":        replace("party", "redirect: {digest: "+exampleDigest()+"}\nparty"),
		"redirect, unit":           replace("party", "redirect: {size: 1kb, digest: "+exampleDigest()+"}\nparty"),
		"redirect, negative":       replace("party", "redirect: {size: -1, digest: "+exampleDigest()+"}\nparty"),
		"redirect, fraction":       replace("party", "redirect: {size: 1.5, digest: "+exampleDigest()+"}\nparty"),
	} {
		if text == exampleText {
			t.Errorf("%s: nothing was changed", name)
		}
		d, err := Parse([]byte(text))
		if d != nil || !errors.Is(err, ErrDescription) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, secret := range []string{"xftp.example", "tNtuCk", "AAEC", "0NHS", "IiIi", "MC4C", "KLvx", "qXHf", "receiver", "secret"} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%s: the error quotes the text: %v", name, err)
			}
		}
	}
	for n := range exampleText[:len(exampleText)-1] {
		// Cut in the last line it may be a description of another size, which does not fit the chunks.
		if d, err := Parse([]byte(exampleText[:n])); !errors.Is(err, ErrDescription) {
			t.Errorf("the first %d bytes: %v %v", n, d, err)
		}
	}
}

func exampleDigest() string { return exampleText[strings.Index(exampleText, "qXHf"):][:88] }

// TestAliases: a text whose aliases would expand to billions of nodes costs no more than its own length.
func TestAliases(t *testing.T) {
	var b strings.Builder
	b.WriteString("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := range 30 {
		alias := "*a" + strconv.Itoa(i)
		fmt.Fprintf(&b, "a%d: &a%d [%s]\n", i+1, i+1, strings.Repeat(alias+", ", 9)+alias)
	}
	if _, err := Parse([]byte(b.String() + exampleText)); err != nil {
		t.Errorf("in keys that nobody knows: %v", err)
	}
	if _, err := Parse([]byte(b.String() + strings.Replace(exampleText, "replicas:\n", "replicas: *a30\nx:\n", 1))); !errors.Is(err, ErrDescription) {
		t.Errorf("in a key that is read: %v", err)
	}
}

// TestHostile: texts that are mostly structure cost memory in proportion to their length, which is bounded.
func TestHostile(t *testing.T) {
	const length = 64 << 10
	const most = 256 * length
	for _, part := range []string{
		"- ", "- - ", "[", "[[],", "[a,", "{", "{a: ", "? ", ": ", "a: b\n", "a:\n ", "a: &a\n", "- a\n", "- # c\n", "a: # c\n", "# c\n",
		"\"", "'", "|\n", "&a ", "*a ", "!", "!!binary a\n", "--- ", "---\n", "%", "\\", "\t", "\n", " ",
	} {
		text := []byte(strings.Repeat(part, length/len(part)))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Parse(text)
		runtime.ReadMemStats(&after)
		if allocated := after.TotalAlloc - before.TotalAlloc; allocated > most || !errors.Is(err, ErrDescription) {
			t.Errorf("%q: %d bytes were allocated, %v", part, allocated, err)
		}
	}
}

// TestLargest: as many chunks as the largest file has, and as many as no text has.
func TestLargest(t *testing.T) {
	d := exampleDescription(t)
	d.Chunks[0].Replicas[0].ID = make([]byte, 24)
	grow := func(n int) {
		for len(d.Chunks) < n {
			d.Chunks = append(d.Chunks, d.Chunks[0])
		}
		d.Size = int64(n) * int64(d.ChunkSize)
	}
	grow(1280)
	if text := d.Append(nil); len(text) > MaxText/4 {
		t.Errorf("the largest file takes %d bytes", len(text))
	} else if got, err := Parse(text); err != nil || !reflect.DeepEqual(got, d) {
		t.Errorf("the largest file: %v", err)
	}
	if grow(maxChunks); len(d.Append(nil)) <= MaxText {
		t.Error("a text could have more chunks than are parsed")
	}
}

// TestRoundTrip: any two parties, several relays, sizes and kinds of keys.
func TestRoundTrip(t *testing.T) {
	const address = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
	hosts := []string{
		"example.org", "example.org:443", "example.org:5443", "192.0.2.1", "192.0.2.1:7", "2001:db8::1", "[2001:db8::1]:7000",
		"a.example,abcdefghijklmnopqrstuvwxyz234567abcdefghijklmnopqrstuvwx.onion", "b.example,[2001:db8::2]:5443",
	}
	d := exampleDescription(t)
	d.Party = Sender
	d.Redirect = &Redirect{Size: math.MaxInt64, Digest: d.Digest}
	d.Chunks, d.Size = nil, 0
	keys := []auth.Key{auth.NewEd25519(), auth.NewEd448(), auth.NewX25519()}
	for i := range 50 {
		c := Chunk{Size: []uint32{1, 64 << 10, math.MaxUint32}[i%3], Digest: [32]byte{byte(i)}}
		for j := range 1 + i%4 {
			server := "xftp://" + address + "@" + hosts[(i+j)%len(hosts)]
			p := parser{}
			c.Replicas = append(c.Replicas, Replica{Server: p.server(server), ID: make([]byte, 1+i+j), Key: keys[j%3]})
			if p.err != nil {
				t.Fatalf("%s: %v", server, p.err)
			}
		}
		d.Chunks = append(d.Chunks, c)
		d.Size += int64(c.Size)
	}
	text := d.Append([]byte("before"))[len("before"):]
	got, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Chunks) != len(d.Chunks) || got.Size != d.Size || got.Party != Sender || *got.Redirect != *d.Redirect {
		t.Error("another description")
	}
	if again, err := Parse(got.Append(nil)); err != nil || !reflect.DeepEqual(again, got) {
		t.Errorf("written again, it is another: %v", err)
	}
	for i := range d.Chunks {
		sortReplicas(d.Chunks[i].Replicas)
		sortReplicas(got.Chunks[i].Replicas)
	}
	if !reflect.DeepEqual(got.Chunks, d.Chunks) {
		t.Errorf("other chunks in\n%s", text)
	}
}

func TestPasswordIsNotWritten(t *testing.T) {
	d := exampleDescription(t)
	d.Chunks[0].Replicas[0].Server.Password = []byte("secret")
	if got := string(d.Append(nil)); got != exampleText {
		t.Errorf("written as\n%s", got)
	}
}

// Spec: xftp.md 13.4
func TestRedirectLeads(t *testing.T) {
	d := exampleDescription(t)
	r := Redirect{Size: d.Size, Digest: d.Digest}
	if !r.Leads(d) {
		t.Error("does not lead to its description")
	}
	for name, change := range map[string]func(*Description){
		"sender":           func(d *Description) { d.Party = Sender },
		"size":             func(d *Description) { d.Size++ },
		"digest":           func(d *Description) { d.Digest[63] ^= 1 },
		"another redirect": func(d *Description) { d.Redirect = &r },
	} {
		other := *d
		if change(&other); r.Leads(&other) {
			t.Errorf("%s: leads to another", name)
		}
	}
}

func TestPrintsNothing(t *testing.T) {
	d := exampleDescription(t)
	d.Redirect = &Redirect{Size: 1, Digest: d.Digest}
	for want, values := range map[string][]any{
		"[file description]": {d, *d},
		"[chunk]":            {d.Chunks[0], &d.Chunks[0]},
		"[replica]":          {d.Chunks[0].Replicas[0], &d.Chunks[0].Replicas[0]},
		"[redirect]":         {d.Redirect, *d.Redirect},
	} {
		for _, v := range values {
			if got := fmt.Sprintf("%v%+v%#v%x%d%s", v, v, v, v, v, v); got != strings.Repeat(want, 6) {
				t.Errorf("%T prints %s", v, got)
			}
			if got, err := json.Marshal(v); err != nil || string(got) != `"`+want+`"` {
				t.Errorf("%T is %s in JSON: %v", v, got, err)
			}
		}
	}
}
