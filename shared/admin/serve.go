package admin

import (
	"errors"

	"github.com/rs/zerolog"

	"sotto/shared/run"
	"sotto/shared/settings"
	"sotto/shared/transport"
)

// Place is where a relay's socket is, from its settings.
type Place struct {
	Setting string // the name of the setting
	Value   string // what it says
	DataDir string
	Program string
}

// Path is the path of the socket; [Off]: there is none. Without a value it is in the data directory, which two relays may
// share.
func (p Place) Path() string {
	if p.Value == "" {
		return p.DataDir + "/admin/" + p.Program + ".sock"
	}
	return p.Value
}

// Reach returns the path for a command that needs the relay.
func (p Place) Reach() (string, error) {
	path := p.Path()
	switch {
	case path == Off:
		return "", settings.Bad("%s is %s: the relay takes no admin commands", p.Setting, Off)
	case len(path) > MaxPath:
		return "", settings.Bad("%s: %s: %v", p.Setting, path, ErrPath)
	}
	return path, nil
}

// Listen opens the socket. A place of the operator's choice that is of no use is a mistake. One that nobody has chosen is no
// reason not to start: the log tells, and there is no socket, nil, as when there shall be none.
func (p Place) Listen(log zerolog.Logger) (*Socket, error) {
	path := p.Path()
	if path == Off {
		return nil, nil
	}
	socket, err := Listen(path)
	if err != nil && p.Value != "" {
		return nil, settings.Bad("%s: cannot listen on %s: %v", p.Setting, path, err)
	}
	if err != nil {
		log.Warn().Str("cause", known(err)).Str("socket", path).
			Msg("no admin commands: the socket cannot be opened; set " + p.Setting + " to another place, or to off")
	}
	return socket, nil
}

// known is the cause of an error of [Listen], fit for a log.
func known(err error) string {
	for _, one := range []error{ErrPath, ErrInUse, ErrOpen, ErrFile} {
		if errors.Is(err, one) {
			return one.Error()
		}
	}
	return transport.Safe(err)
}

// Parts adds a server with these handlers to the parts of a program, if there is a socket. safe tells the cause of an error
// that is no answer, without private data.
func (s *Socket) Parts(parts []run.Part, handlers map[string]Handler, safe func(error) string, log zerolog.Logger) []run.Part {
	if s == nil {
		return parts
	}
	return append(parts, New(s, handlers, safe, log))
}
