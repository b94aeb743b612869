#!/usr/bin/env bash
# Runs Tor with one onion service for the relays. Settings, with their defaults:
#
#   TOR_TARGETS         5223=smp:5223 443=smp:443   where each port of the service leads
#   TOR_PROXY_PROTOCOL  false                       true: each connection begins with a PROXY header, as from a proxy
#   TOR_DATA            /var/lib/tor                keys, which are the onion name; for Tor alone
#   TOR_NAMES           /onion                      gets a copy of the file with the name, for the relays; no keys
#   TOR_CONFIG          /etc/tor/torrc              what else Tor is told
#
# Tor looks up the relays' names once, and a container that is made anew may have another address. So this looks them up
# from time to time, and tells Tor when they have changed.
set -euo pipefail

data=${TOR_DATA:-/var/lib/tor} names=${TOR_NAMES:-/onion} config=${TOR_CONFIG:-/etc/tor/torrc}
read -ra targets <<<"${TOR_TARGETS:-5223=smp:5223 443=smp:443}"
interval=5 # seconds between two looks
patience=24 # looks for relays that have just started, then the container ends and is started anew

say() { printf 'onion: %s\n' "$*"; }

# leads prints where the service leads, in Tor's words; false while a relay has no address.
leads() {
  local target at address
  for target in "${targets[@]}"; do
    at=${target#*=}
    address=$(getent ahosts "${at%:*}" | awk 'NR == 1 { print $1 }') && [ -n "$address" ] || return
    case $address in *:*) address=[$address] ;; esac
    printf 'HiddenServicePort %s %s:%s\n' "${target%%=*}" "$address" "${at##*:}"
  done
}

configure() {
  {
    cat "$config"
    printf 'DataDirectory %s\nHiddenServiceDir %s/onion\nHiddenServiceVersion 3\n%s\n' "$data" "$data" "$1"
    if [ "${TOR_PROXY_PROTOCOL:-}" = true ]; then echo 'HiddenServiceExportCircuitID haproxy'; fi
  } >"$torrc"
}

# publish copies the onion name to where the relays read it, whole or not at all.
publish() {
  local name=$data/onion/hostname
  [ -s "$name" ] || return 0
  if cmp -s "$name" "$names/hostname"; then return 0; fi
  rm -f "$names/.new"
  install -m 644 "$name" "$names/.new"
  mv "$names/.new" "$names/hostname"
  say "the name is $(cat "$name")"
}

pause() { sleep "$1" & wait $! || true; }

torrc=$(mktemp)
tor=
# shellcheck disable=SC2317,SC2329 # reached through the trap
stop() { if [ -n "$tor" ]; then kill -TERM "$tor" 2>/dev/null || true; else exit 0; fi; }
trap stop TERM INT
trap 'rm -f "$torrc"' EXIT

until now=$(leads); do
  [ $((patience -= 1)) -gt 0 ] || { say "no address is known for one of ${targets[*]}"; exit 1; }
  pause "$interval"
done
configure "$now"
tor -f "$torrc" &
tor=$!
while kill -0 "$tor" 2>/dev/null; do
  publish
  if new=$(leads) && [ "$new" != "$now" ]; then
    say "a relay has another address"
    now=$new
    configure "$now"
    kill -HUP "$tor"
  fi
  sleep "$interval" &
  wait -n "$tor" $! || true
done
status=0
wait "$tor" || status=$?
exit "$status"
