package transfer

import (
	"bytes"
	"errors"
	"testing"

	"sotto/shared/address"
	"sotto/shared/description"
	"sotto/shared/xftp"
)

// TestRedirect: the description of a file of many chunks becomes a file of one, whose link is short.
//
// Spec: xftp.md 18.3
func TestRedirect(t *testing.T) {
	all, to := honest(t, 2)
	body := content(9 * mib)
	sent := send(t, "file", body, to, 1)
	redirect, err := Redirect(t.Context(), sent.Recipients[0], to, impatient())
	if err != nil {
		t.Fatal(err)
	}
	d := reparse(t, redirect.Recipients[0])
	if len(d.Chunks) != 1 || d.Size != 64<<10 || len(description.AppLink(d, "")) > 1002 {
		t.Errorf("%d chunks, %d bytes, a link of %d characters", len(d.Chunks), d.Size, len(description.AppLink(d, "")))
	}
	receive(t, d, t.TempDir(), body)
	if _, err := Receive(t.Context(), d, t.TempDir(), impatient()); !errors.Is(err, xftp.ErrAuth) {
		t.Errorf("the description was not acknowledged: %v", err)
	}
	for _, s := range []*Sent{sent, redirect} {
		if _, err := Delete(t.Context(), s.Sender, impatient()); err != nil {
			t.Error(err)
		}
	}
	if n := all[0].Chunks() + all[1].Chunks(); n != 0 {
		t.Errorf("%d chunks are left", n)
	}
}

// redirectTo sends a text in place of a description, and returns what redirects to it.
func redirectTo(t *testing.T, text []byte, announced *description.Description, to []address.Server) *description.Description {
	t.Helper()
	d := send(t, "", text, to, 1).Recipients[0]
	d.Redirect = &description.Redirect{Size: announced.Size, Digest: announced.Digest}
	return d
}

// TestRedirectRefused: what a redirect leads to has to be what it announces.
//
// Spec: xftp.md 13.4
func TestRedirectRefused(t *testing.T) {
	_, to := honest(t, 1)
	sent := send(t, "file", content(1000), to, 1)
	good := sent.Recipients[0]
	again := redirectTo(t, good.Append(nil), good, to)
	otherSize, otherDigest := *good, *good
	otherSize.Size++
	otherDigest.Digest[0] ^= 1
	for name, d := range map[string]*description.Description{
		"no description":       redirectTo(t, []byte("hello"), good, to),
		"empty":                redirectTo(t, nil, good, to),
		"sender's":             redirectTo(t, sent.Sender.Append(nil), good, to),
		"another redirect":     redirectTo(t, again.Append(nil), again, to),
		"another size":         redirectTo(t, good.Append(nil), &otherSize, to),
		"another digest":       redirectTo(t, good.Append(nil), &otherDigest, to),
		"too large to be read": redirectTo(t, bytes.Repeat([]byte("#"), maxRedirect), good, to),
	} {
		dir := t.TempDir()
		if _, err := Receive(t.Context(), d, dir, impatient()); !errors.Is(err, ErrRedirect) {
			t.Errorf("%s: got %v", name, err)
		}
		checkEmpty(t, dir)
	}
	broken := redirectTo(t, good.Append(nil), good, to)
	broken.Key[0] ^= 1
	if _, err := Receive(t.Context(), broken, t.TempDir(), impatient()); !errors.Is(err, ErrBroken) {
		t.Errorf("a broken description: %v", err)
	}
	receive(t, again, t.TempDir(), content(1000))
}
