#!/bin/sh
# Starts Caddy with what the Caddyfile needs, made from the relays' settings. Caddy's image has no bash.
set -eu

# name prints the first of a relay's host names, without its port.
name() {
  first=${1%%,*}
  case $first in
  \[*) printf '%s' "${first%%]*}]" ;;
  *) printf '%s' "${first%%:*}" ;;
  esac
}

smp=$(name "${SMP_HOST:-localhost}")
CADDY_FILES=$(name "${XFTP_HOST:-$smp}")
CADDY_SITES=$smp
# Where both relays have one name, the file relay shows the pages of both.
[ "$CADDY_FILES" = "$smp" ] || CADDY_SITES="$smp, $CADDY_FILES"
CADDY_OPTIONS=
[ -z "${ACME_EMAIL:-}" ] || CADDY_OPTIONS="email $ACME_EMAIL"
[ "${SOTTO_CADDY_TLS:-}" != internal ] || CADDY_OPTIONS=local_certs
export CADDY_SITES CADDY_FILES CADDY_OPTIONS

exec caddy run --config /etc/caddy/Caddyfile --adapter caddyfile
