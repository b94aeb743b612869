package certs

import (
	"context"
	"errors"
	"io/fs"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"

	"sotto/shared/pg"
)

// kept is the storage, with errors that are known again as the storage's after certmagic has made text of them.
type kept struct {
	certmagic.Storage

	mu   sync.Mutex // guards last
	last string     // what was wrong last, in words that may be logged
}

// keptTrouble is in the text of all errors of the storage.
const keptTrouble = "[storage of certificates]"

// errKept is an error of the storage whose cause is found with the storage.
var errKept = errors.New(keptTrouble)

// keptError is an error of the storage.
type keptError struct{ error }

// Error says no more than whose error it is.
func (e keptError) Error() string { return keptTrouble }

// Unwrap returns the cause.
func (e keptError) Unwrap() error { return e.error }

// note remembers an error that is not just an answer.
func (k *kept) note(err error) error {
	if err == nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, context.Canceled) {
		return err
	}
	k.mu.Lock()
	k.last = keptCause(err)
	k.mu.Unlock()
	return keptError{err}
}

// keptCause tells a cause in words that may be logged.
func keptCause(err error) string {
	var database *pg.Error
	if errors.As(err, &database) {
		return database.Error()
	}
	return pg.Safe(err)
}

// cause is what was wrong last.
func (k *kept) cause() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.last
}

// Lock is the storage's.
func (k *kept) Lock(ctx context.Context, name string) error { return k.note(k.Storage.Lock(ctx, name)) }

// Unlock is the storage's.
func (k *kept) Unlock(ctx context.Context, name string) error {
	return k.note(k.Storage.Unlock(ctx, name))
}

// TryLock is the storage's, or Lock if it has none.
func (k *kept) TryLock(ctx context.Context, name string) (bool, error) {
	if storage, ok := k.Storage.(certmagic.TryLocker); ok {
		got, err := storage.TryLock(ctx, name)
		return got, k.note(err)
	}
	err := k.Lock(ctx, name)
	return err == nil, err
}

// RenewLockLease is the storage's, if it has one.
func (k *kept) RenewLockLease(ctx context.Context, name string, d time.Duration) error {
	if storage, ok := k.Storage.(certmagic.LockLeaseRenewer); ok {
		return k.note(storage.RenewLockLease(ctx, name, d))
	}
	return nil
}

// Store is the storage's.
func (k *kept) Store(ctx context.Context, key string, value []byte) error {
	return k.note(k.Storage.Store(ctx, key, value))
}

// Load is the storage's.
func (k *kept) Load(ctx context.Context, key string) ([]byte, error) {
	value, err := k.Storage.Load(ctx, key)
	return value, k.note(err)
}

// Delete is the storage's.
func (k *kept) Delete(ctx context.Context, key string) error {
	return k.note(k.Storage.Delete(ctx, key))
}

// List is the storage's.
func (k *kept) List(ctx context.Context, path string, recursive bool) ([]string, error) {
	keys, err := k.Storage.List(ctx, path, recursive)
	return keys, k.note(err)
}

// Stat is the storage's.
func (k *kept) Stat(ctx context.Context, key string) (certmagic.KeyInfo, error) {
	info, err := k.Storage.Stat(ctx, key)
	return info, k.note(err)
}
