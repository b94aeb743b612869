package transfer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"
)

const (
	// maxName is the longest file name, in bytes, that file systems and the header of a file take. Spec: xftp.md 12.1
	maxName = 255
	// maxSuffix is what a number in front of the extension may need of it.
	maxSuffix = len("_9999")
	// maxNumber bounds the search for a free name.
	maxNumber = 9999
	// unnamed is the name of a file that has none, or none that can be used.
	unnamed = "file"
)

// ErrNoName: the directory has the file's name and thousands like it.
var ErrNoName = errors.New("no free file name")

// SafeName makes a file name out of one that a stranger chose: its last component, without control characters, without
// those that turn the direction of writing (which hide an extension), and without dots or spaces in front. The result
// is never empty and has room for a number.
//
// Spec: xftp.md 12.1
func SafeName(name string) string {
	name = name[strings.LastIndexAny(name, `/\`)+1:]
	name = strings.Map(func(c rune) rune {
		if c == utf8.RuneError || unicode.IsControl(c) || unicode.Is(unicode.Bidi_Control, c) ||
			c == '\u2028' || c == '\u2029' {
			return -1
		}
		return c
	}, strings.ToValidUTF8(name, ""))
	name = strings.TrimLeftFunc(name, func(c rune) bool { return c == '.' || unicode.IsSpace(c) })
	name = strings.TrimRightFunc(name, unicode.IsSpace)
	if name = shorten(name, maxName-maxSuffix); name == "" {
		return unnamed
	}
	return name
}

// shorten cuts a name to n bytes between characters, in front of its extension if that is a short one.
func shorten(name string, n int) string {
	if len(name) <= n {
		return name
	}
	const longestExtension = 16
	stem, extension := splitName(name)
	if len(extension) > longestExtension {
		stem, extension = name, ""
	}
	end := n - len(extension)
	for end > 0 && !utf8.RuneStart(stem[end]) {
		end--
	}
	return stem[:end] + extension
}

// splitName splits a name before its extension, which has the dot.
func splitName(name string) (stem, extension string) {
	extension = filepath.Ext(name)
	return strings.TrimSuffix(name, extension), extension
}

// numbered returns the name with a number before its extension; the name itself for 0. Spec: xftp.md 14.1
func numbered(name string, n int) string {
	if n == 0 {
		return name
	}
	stem, extension := splitName(name)
	return fmt.Sprintf("%s_%d%s", stem, n, extension)
}

// place moves the file at from into dir, on the same file system, under name or else the first of name_1, name_2, … that
// is free. It never replaces anything, and the file appears there whole.
func place(from, dir, name string) (string, error) {
	return Unique(dir, name, func(to string) error { return moveNew(from, to) })
}

// Unique makes something in dir under name or else the first of name_1, name_2, … that is free: it calls create with one
// path after the other while that returns [fs.ErrExist], and returns the last of them. The error is [ErrNoName] or create's.
//
// Spec: xftp.md 14.1
func Unique(dir, name string, create func(path string) error) (string, error) {
	for n := 0; n <= maxNumber; n++ {
		path := filepath.Join(dir, numbered(name, n))
		if err := create(path); !errors.Is(err, fs.ErrExist) {
			return path, err
		}
	}
	return "", ErrNoName
}

// moveNew renames from, unless there is something at to: fs.ErrExist.
func moveNew(from, to string) error {
	err := os.Link(from, to)
	switch {
	case err == nil:
		return os.Remove(from)
	case errors.Is(err, fs.ErrExist):
		return err
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.ENOTSUP), errors.Is(err, syscall.ENOSYS):
		return claim(from, to)
	}
	return err
}

// claim is moveNew on file systems without links: the name is taken by an empty file, which the file then replaces.
func claim(from, to string) error {
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err = errors.Join(f.Close(), os.Rename(from, to)); err != nil {
		_ = os.Remove(to)
	}
	return err
}

// ownName is the name of a file to send as its header takes it.
//
// Spec: xftp.md 12.1
func ownName(name string) string {
	return shorten(strings.ToValidUTF8(filepath.Base(name), "_"), maxName)
}
