#!/usr/bin/env bash
# Checks the stack as people get it, on loopback ports from 15080 to 15448, and removes all it made. It needs Docker with
# Compose, Go, curl and openssl, and takes some minutes. Names of parts as arguments run these alone:
#
#   images        builds the images; they are small, and run as an ordinary user on a read-only filesystem
#   fresh         the stack without any settings: every road to both relays; restarts and crashes lose nothing
#   upgrade       from the layout before both relays shared an identity and a port
#   certificates  a certificate authority issues certificates, and renews them; pages; both relays under one name
#   caddy         Caddy in front of the pages
#   haproxy       a proxy that passes TCP on, with the PROXY protocol; skipped without the image haproxy:3
#   monitoring    Prometheus asks both relays; skipped without the image prom/prometheus:v3
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

for file in lib use images fresh upgrade certificates caddy haproxy monitoring; do
  # shellcheck source=/dev/null
  . "docker/smoke/$file.sh"
done

[ $# -gt 0 ] || set -- images fresh upgrade certificates caddy haproxy monitoring
for part in "$@"; do
  step "=== $part"
  "part_$part"
  remove
done
