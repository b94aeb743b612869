package wire_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"reflect"
	"strconv"
	"testing"

	"sotto/shared/internal/vectors"
	"sotto/shared/wire"
)

// xftpPrimitive is one way to encode, with values as the vectors' JSON has them.
type xftpPrimitive struct {
	read   func(r *wire.Reader) any
	append func(t *testing.T, value any) []byte
}

// hexadecimal reads bytes as the vectors spell them.
func hexadecimal(read func(r *wire.Reader) []byte) func(r *wire.Reader) any {
	return func(r *wire.Reader) any { return hex.EncodeToString(read(r)) }
}

// spelled returns the bytes that the vectors spell.
func spelled(t *testing.T, value any) []byte {
	t.Helper()
	return unhex(t, value.(string))
}

// listOf reads and appends lists whose elements are byte strings.
func listOf(
	count func(r *wire.Reader) int, read func(r *wire.Reader) []byte, add func(dst, item []byte) []byte,
) xftpPrimitive {
	return xftpPrimitive{
		func(r *wire.Reader) any {
			items := []any{}
			for range count(r) {
				items = append(items, hex.EncodeToString(read(r)))
			}
			return items
		},
		func(t *testing.T, value any) []byte {
			items := value.([]any)
			b := wire.AppendCount(nil, len(items))
			for _, item := range items {
				b = add(b, spelled(t, item))
			}
			return b
		},
	}
}

// optional reads and appends short strings that may be absent.
func optional(read func(r *wire.Reader) any, content func(t *testing.T, value any) []byte) xftpPrimitive {
	return xftpPrimitive{
		func(r *wire.Reader) any {
			if !r.Maybe() {
				return nil
			}
			return read(r)
		},
		func(t *testing.T, value any) []byte {
			b := wire.AppendMaybe(nil, value != nil)
			if value != nil {
				b = wire.AppendStr(b, content(t, value))
			}
			return b
		},
	}
}

func readText(r *wire.Reader) any { return string(r.Str()) }

func text(_ *testing.T, value any) []byte { return []byte(value.(string)) }

var (
	readStr   = (*wire.Reader).Str
	readLarge = (*wire.Reader).Large
)

var xftpPrimitives = map[string]xftpPrimitive{
	"word16": {
		func(r *wire.Reader) any { return float64(r.Uint16()) },
		func(_ *testing.T, v any) []byte { return wire.AppendUint16(nil, uint16(v.(float64))) },
	},
	"word32": {
		func(r *wire.Reader) any { return float64(r.Uint32()) },
		func(_ *testing.T, v any) []byte { return wire.AppendUint32(nil, uint32(v.(float64))) },
	},
	"int64": {
		func(r *wire.Reader) any { return strconv.FormatInt(r.Int64(), 10) },
		func(_ *testing.T, v any) []byte { return wire.AppendInt64(nil, number(v.(string))) },
	},
	"bool": {
		func(r *wire.Reader) any { return r.Bool() },
		func(_ *testing.T, v any) []byte { return wire.AppendBool(nil, v.(bool)) },
	},
	"bytes": {
		hexadecimal(readStr),
		func(t *testing.T, v any) []byte { return wire.AppendStr(nil, spelled(t, v)) },
	},
	"large": {
		hexadecimal(readLarge),
		func(t *testing.T, v any) []byte { return wire.AppendLarge(nil, spelled(t, v)) },
	},
	"tail":           {hexadecimal((*wire.Reader).Tail), spelled},
	"string":         {readText, func(t *testing.T, v any) []byte { return wire.AppendStr(nil, text(t, v)) }},
	"maybe bytes":    optional(hexadecimal(readStr), spelled),
	"maybe string":   optional(readText, text),
	"list bytes":     listOf((*wire.Reader).Count, readStr, wire.AppendStr),
	"nonempty bytes": listOf((*wire.Reader).NonEmptyCount, readStr, wire.AppendStr),
	"nonempty large": listOf((*wire.Reader).NonEmptyCount, readLarge, wire.AppendLarge),
}

// TestXFTPPrimitiveVectors encodes and decodes the primitives of the file transfer protocol.
//
// Spec: xftp.md 1
func TestXFTPPrimitiveVectors(t *testing.T) {
	type primitiveCase struct {
		Type     string
		Value    json.RawMessage
		Hex      vectors.Hex
		OK       bool
		Consumed int
	}
	var v struct {
		Encode, Decode []primitiveCase
		Errors         []struct{ Type, What string } `json:"encode_errors"`
	}
	vectors.Load(t, "xftp/encoding.json", &v)
	for _, c := range v.Encode {
		p, ok := xftpPrimitives[c.Type]
		if !ok {
			t.Fatalf("no test for type %s", c.Type)
		}
		want := decodeJSON(t, c.Value)
		if got := p.append(t, want); !bytes.Equal(got, c.Hex) {
			t.Errorf("%s %s: appended %x", c.Type, c.Value, got)
		}
		r := wire.NewReader(c.Hex)
		if got := p.read(&r); !reflect.DeepEqual(got, want) || r.Done() != nil {
			t.Errorf("%s %s: read %v, %v", c.Type, c.Value, got, r.Done())
		}
	}
	for _, c := range v.Decode {
		r := wire.NewReader(c.Hex)
		got := xftpPrimitives[c.Type].read(&r)
		switch {
		case r.Failed() == c.OK:
			t.Errorf("%s %v: read %v", c.Type, c.Hex, got)
		case !c.OK:
		case !reflect.DeepEqual(got, decodeJSON(t, c.Value)) || len(c.Hex)-r.Len() != c.Consumed:
			t.Errorf("%s %v: read %v, %d bytes are left", c.Type, c.Hex, got, r.Len())
		}
	}
	for _, c := range v.Errors {
		if !refusesToAppend(t, c.What) {
			t.Errorf("%s: %s, but is done", c.Type, c.What)
		}
	}
	t.Logf("checked %d both ways, %d other inputs, %d values that have no encoding", len(v.Encode), len(v.Decode), len(v.Errors))
}

func decodeJSON(t *testing.T, raw json.RawMessage) (value any) {
	t.Helper()
	if err := json.Unmarshal(raw, &value); err != nil {
		t.Fatal(err)
	}
	return value
}

// refusesToAppend reports whether what the vectors describe cannot be encoded. Only readers can know that a list must not
// be empty.
func refusesToAppend(t *testing.T, what string) (refuses bool) {
	t.Helper()
	if what == "encoding an empty list fails" {
		r := wire.NewReader(wire.AppendCount(nil, 0))
		r.NonEmptyCount()
		return r.Failed()
	}
	appends := map[string]func(){
		"encoding 256 bytes fails":                   func() { wire.AppendStr(nil, make([]byte, 256)) },
		"encoding 65536 bytes fails":                 func() { wire.AppendLarge(nil, make([]byte, 65536)) },
		"encoding a string of 256 UTF-8 bytes fails": func() { wire.AppendStr(nil, bytes.Repeat([]byte("é"), 128)) },
		"encoding 256 elements fails":                func() { wire.AppendCount(nil, 256) },
	}[what]
	if appends == nil {
		t.Fatalf("no test for %q", what)
	}
	defer func() { refuses = recover() != nil }()
	appends()
	return false
}
