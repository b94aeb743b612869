package pg

import "testing"

func TestDescribeLeavesSecretsOut(t *testing.T) {
	for url, want := range map[string]string{
		"postgres://user:secret@db.example:5433/relay":                     "database relay at db.example:5433",
		"postgres://user:secret@/relay?host=/var/run/postgresql":           "database relay at /var/run/postgresql",
		"postgres://user:secret@a.example:5432,b.example:5432/relay":       "database relay at a.example:5432, b.example:5432",
		"host=db.example port=5433 user=user password=secret dbname=relay": "database relay at db.example:5433",
		"postgres://user:secret@:x":                                        "a database URL that is not valid",
	} {
		if got := Describe(url); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
