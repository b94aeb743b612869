package server

import (
	"errors"

	"sotto/services/xftp/internal/chunk"
	"sotto/shared/xftp"
)

// wireError is the protocol's word for an error: its own errors as they are, the store's by their meaning, and INTERNAL
// for what a client could not help. Storage trouble is reported by the store, once, not per command.
//
// Spec: xftp.md 9.1
func wireError(err error) xftp.Error {
	if e, ok := errors.AsType[xftp.Error](err); ok {
		return e
	}
	switch {
	case errors.Is(err, chunk.ErrNotFound):
		return xftp.ErrAuth
	case errors.Is(err, chunk.ErrNoBody):
		return xftp.ErrNoFile
	case errors.Is(err, chunk.ErrQuota):
		return xftp.ErrQuota
	}
	return xftp.ErrInternal
}

// uploadError is what an upload ends with when the store says err: unlike in other commands, trouble is FILE_IO.
//
// Spec: xftp.md 8.5
func uploadError(err error) error {
	if errors.Is(err, chunk.ErrNotFound) || errors.Is(err, chunk.ErrQuota) {
		return err
	}
	return xftp.ErrFileIO
}
