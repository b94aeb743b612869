package pgstore

import (
	"fmt"
	"strings"

	"sotto/shared/pg"
)

// queries are the statements that look for an id in all live periods. They name the periods' own tables and not the
// partitioned ones, so that a period that is being dropped is waited for by nobody. Each probes every period's index,
// also after it has found the id, and takes as long for an id that is not there.
type queries struct {
	bySender    string // $1 id, $2 oldest
	byRecipient string // $1 id, $2 oldest
	recipient   string // $1 id: the refs of chunks that have it
	taken       string // a subquery: refs that have one of the ids $1
}

// all runs a statement over all live periods, and again when one of them was dropped meanwhile.
func (ps *periods) all(do func(*queries) error) error {
	for {
		q := ps.queries.Load()
		err := do(q)
		if pg.Code(err) != undefinedTable || q == ps.queries.Load() {
			return err
		}
	}
}

// recordColumns are the columns that scanChunk reads.
const recordColumns = "ref, body IS NOT NULL AS uploaded, size, created, blocked, blocking_reason, blocking_notice, " +
	"blocking_ttl, sender_id, sender_key, digest"

func newQueries(live []*period) *queries {
	senders := union(live, "SELECT "+recordColumns+" FROM chunks_%[1]d WHERE period = %[1]d AND sender_id = $1")
	refs := union(live, "SELECT "+recordColumns+" FROM chunks_%[1]d WHERE period = %[1]d AND ref = coalesce(r.ref, 0)")
	recipients := union(live, "SELECT ref, key FROM recipients_%[1]d WHERE period = %[1]d AND recipient_id = $1")
	ids := union(live, `SELECT ref FROM chunks_%[1]d WHERE period = %[1]d AND sender_id = ANY ($1)
		UNION ALL SELECT ref FROM recipients_%[1]d WHERE period = %[1]d AND recipient_id = ANY ($1)`)
	return &queries{
		bySender: "SELECT c.* FROM (" + senders + ") c WHERE created >= $2",
		// One row comes from r whether the id is there or not, so that the chunks are probed in both cases.
		byRecipient: "SELECT c.*, r.key FROM (SELECT max(ref) AS ref, (array_agg(key))[1] AS key FROM (" + recipients +
			") f) r CROSS JOIN LATERAL (" + refs + ") c WHERE c.created >= $2",
		recipient: "SELECT ref FROM (" + recipients + ") f",
		taken:     ids,
	}
}

// union puts the arms for all periods together; without any, it asks for a period that nobody has.
func union(live []*period, arm string) string {
	if len(live) == 0 {
		return fmt.Sprintf(strings.ReplaceAll(arm, "_%[1]d", ""), 0)
	}
	arms := make([]string, len(live))
	for i, p := range live {
		arms[i] = fmt.Sprintf(arm, p.start)
	}
	return strings.Join(arms, " UNION ALL ")
}
