package wire_test

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"sotto/shared/internal/vectors"
	"sotto/shared/wire"
)

// primitive is one way to encode: how a value, in the words of the vectors, is read and appended.
type primitive struct {
	read   func(r *wire.Reader) string
	append func(value string) []byte
}

var (
	char = primitive{
		func(r *wire.Reader) string { return string(rune(r.Byte())) },
		func(v string) []byte { return []byte(v) },
	}
	short = primitive{
		func(r *wire.Reader) string { return string(r.Str()) },
		func(v string) []byte { return wire.AppendStr(nil, []byte(v)) },
	}
	seconds = primitive{
		func(r *wire.Reader) string { return fmt.Sprint(r.Int64()) },
		func(v string) []byte { return wire.AppendInt64(nil, number(v)) },
	}
	flag = primitive{
		func(r *wire.Reader) string { return fmt.Sprint(r.Bool()) },
		func(v string) []byte { return wire.AppendBool(nil, v == "true") },
	}
)

var primitives = map[string]primitive{
	"word16": {
		func(r *wire.Reader) string { return fmt.Sprint(r.Uint16()) },
		func(v string) []byte { return wire.AppendUint16(nil, uint16(number(v))) },
	},
	"word32": {
		func(r *wire.Reader) string { return fmt.Sprint(r.Uint32()) },
		func(v string) []byte { return wire.AppendUint32(nil, uint32(number(v))) },
	},
	"int64":             seconds,
	"system_time":       seconds,
	"bool":              flag,
	"message_flags":     flag,
	"char":              char,
	"subscription_mode": char,
	"queue_mode":        char,
	"service_role":      char,
	"bytes_short":       short,
	"string":            short,
	"text_utf8":         short,
	"key_hash":          short,
	"basic_auth":        short,
	"bytes_large": {
		func(r *wire.Reader) string { return string(r.Large()) },
		func(v string) []byte { return wire.AppendLarge(nil, []byte(v)) },
	},
	"tail":  {func(r *wire.Reader) string { return string(r.Tail()) }, func(v string) []byte { return []byte(v) }},
	"nonce": {func(r *wire.Reader) string { return string(r.Take(24)) }, func(v string) []byte { return []byte(v) }},
	"maybe_bytes": {
		func(r *wire.Reader) string {
			if !r.Maybe() {
				return ""
			}
			return string(r.Str())
		},
		func(v string) []byte {
			b := wire.AppendMaybe(nil, v != "")
			if v != "" {
				b = wire.AppendStr(b, []byte(v))
			}
			return b
		},
	},
	"maybe_word16": {
		func(r *wire.Reader) string { return fmt.Sprint(r.Maybe(), r.Uint16()) },
		func(v string) []byte {
			_, n, _ := strings.Cut(v, " ")
			return wire.AppendUint16(wire.AppendMaybe(nil, true), uint16(number(n)))
		},
	},
	"list_bytes": {
		func(r *wire.Reader) string {
			var items []string
			for range r.Count() {
				items = append(items, string(r.Str()))
			}
			return strings.Join(items, ",")
		},
		func(v string) []byte {
			items := strings.FieldsFunc(v, func(c rune) bool { return c == ',' })
			b := wire.AppendCount(nil, len(items))
			for _, item := range items {
				b = wire.AppendStr(b, []byte(item))
			}
			return b
		},
	},
	"nonempty_word16": {
		func(r *wire.Reader) string {
			var items []string
			for range r.NonEmptyCount() {
				items = append(items, fmt.Sprint(r.Uint16()))
			}
			return strings.Join(items, ",")
		},
		func(v string) []byte {
			items := strings.Split(v, ",")
			b := wire.AppendCount(nil, len(items))
			for _, item := range items {
				b = wire.AppendUint16(b, uint16(number(item)))
			}
			return b
		},
	},
	"tuple_bool_char_bytes": {
		func(r *wire.Reader) string { return fmt.Sprintf("%t,%c,%s", r.Bool(), r.Byte(), r.Str()) },
		func(v string) []byte {
			f := strings.Split(v, ",")
			return wire.AppendStr(append(wire.AppendBool(nil, f[0] == "true"), f[1]...), []byte(f[2]))
		},
	},
	"version": {
		func(r *wire.Reader) string { return fmt.Sprint(r.Version()) },
		func(v string) []byte { return wire.AppendVersion(nil, wire.Version(number(v))) },
	},
	"version_range": {
		func(r *wire.Reader) string { vr := r.VersionRange(); return fmt.Sprintf("%d-%d", vr.Min, vr.Max) },
		func(v string) []byte {
			lo, hi, _ := strings.Cut(v, "-")
			return wire.AppendVersionRange(nil, wire.VersionRange{Min: wire.Version(number(lo)), Max: wire.Version(number(hi))})
		},
	},
}

func number(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		panic(err)
	}
	return n
}

// literal turns what the vectors say about a value into the value, where they describe it.
func literal(kind, value string, encoded []byte) string {
	switch {
	case strings.HasSuffix(value, " times 'x'"):
		n, _, _ := strings.Cut(value, " ")
		return strings.Repeat("x", int(number(n)))
	case kind == "key_hash":
		return string(encoded[1:])
	case kind == "nonce":
		return string(encoded)
	case kind == "system_time":
		return "1700000000"
	case kind == "maybe_bytes":
		return strings.TrimPrefix(strings.TrimPrefix(value, "absent"), "present: ")
	case kind == "maybe_word16":
		return "true " + strings.TrimPrefix(value, "present: ")
	case kind == "list_bytes":
		return strings.TrimPrefix(value, "empty")
	case kind == "message_flags":
		return strings.TrimPrefix(value, "notification=")
	case kind == "subscription_mode", kind == "queue_mode", kind == "service_role":
		return string(encoded)
	}
	return value
}

func TestPrimitiveVectors(t *testing.T) {
	var cases []struct {
		Type, Value string
		Hex         vectors.Hex
	}
	vectors.Load(t, "smp/primitives.json", &cases)
	for _, c := range cases {
		p, ok := primitives[c.Type]
		if !ok {
			t.Errorf("no test for type %s", c.Type)
			continue
		}
		want := literal(c.Type, c.Value, c.Hex)
		r := wire.NewReader(c.Hex)
		if got := p.read(&r); got != want || r.Done() != nil {
			t.Errorf("%s %s: read %q, %v", c.Type, c.Value, got, r.Done())
		}
		if got := p.append(want); !bytes.Equal(got, c.Hex) {
			t.Errorf("%s %s: appended %x, want %v", c.Type, c.Value, got, c.Hex)
		}
		if c.Type == "tail" {
			continue
		}
		for n := range len(c.Hex) {
			r := wire.NewReader(c.Hex[:n])
			p.read(&r)
			if !r.Failed() || r.Err() == nil || r.Done() == nil || r.Len() != 0 {
				t.Errorf("%s %s: the first %d bytes are accepted", c.Type, c.Value, n)
			}
		}
		r = wire.NewReader(append(bytes.Clone(c.Hex), 0))
		if p.read(&r); r.Err() != nil || r.Done() == nil || r.Len() != 1 {
			t.Errorf("%s %s: a byte left over is not noticed", c.Type, c.Value)
		}
	}
	t.Logf("checked %d cases", len(cases))
}
