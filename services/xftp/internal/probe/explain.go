package probe

import (
	"context"
	"errors"

	"sotto/services/xftp/internal/explain"
	"sotto/shared/address"
)

// explain says in plain words what err means.
func (p *prober) explain(err error) string {
	relay := explain.New(p.server, p.options)
	switch {
	case errors.Is(err, address.ErrAddress):
		return explain.Address(err)
	case errors.Is(err, context.Canceled):
		return "The test was stopped."
	case errors.Is(err, errRefused):
		return relay.NewRefused()
	case errors.Is(err, errBody):
		return "The relay gave back other bytes than were sent."
	}
	return relay.Error(err)
}
