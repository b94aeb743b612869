#!/usr/bin/env bash
# Stops the start where it would change the file relay's address unasked: an installation from before both relays had
# one identity keeps the file relay's in the volume xftp-identity. A volume that no relay ever used belongs to root.
set -euo pipefail

relay=65532 # the user of both relays

if [ -z "${SOTTO_XFTP_IDENTITY:-}" ] && [ "$(stat -c %u /xftp-identity)" = $relay ]; then
  cat >&2 <<'TEXT'
The file relay has an identity of its own, in the volume xftp-identity, and new installations have one for both relays.
Which one it has decides its address, so say which you want, by one of these lines in .env:

  SOTTO_XFTP_IDENTITY=xftp-identity   the address stays the same
  SOTTO_XFTP_IDENTITY=identity        the address changes; the apps' mode for port 443 then works for files, too

docs/operate.md says more under "Upgrade".
TEXT
  exit 1
fi
