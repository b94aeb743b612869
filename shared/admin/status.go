package admin

import (
	"context"
	"time"

	"sotto/shared/certs"
	"sotto/shared/logging"
)

// Common is the part of a status that all relays have.
type Common struct {
	Program      string          `json:"program"`
	Version      string          `json:"version"`
	Started      time.Time       `json:"started"`
	Now          time.Time       `json:"now"`
	Database     Database        `json:"database"`
	Identity     time.Time       `json:"identityExpires"` // of the online certificate
	Certificates []Certificate   `json:"webCertificates"`
	Troubles     []logging.Entry `json:"recentTroubles"`
}

// Database is how it is about the relay's database.
type Database struct {
	Where     string  `json:"where"`
	Reachable bool    `json:"reachable"`
	Answer    float64 `json:"answerSeconds"`
	Bytes     int64   `json:"bytes"` // negative: not known
}

// Certificate is how it is about a certificate that browsers are shown.
type Certificate struct {
	Name    string    `json:"name"`
	State   string    `json:"state"`
	Reason  string    `json:"reason,omitempty"`
	Expires time.Time `json:"expires,omitzero"`
	Trouble bool      `json:"trouble"`
}

// databaseTime is what a status waits for a database that does not answer.
const databaseTime = 3 * time.Second

// Asked is what a status asks a database.
type Asked interface {
	// Ping asks for an answer.
	Ping(ctx context.Context) error
	// Bytes tells how large the database is.
	Bytes(ctx context.Context) (int64, error)
}

// Ask asks a database how it is.
func Ask(ctx context.Context, where string, store Asked) Database {
	d := Database{Where: where, Bytes: -1}
	ctx, cancel := context.WithTimeout(ctx, databaseTime)
	defer cancel()
	begun := time.Now()
	if store.Ping(ctx) != nil {
		return d
	}
	d.Reachable, d.Answer = true, time.Since(begun).Seconds()
	if n, err := store.Bytes(ctx); err == nil {
		d.Bytes = n
	}
	return d
}

// Certificates are those with these statuses.
func Certificates(statuses []certs.Status) []Certificate {
	all := []Certificate{}
	for _, s := range statuses {
		all = append(all, Certificate{
			Name: s.Name, State: s.State.String(), Reason: s.Reason, Expires: s.NotAfter, Trouble: s.State == certs.Failed,
		})
	}
	return all
}

// Title is the first line of a status.
func (c Common) Title() string {
	return c.Program + " " + c.Version + ", up " + Span(c.Now.Sub(c.Started)) + ", since " + moment(c.Started)
}

// Rows show the database and the certificates.
func (c Common) Rows() []Row {
	rows := []Row{c.Database.row(), c.identity()}
	for _, cert := range c.Certificates {
		rows = append(rows, cert.row(c.Now))
	}
	if len(c.Certificates) == 0 {
		rows = append(rows, Row{Name: "web certificate", Value: "none: there is no host name to have one for, or no port for browsers"})
	}
	return rows
}

func (d Database) row() Row {
	if !d.Reachable {
		return Row{Name: "database", Value: "does not answer: " + d.Where, Bad: true}
	}
	text := "answers in " + Took(time.Duration(d.Answer*float64(time.Second)))
	if d.Bytes >= 0 {
		text += ", takes " + Size(d.Bytes)
	}
	return Row{Name: "database", Value: text}
}

// soon is when the end of a certificate needs the operator: nobody has renewed it by then.
const soon = 7 * 24 * time.Hour

func (c Common) identity() Row {
	return Row{Name: "identity", Value: expiry(c.Identity, c.Now), Bad: c.Identity.Sub(c.Now) < soon}
}

func (c Certificate) row(now time.Time) Row {
	r := Row{Name: "web certificate", Value: c.Name + ": " + c.State, Bad: c.Trouble}
	if !c.Expires.IsZero() {
		r.Value += ", " + expiry(c.Expires, now)
		r.Bad = r.Bad || c.Expires.Sub(now) < soon
	}
	if c.Reason != "" {
		r.Value += "; " + c.Reason
	}
	return r
}

// farAway is from when on nobody counts the days.
const farAway = 5 * 365 * 24 * time.Hour

// expiry tells when something ends.
func expiry(at, now time.Time) string {
	if at.Before(now) {
		return "has expired on " + at.Local().Format(time.DateOnly)
	}
	if at.Sub(now) < 24*time.Hour {
		return "expires in " + Span(at.Sub(now))
	}
	text := "expires on " + at.Local().Format(time.DateOnly)
	if at.Sub(now) > farAway {
		return text
	}
	return text + ", in " + several(int64(at.Sub(now)/(24*time.Hour)), "day")
}

// maxShown is how many warnings and errors a status shows to a person. JSON has all.
const maxShown = 5

// Trouble shows the last warnings and errors.
func (c Common) Trouble() Section {
	s := Section{Title: "Last warnings and errors"}
	if len(c.Troubles) == 0 {
		s.Rows = []Row{{Name: "none"}}
	}
	for i, e := range c.Troubles {
		if i == maxShown {
			s.Rows = append(s.Rows, Row{Name: "older", Value: Number(len(c.Troubles)-i) + " more" + " (-o json shows all)"})
			break
		}
		text := e.Message
		if e.Cause != "" {
			text += ": " + e.Cause
		}
		if e.Count > 1 {
			text += " (" + Number(e.Count) + " times since " + moment(e.First) + ")"
		}
		s.Rows = append(s.Rows, Row{Name: moment(e.Last), Value: text, Bad: e.Level != "warn"})
	}
	return s
}

// moment writes when something was.
func moment(at time.Time) string { return at.Local().Format("2006-01-02 15:04") }
