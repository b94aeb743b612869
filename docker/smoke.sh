#!/usr/bin/env bash
# Checks the stack as people get it: builds and starts it, talks to the relay through its published port, kills it,
# takes the database away for a moment, and removes all it made. SOTTO_PORT is the port to use on this machine.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

export COMPOSE_PROJECT_NAME=sotto-smoke SOTTO_PORT=${SOTTO_PORT:-15223} SOTTO_ENV_FILE=/dev/null
# A .env made for the real stack, or settings in the environment, must not reach this one.
for name in "${!SMP_@}"; do unset "$name"; done
export SMP_HOST=localhost:$SOTTO_PORT

step() { printf 'smoke: %s\n' "$*"; }
compose() { docker compose --env-file /dev/null "$@"; }

finish() {
  status=$?
  trap - EXIT
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
address() { compose exec -T smp /smp address --plain; }
# The client runs in the host's network, and reaches the relay as clients do.
try() { docker run --rm --network host --read-only sotto-smp try "$address"; }

step "building the image"
compose build
step "starting the stack"
up
address=$(address)
step "the address is $address"
case $address in smp://*@"$SMP_HOST") ;; *) step "which is not smp://...@$SMP_HOST"; exit 1 ;; esac
step "trying the relay"
try

step "killing the relay with SIGKILL and starting it again"
compose kill --signal KILL smp
up
again=$(address)
[ "$again" = "$address" ] || { step "the address changed to $again"; exit 1; }
try

step "restarting the database under the running relay"
compose restart --timeout 30 postgres
up
try

step "stopping the relay"
compose stop --timeout 15 smp
code=$(docker inspect --format '{{.State.ExitCode}}' "$(compose ps --all --quiet smp)")
[ "$code" = 0 ] || { step "it exited with $code"; exit 1; }
