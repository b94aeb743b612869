package identity

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// The files of an identity directory, named as deployed relays name them.
const (
	FileAuthorityKey = "ca.key"      // PKCS#8 PEM, mode 0600; may be moved offline
	FileAuthority    = "ca.crt"      // PEM
	FileKey          = "server.key"  // PKCS#8 PEM, mode 0600
	FileCertificate  = "server.crt"  // PEM: the leaf, or the chain from the leaf upwards
	FileFingerprint  = "fingerprint" // the authority's fingerprint as it stands in addresses
)

const (
	modePrivate   = 0o600
	modePublic    = 0o644
	modeDirectory = 0o700

	// Files being written carry one of these, so that a start after a crash knows what was going on.
	suffixCreating    = ".new"
	suffixReplacement = ".renewed"
)

// The files that are written together, in the order in which they appear.
var (
	createdFiles = []string{FileAuthorityKey, FileAuthority, FileKey, FileCertificate, FileFingerprint}
	renewedFiles = []string{FileKey, FileCertificate}
)

// file is one file to write.
type file struct {
	name    string
	mode    fs.FileMode
	content []byte
}

// writeFiles makes files appear in dir as one step: after a crash at any point, [recoverFiles] with the same suffix
// leaves either all of them or none. Every file is staged under a name with suffix, synced, and then renamed in
// order. The first rename is the commit point.
func writeFiles(dir, suffix string, files []file) error {
	for _, f := range files {
		if err := stageFile(filepath.Join(dir, f.name+suffix), f); err != nil {
			return err
		}
	}
	if err := syncDir(dir); err != nil {
		return err
	}
	for i, f := range files {
		path := filepath.Join(dir, f.name)
		if err := os.Rename(path+suffix, path); err != nil {
			return err
		}
		if i == 0 {
			if err := syncDir(dir); err != nil {
				return err
			}
		}
	}
	return syncDir(dir)
}

// stageFile writes and syncs one file.
func stageFile(path string, f file) (err error) {
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, f.mode)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := out.Close(); err == nil {
			err = closeErr
		}
	}()
	if _, err := out.Write(f.content); err != nil {
		return err
	}
	return out.Sync()
}

// recoverFiles ends what a crash inside [writeFiles] left behind. While the first name is still staged, nothing has
// been committed and all staged files go; without it, those still staged take their places.
func recoverFiles(dir, suffix string, names []string) error {
	committed, err := missing(filepath.Join(dir, names[0]+suffix))
	if err != nil {
		return err
	}
	if !committed {
		return discardFiles(dir, suffix, names)
	}
	changed := false
	for _, name := range names {
		path := filepath.Join(dir, name)
		err := os.Rename(path+suffix, path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		changed = changed || err == nil
	}
	if !changed {
		return nil
	}
	return syncDir(dir)
}

// discardFiles removes staged files, the first name last, since its absence would mean that they are committed.
func discardFiles(dir, suffix string, names []string) error {
	for _, name := range slices.Backward(names[1:]) {
		if err := os.Remove(filepath.Join(dir, name+suffix)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := syncDir(dir); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(dir, names[0]+suffix)); err != nil {
		return err
	}
	return syncDir(dir)
}

// missing reports whether there is nothing at path.
func missing(path string) (bool, error) {
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	return false, err
}

// syncDir makes the names in dir durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// openDir creates dir if it is not there, locks it against other processes that create or renew an identity in it,
// and recovers what a crash left. The returned function unlocks.
func openDir(dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, modeDirectory); err != nil {
		return nil, fmt.Errorf("identity directory: %w", err)
	}
	d, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("identity directory: %w", err)
	}
	defer func() {
		if err != nil {
			d.Close()
		}
	}()
	// Closing the descriptor, or the end of the process, releases the lock.
	if err := syscall.Flock(int(d.Fd()), syscall.LOCK_EX); err != nil {
		return nil, fmt.Errorf("lock identity directory %s: %w", dir, err)
	}
	if err := recoverFiles(dir, suffixCreating, createdFiles); err != nil {
		return nil, fmt.Errorf("finish interrupted creation of an identity: %w", err)
	}
	if err := recoverFiles(dir, suffixReplacement, renewedFiles); err != nil {
		return nil, fmt.Errorf("finish interrupted renewal of an identity: %w", err)
	}
	return func() { d.Close() }, nil
}
