// Package count reads structs of counters that many goroutines add to. What is counted is a generic struct of a type N,
// [sync/atomic.Uint64] while it is counted and uint64 when it was read, so that its fields are written down once:
//
//	type Counts[N any] struct { Connections N }
//
// Package metrics makes metrics of such a struct by the tags of its fields.
package count

import (
	"reflect"
	"sync/atomic"
)

// Load copies the counters of the struct that from points to into the struct that into points to, which has the same
// fields with uint64 in place of atomic.Uint64. Other types, and fields that differ, are a bug and panic.
func Load(into, from any) {
	load(reflect.ValueOf(into).Elem(), reflect.ValueOf(from).Elem())
}

func load(into, from reflect.Value) {
	if n, ok := from.Addr().Interface().(*atomic.Uint64); ok {
		into.SetUint(n.Load())
		return
	}
	switch from.Kind() {
	case reflect.Struct:
		for i := range from.NumField() {
			load(into.Field(i), from.Field(i))
		}
	case reflect.Array:
		for i := range from.Len() {
			load(into.Index(i), from.Index(i))
		}
	default:
		panic("count: " + from.Type().String() + " is no counter")
	}
}
