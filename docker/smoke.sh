#!/usr/bin/env bash
# Checks the stack as people get it: builds and starts it, talks to both relays through their published ports, kills
# them, takes the database away for a moment, and removes all it made. SOTTO_PORT and SOTTO_XFTP_PORT are the ports to
# use on this machine.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

export COMPOSE_PROJECT_NAME=sotto-smoke SOTTO_ENV_FILE=/dev/null
export SOTTO_PORT=${SOTTO_PORT:-15223} SOTTO_XFTP_PORT=${SOTTO_XFTP_PORT:-15443}
# A .env made for the real stack, or settings in the environment, must not reach this one.
for name in "${!SMP_@}" "${!XFTP_@}"; do unset "$name"; done
export SMP_HOST=localhost:$SOTTO_PORT XFTP_HOST=localhost:$SOTTO_XFTP_PORT

step() { printf 'smoke: %s\n' "$*"; }
compose() { docker compose --env-file /dev/null "$@"; }

files=$(mktemp -d)

finish() {
  status=$?
  trap - EXIT
  rm -rf "$files"
  if [ "$status" != 0 ]; then
    step "FAILED; the last lines of the logs:"
    compose ps --all || true
    compose logs --tail 50 || true
  fi
  step "removing the stack"
  compose down --volumes --remove-orphans --timeout 15 || status=1
  if [ "$status" = 0 ]; then step "passed"; fi
  exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM

up() { compose up --detach --wait --wait-timeout 180; }
address() { compose exec -T "$1" "/$1" address --plain; }

# run runs a relay's program in the host's network, where it reaches relays as clients do.
run() { local name=$1; shift; docker run --rm --network host --read-only "sotto-$name" "$@"; }

# use tests both relays, whose addresses must be the ones they had.
use() {
  local name
  for name in smp xftp; do
    [ "$(address "$name")" = "${addresses[$name]}" ] || { step "the address of $name has changed"; exit 1; }
    run "$name" try "${addresses[$name]}"
  done
}

# transfer sends a file through the relay, or receives it, as a person does.
transfer() {
  docker run --rm --network host --user "$(id -u):$(id -g)" --volume "$files:/files" --workdir /files sotto-xftp "$@"
}

step "building the images"
compose build
step "starting the stack"
up
declare -A addresses
for name in smp xftp; do
  addresses[$name]=$(address "$name")
  step "the address of $name is ${addresses[$name]}"
done
case ${addresses[smp]} in smp://*@"$SMP_HOST") ;; *) step "which is not smp://...@$SMP_HOST"; exit 1 ;; esac
case ${addresses[xftp]} in xftp://*@"$XFTP_HOST") ;; *) step "which is not xftp://...@$XFTP_HOST"; exit 1 ;; esac
step "trying the relays"
use

step "sending a file"
head -c 9000000 /dev/urandom >"$files/file.bin"
transfer send file.bin --to "${addresses[xftp]}"

step "killing the relays with SIGKILL and starting them again"
compose kill --signal KILL smp xftp
up
use

step "receiving the file"
mkdir "$files/received"
transfer receive file.bin.xftp/rcv1.xftp --out received
cmp "$files/file.bin" "$files/received/file.bin"

step "restarting the database under the running relays"
compose restart --timeout 30 postgres
up
use

step "stopping the relays"
compose stop --timeout 15 smp xftp
for name in smp xftp; do
  code=$(docker inspect --format '{{.State.ExitCode}}' "$(compose ps --all --quiet "$name")")
  [ "$code" = 0 ] || { step "$name exited with $code"; exit 1; }
done
