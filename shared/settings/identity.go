package settings

import (
	"path/filepath"
	"time"

	"sotto/shared/identity"
)

// Identity says where a relay's identity is: in files of the operator's choice, or in the data directory.
type Identity struct {
	CACert, Cert, Key string // all or none
	DataDir           string
}

// Check finds an identity that is named in part. The settings are PREFIX_CA_CERT, PREFIX_CERT and PREFIX_KEY.
func (i Identity) Check(prefix string) error {
	files := 0
	for _, f := range []string{i.CACert, i.Cert, i.Key} {
		if f != "" {
			files++
		}
	}
	if files != 0 && files != 3 {
		return Bad("%[1]s_CA_CERT, %[1]s_CERT and %[1]s_KEY belong together: set all three or none", prefix)
	}
	return nil
}

// Load loads an identity that must exist.
func (i Identity) Load() (*identity.Identity, error) {
	ca, cert, key := i.CACert, i.Cert, i.Key
	if ca == "" {
		in := func(name string) string { return filepath.Join(i.DataDir, name) }
		ca, cert, key = in("ca.crt"), in("server.crt"), in("server.key")
	}
	id, err := identity.Load(ca, cert, key)
	if err != nil {
		return nil, Error{err.Error()}
	}
	return id, nil
}

// LoadOrCreate loads the identity, or makes one for this host if there is none in the data directory; made tells which.
func (i Identity) LoadOrCreate(host string) (id *identity.Identity, made bool, err error) {
	if i.CACert != "" {
		id, err = i.Load()
		return id, false, err
	}
	id, made, err = identity.LoadOrCreate(i.DataDir, host, time.Now())
	if err != nil {
		return nil, false, Error{err.Error()}
	}
	return id, made, nil
}

// Where tells an operator which files to back up.
func (i Identity) Where() string {
	if i.CACert != "" {
		return i.CACert + ", " + i.Cert + ", " + i.Key
	}
	dir, err := filepath.Abs(i.DataDir)
	if err != nil {
		return i.DataDir
	}
	return dir
}
