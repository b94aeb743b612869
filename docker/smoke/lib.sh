# shellcheck shell=bash
# Sourced by docker/smoke.sh: what all its parts stand on.

# A .env made for the real stack, or settings in the environment, must not reach this one.
for name in "${!SMP_@}" "${!XFTP_@}" "${!SOTTO_@}" "${!ACME@}" "${!COMPOSE_@}"; do unset "$name"; done
export COMPOSE_PROJECT_NAME=sotto-smoke SOTTO_ENV_FILE=/dev/null
# Loopback ports of this machine.
messages=15223 https=15443 http=15080
export SOTTO_PORT=127.0.0.1:$messages SOTTO_HTTPS_PORT=127.0.0.1:$https SOTTO_HTTP_PORT=127.0.0.1:$http

files=$(mktemp -d)
log=$files/compose.log
: >"$log"
background= # the id of a process to end with a part

step() { printf 'smoke %4d s: %s\n' $SECONDS "$*"; }
die() { step "$*"; exit 1; }

# compose keeps the many lines about containers that come and go for those who need them.
compose() { docker compose --ansi never --env-file /dev/null "$@" 2>>"$log"; }

finish() {
  status=$?
  trap - EXIT
  if [ "$status" != 0 ]; then
    step "FAILED; the last lines of the logs:"
    tail -n 20 "$log"
    compose ps --all || true
    compose logs --no-color --tail "${SMOKE_TAIL:-40}" || true
  fi
  remove || status=1
  docker image rm --force sotto-smoke-smp sotto-smoke-xftp sotto-smoke-pebble >/dev/null 2>&1 || true
  rm -rf "$files"
  if [ "$status" = 0 ]; then step "passed"; fi
  exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM

up() { compose up --detach --wait --wait-timeout 180; }

# remove takes all away that a part has started.
remove() {
  if [ -n "$background" ]; then kill "$background" 2>>"$log" || true; background=; fi
  docker rm --force sotto-smoke-haproxy >>"$log" 2>&1 || true
  compose --profile caddy --profile monitoring down --volumes --remove-orphans --timeout 15
}

# container prints the id of a service's container.
container() { compose ps --all --quiet "$1"; }

# until_true SECONDS WHAT COMMAND... waits until the command succeeds.
until_true() {
  local seconds=$1 what=$2 end=$((SECONDS + $1))
  shift 2
  until "$@"; do
    [ "$SECONDS" -lt "$end" ] || die "after $seconds seconds still not: $what"
    sleep 0.5
  done
}

# program PACKAGE compiles a program of this repository and prints its path.
program() {
  local to=$files/${1##*/}
  [ -x "$to" ] || go build -o "$to" "$1"
  printf '%s' "$to"
}
