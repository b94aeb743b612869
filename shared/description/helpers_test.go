package description

import (
	"bytes"
	"slices"
)

// sortReplicas brings them into an order that does not depend on where they were.
func sortReplicas(replicas []Replica) {
	slices.SortFunc(replicas, func(a, b Replica) int { return bytes.Compare(a.ID, b.ID) })
}
