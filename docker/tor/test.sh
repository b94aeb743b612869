#!/usr/bin/env bash
# Tests the onion service: a Tor network of its own on this machine, with three authorities and three relays, both of
# our relays behind the entrypoint of the image, and clients that reach them by the onion name. Nothing leaves the
# machine. It takes one to three minutes, most of it until a new network trusts itself.
#
# SOTTO_TOR_PORT (28100) is the first of forty ports to use. Needs Debian's packages tor and socat, which root gets.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

first=${SOTTO_TOR_PORT:-28100}
patience=200 # seconds for the network, the service and its first client together

say() { printf 'tor: %s\n' "$*"; }
die() { say "$*"; exit 1; }

install() {
  local missing=() pair
  for pair in tor:tor tor-gencert:tor socat:socat; do
    command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    die "these packages are missing: ${missing[*]}"
  fi
  say "installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}"; } </dev/null >/dev/null ||
    die "the packages cannot be installed"
}

if [ -z "${SOTTO_TOR_POSTGRES:-}" ]; then
  install
  for name in smp xftp; do [ -x "bin/$name" ] || die "bin/$name is missing: make build"; done
  SOTTO_POSTGRES_DATABASES="onion_smp onion_xftp" exec docker/postgres/local.sh run "${SOTTO_TOR_DATA:-.data/tor-postgres}" \
    SOTTO_TOR_POSTGRES "${BASH_SOURCE[0]}"
fi

# Settings in the environment must not reach these relays.
for name in "${!SMP_@}" "${!XFTP_@}" "${!TOR_@}"; do unset "$name"; done
unset NOTIFY_SOCKET WATCHDOG_USEC WATCHDOG_PID

umask 077 # Tor insists on it
dir=$(mktemp -d) pids=()

# end_all ends all that runs. Authorities do not always heed SIGTERM while they vote.
end_all() {
  local pid tries=50
  [ ${#pids[@]} -gt 0 ] || return 0
  kill -TERM "${pids[@]}" 2>/dev/null || true
  for pid in "${pids[@]}"; do
    while kill -0 "$pid" 2>/dev/null && [ "$tries" -gt 0 ]; do
      sleep 0.2
      tries=$((tries - 1))
    done
  done
  kill -KILL "${pids[@]}" 2>/dev/null || true
  wait
}

finish() {
  status=$?
  trap - EXIT
  if [ "$status" != 0 ]; then
    say "FAILED; the last lines of what ran:"
    tail -n 15 "$dir"/*.log || true
  fi
  end_all
  rm -rf "$dir"
  if [ "$status" = 0 ]; then say "passed, in $SECONDS s"; fi
  exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM HUP

# start runs a program in the background, with its output in NAME.log.
start() { local name=$1; shift; "$@" >"$dir/$name.log" 2>&1 & pids+=($!); }

alive() { local pid; for pid in "${pids[@]}"; do kill -0 "$pid" 2>/dev/null || die "something has ended"; done; }

# await waits until COMMAND succeeds, while everything runs, and tells what for.
await() {
  local what=$1
  shift
  say "waiting for $what"
  until "$@"; do
    alive
    [ "$SECONDS" -lt "$patience" ] || die "not there after $patience s"
    sleep 1
  done
}

# --- the network ---

authorities="0 1 2" relays="3 4 5"
onion_port() { echo $((first + 2 * $1)); }
directory_port() { echo $((first + 2 * $1 + 1)); }
socks=$((first + 20)) smp=$((first + 21)) door=$((first + 22)) xftp=$((first + 23)) inner=$((first + 24))
forward_smp=$((first + 25)) forward_door=$((first + 26))

check_ports() {
  local port
  for port in $(seq "$first" $((first + 39))); do
    if (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then die "port $port is in use; set SOTTO_TOR_PORT"; fi
  done
}

# common is what each Tor of the network is told. What takes Tor hours in the real network takes seconds here.
common() {
  cat <<EOT
TestingTorNetwork 1
Address 127.0.0.1
Log notice stdout
ShutdownWaitLength 0
PathsNeededToBuildCircuits 0.67
VanguardsLiteEnabled 0
EOT
  cat "$dir/authorities"
}

# member prints the configuration of a relay of the network.
member() {
  cat <<EOT
DataDirectory $dir/node$1
Nickname node$1
ORPort 127.0.0.1:$(onion_port "$1")
SocksPort 0
ExitRelay 0
AssumeReachable 1
ContactInfo test
EOT
}

authority() {
  cat <<EOT
AuthoritativeDirectory 1
V3AuthoritativeDirectory 1
DirPort 127.0.0.1:$(directory_port "$1")
TestingV3AuthInitialVotingInterval 5
TestingV3AuthInitialVoteDelay 2
TestingV3AuthInitialDistDelay 2
V3AuthVotingInterval 10
V3AuthVoteDelay 2
V3AuthDistDelay 2
TestingDirAuthVoteGuard *
TestingDirAuthVoteHSDir *
TestingMinExitFlagThreshold 0
AuthDirMaxServersPerAddr 0
EOT
}

# make_authority makes an authority's keys, and prints how others know it.
make_authority() {
  local keys=$dir/node$1/keys identity fingerprint
  mkdir -p "$keys"
  echo none | (cd "$keys" && tor-gencert --create-identity-key -m 12 -a "127.0.0.1:$(directory_port "$1")" --passphrase-fd 0) \
    >"$dir/gencert$1.log" 2>&1
  identity=$(awk '$1 == "fingerprint" { print $2 }' "$keys/authority_certificate")
  { member "$1"; echo "DirAuthority x 127.0.0.1:1 ffffffffffffffffffffffffffffffffffffffff"; } >"$dir/keys$1.torrc"
  fingerprint=$(tor -f "$dir/keys$1.torrc" --list-fingerprint --hush | sed -n "s/^node$1 //p" | tr -d ' ')
  if [ -z "$identity" ] || [ -z "$fingerprint" ]; then die "authority $1 has no keys"; fi
  echo "DirAuthority node$1 orport=$(onion_port "$1") no-v2 v3ident=$identity 127.0.0.1:$(directory_port "$1") $fingerprint"
}

start_network() {
  local n
  : >"$dir/authorities"
  for n in $authorities; do make_authority "$n" >>"$dir/new"; done
  mv "$dir/new" "$dir/authorities"
  for n in $authorities $relays; do
    mkdir -p "$dir/node$n"
    {
      common
      member "$n"
      case " $authorities " in *" $n "*) authority "$n" ;; esac
    } >"$dir/node$n.torrc"
    start "node$n" tor -f "$dir/node$n.torrc"
  done
}

joined() { grep -q 'Bootstrapped 100%' "$dir/$1.log"; }

# --- the relays ---

# database prints the URL of the database of that name.
database() { echo "${SOTTO_TOR_POSTGRES/\/sotto\?//$1?}"; }

start_relays() {
  export SMP_HOST=localhost SMP_LISTEN=127.0.0.1:$smp SMP_DATA_DIR=$dir/identity SMP_ONION_FILE=$dir/names/hostname \
    SMP_FRONT_LISTEN=127.0.0.1:$door SMP_FILE_RELAY=127.0.0.1:$xftp SMP_FILE_RELAY_INNER=127.0.0.1:$inner SMP_ACME=false \
    SMP_LOG_FORMAT=json
  export XFTP_HOST=localhost XFTP_LISTEN=127.0.0.1:$xftp XFTP_DATA_DIR=$dir/identity XFTP_ONION_FILE=$dir/names/hostname \
    XFTP_INNER_LISTEN=127.0.0.1:$inner XFTP_ACME=false XFTP_LOG_FORMAT=json
  SMP_DATABASE_URL=$(database onion_smp) XFTP_DATABASE_URL=$(database onion_xftp)
  export SMP_DATABASE_URL XFTP_DATABASE_URL
  bin/smp init >"$dir/init.log" # both have this identity
  start smp bin/smp serve
  start xftp bin/xftp serve
  await "the message relay" ready smp
  await "the file relay" ready xftp
}

ready() { "bin/$1" health >/dev/null 2>&1; }

# --- the service, and its clients ---

# start_service runs what the container runs, with the network of this test.
start_service() {
  mkdir "$dir/service" "$dir/names"
  { cat docker/tor/torrc; common; } >"$dir/service.torrc"
  TOR_TARGETS="5223=127.0.0.1:$smp 443=127.0.0.1:$door" TOR_DATA=$dir/service TOR_NAMES=$dir/names \
    TOR_CONFIG=$dir/service.torrc start service docker/tor/entrypoint.sh
}

start_client() {
  mkdir "$dir/client"
  { common; printf 'DataDirectory %s\nSocksPort 127.0.0.1:%s\n' "$dir/client" "$socks"; } >"$dir/client.torrc"
  start client tor -f "$dir/client.torrc"
}

# forward leads a local port to a port of the onion service, through Tor.
forward() {
  start "forward$1" socat "TCP-LISTEN:$1,bind=127.0.0.1,reuseaddr,fork" "SOCKS4A:127.0.0.1:$onion:$2,socksport=$socks"
}

# through tests a relay as the app does, over the forwarded port.
through() {
  local name=$1 port=$2
  shift 2
  "bin/$name" try "$name://$fingerprint@127.0.0.1:$port" "$@" >"$dir/try.log" 2>&1
}

# reach tests a relay through a forwarded port, again until it works: a new network loses connections.
reach() {
  local name=$1 local=$2 port=$3
  shift 3
  await "$name at $onion:$port" through "$name" "$local" "$@"
  cat "$dir/try.log"
}

# shows tells whether a relay's address has the onion name.
shows() {
  case $("bin/$1" address --plain) in
  "$1://$fingerprint@localhost,$onion"*) ;;
  *) die "the address of $1 has no onion name: $("bin/$1" address --plain)" ;;
  esac
}

check_ports
say "starting a Tor network of six"
start_network
start_service
start_client
start_relays
fingerprint=$(cat "$dir/identity/fingerprint")
await "the onion name" test -s "$dir/names/hostname"
onion=$(cat "$dir/names/hostname")
say "the onion name is $onion"
[ "$(ls -A "$dir/names")" = hostname ] || die "more than the name was published"
for name in smp xftp; do shows "$name"; done
await "the network" joined client
forward "$forward_smp" 5223
forward "$forward_door" 443
reach smp "$forward_smp" 5223
reach smp "$forward_door" 443 --web-port
reach xftp "$forward_door" 443
