package site

import "sotto/shared/certs"

// Certificates tells how it is about the certificate of each name.
func (s *Site) Certificates() []certs.Status { return s.certs.Status() }
