package certs

import "time"

// Look sets how often certificates are looked at.
func (o *Options) Look(every time.Duration) { o.interval = every }
