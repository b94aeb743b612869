package memstore

import (
	"testing"

	"sotto/services/xftp/internal/store/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(_ *testing.T, c storetest.Config) storetest.Subject {
		return storetest.Subject{Store: New(Options{Quota: c.Quota, TTL: c.TTL, Now: c.Clock.Now})}
	})
}
