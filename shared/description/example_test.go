package description

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"reflect"
	"strings"
	"testing"

	"sotto/shared/address"
	"sotto/shared/auth"
	"sotto/shared/key"
)

// The text and the link's fragment of the specification.
//
// Spec: xftp.md 17.10
const (
	exampleText = `chunkSize: 64kb
digest: qXHftJr-RLh2B-BXTWsZ0BCMlZKt1mN5qDOsRR8ht0gXvlM9aPPYMjQD2mQdn_V-bLS6mBO229UDzGwAENyi2A==
key: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=
nonce: 0NHS09TV1tfY2drb3N3e3-Dh4uPk5ebn
party: recipient
replicas:
- chunks:
  - 1:IiIiIiIiIiIiIiIiIiIiIg==:MC4CAQAwBQYDK2VwBCIEICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj9A:KLvxeqbipwzO9t_bUQo7bFPeT-F8Szl3No84SUFn8KM=
  server: xftp://tNtuCkJvU8nYDIdVjtuHImIeangaOFViVQnSzPioS3s=@xftp.example.org
size: 64kb
`
	exampleFragment = "bZHJbqNAAETvfAU_QILBcQAJaZrNxmbHEJNLxNKGNtBgaAzm68c5zWVUl7pU6ZUqryZch2iFEr3b1hlVoBKORKLvl8OVHAcmsC" +
		"pOYZTL-Wv8ZhXVbr5PZNM6H3fNHYNAqAhbXh6NLaael9g3X-Nav8A_MZNZ4a5VXI4TI23dz0B3nogDskzV8CnRAOgqmH1DKXNT9TtL" +
		"A6yrLSDQKzsyguSyV-p0v8zFoRJkCnc4f-GxziFkxXO8IdeEK4aMd3jIM1q1nbz6A2aY6tOBvLoHmKMeQUyoAfYNytNRohg6_935cj" +
		"TN0BvJRP9RKcuSrW5V4INZ8RPtxMWzopq6qerIfPrNEeXdKewGS2UnawWLfbNZ55zwrlbv3HUWvZsIpJP1WOA9Q_28uiL5ySK_-8wM" +
		"D54ZQwjXhnc6YRtGBhZOtvyCGeHwgINEL1fSS-_vxCGTWh8fkYATzSziG5kOZmvCFJepa8Qo9nG4eqgL-VH-85t5g0va9g1864aSGv" +
		"_d-Bc="
)

// exampleDescription is built from the parts that the specification names.
func exampleDescription(t testing.TB) *Description {
	t.Helper()
	server, err := address.Parse(address.XFTP, "xftp://tNtuCkJvU8nYDIdVjtuHImIeangaOFViVQnSzPioS3s=@xftp.example.org")
	if err != nil {
		t.Fatal(err)
	}
	k, err := auth.NewKey(key.Ed25519, sequence(0x21, 32))
	if err != nil {
		t.Fatal(err)
	}
	return &Description{
		Size: 65536, ChunkSize: 65536, Key: [32]byte(sequence(0, 32)), Nonce: [24]byte(sequence(0xd0, 24)),
		Digest: [64]byte(unhex(t, "a971dfb49afe44b87607e0574d6b19d0108c9592add66379a833ac451f21b748"+
			"17be533d68f3d8323403da641d9ff57e6cb4ba9813b6dbd503cc6c0010dca2d8")),
		Chunks: []Chunk{{
			Size:     65536,
			Digest:   [32]byte(unhex(t, "28bbf17aa6e2a70ccef6dfdb510a3b6c53de4fe17c4b3977368f38494167f0a3")),
			Replicas: []Replica{{Server: server, ID: bytes.Repeat([]byte{0x22}, 16), Key: k}},
		}},
	}
}

func sequence(from byte, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = from + byte(i)
	}
	return b
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Spec: xftp.md 17.10
func TestWorkedExample(t *testing.T) {
	d := exampleDescription(t)
	if got := string(d.Append(nil)); got != exampleText || len(got) != 471 {
		t.Errorf("written as %d bytes:\n%s", len(got), got)
	}
	if got, err := Parse([]byte(exampleText)); err != nil || !reflect.DeepEqual(got, d) {
		t.Errorf("parsed as another: %v", err)
	}
	compressed, err := base64.URLEncoding.DecodeString(exampleFragment)
	if err != nil || len(compressed) != 383 {
		t.Fatalf("%d bytes compressed: %v", len(compressed), err)
	}
	link, err := WebLink(d, d.Origin())
	if err != nil || !strings.HasPrefix(link, "https://xftp.example.org/#") {
		t.Fatalf("link %s: %v", link, err)
	}
	for _, link := range []string{"https://xftp.example.org/#" + exampleFragment, link, AppLink(d, "")} {
		if got, extra, err := ParseLink(link); err != nil || extra != "" || !reflect.DeepEqual(got, d) {
			t.Errorf("%.30s… is parsed as another: %v", link, err)
		}
	}
}

// fixture has four chunks with two replicas each, on four relays.
//
// Spec: xftp.md 18.5
const fixture = `chunkSize: 8mb
digest: qXHftJr-RLh2B-BXTWsZ0BCMlZKt1mN5qDOsRR8ht0gXvlM9aPPYMjQD2mQdn_V-bLS6mBO229UDzGwAENyi2A==
key: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=
nonce: 0NHS09TV1tfY2drb3N3e3-Dh4uPk5ebn
party: recipient
replicas:
- chunks:
  - 1:QQ==:MC4CAQAwBQYDK2VwBCIEICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj9A:KLvxeqbipwzO9t_bUQo7bFPeT-F8Szl3No84SUFn8KM=
  - 3:QUI=:MC4CAQAwBQYDK2VwBCIEICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj9A:KLvxeqbipwzO9t_bUQo7bFPeT-F8Szl3No84SUFn8KM=
  server: xftp://AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=@example1.com
- chunks:
  - 2:QUJD:MC4CAQAwBQYDK2VwBCIEICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj9A:KLvxeqbipwzO9t_bUQo7bFPeT-F8Szl3No84SUFn8KM=
  - 4:QUJDRA==:MC4CAQAwBQYDK2VwBCIEICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj9A:KLvxeqbipwzO9t_bUQo7bFPeT-F8Szl3No84SUFn8KM=:2mb
  server: xftp://AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=@example2.com
- chunks:
  - 1:QUJDREU=:MC4CAQAwBQYDK2VwBCIEICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj9A
  - 4:QUJDREVG:MC4CAQAwBQYDK2VwBCIEICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj9A
  server: xftp://AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=@example3.com
- chunks:
  - 2:QQ==:MC4CAQAwBQYDK2VwBCIEICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj9A
  - 3:QQ==:MC4CAQAwBQYDK2VwBCIEICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj9A
  server: xftp://AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=@example4.com
size: 26mb
`

// TestFixture parses what upstream's own tests parse, with its digests and fingerprints at their full length, and writes
// it back.
//
// Spec: xftp.md 18.5
func TestFixture(t *testing.T) {
	d, err := Parse([]byte(fixture))
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Chunks) != 4 || d.ChunkSize != 8<<20 || d.Size != 26<<20 {
		t.Errorf("%d chunks of %d, %d together", len(d.Chunks), d.ChunkSize, d.Size)
	}
	for i, servers := range [][2]string{{"1", "3"}, {"2", "4"}, {"1", "4"}, {"2", "3"}} {
		c := d.Chunks[i]
		if want := uint32(8 << 20); len(c.Replicas) != 2 || (c.Size == want) != (i < 3) || c.Digest != d.Chunks[0].Digest {
			t.Errorf("chunk %d has %d replicas and %d bytes", i+1, len(c.Replicas), c.Size)
		}
		for j, server := range servers {
			if host := string(c.Replicas[j].Server.Hosts[0]); host != "example"+server+".com" {
				t.Errorf("chunk %d: replica %d is on %s", i+1, j, host)
			}
		}
	}
	if d.Chunks[3].Size != 2<<20 {
		t.Errorf("the last chunk has %d bytes", d.Chunks[3].Size)
	}
	if got := string(d.Append(nil)); got != fixture {
		t.Errorf("written as\n%s", got)
	}
}
