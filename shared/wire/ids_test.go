package wire_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"sotto/shared/wire"
)

func TestIDsDoNotPrint(t *testing.T) {
	id := []byte("secret id")
	values := []any{
		wire.EntityID(id), wire.CorrID(id), []wire.EntityID{id}, struct{ ID wire.EntityID }{id}, struct{ ID wire.CorrID }{id},
	}
	for _, v := range values {
		for _, verb := range []string{"%v", "%s", "%x", "%X", "%d", "%q", "%#v", "%+v"} {
			out := fmt.Sprintf(verb, v)
			if strings.Contains(out, "secret") || strings.Contains(out, "736563") || strings.Contains(out, "115 101") {
				t.Errorf("%T with %s: %s", v, verb, out)
			}
		}
		out, err := json.Marshal(v)
		if err != nil || !strings.ContainsAny(string(out), "[]") || strings.Contains(string(out), "c2Vj") {
			t.Errorf("%T as JSON: %s, %v", v, out, err)
		}
	}
}
