#!/usr/bin/env bash
# Runs both relays on this machine for `make run`: docker/run.sh [SERVICE...], smp and xftp if none is named.
#
# Settings come from the environment, and from .env for those that are not set there. Services without a database of
# their own in <SERVICE>_DATABASE_URL share a private Postgres in .data/postgres, which stops when they do. When one
# relay ends, the other is stopped too, and the exit code is that of the first.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
services=${*:-smp xftp}

prefix() { printf '%s_' "${1^^}"; }

# read_env takes the settings of the services from .env, as compose does.
read_env() {
  local line name value quote
  [ -f .env ] || return 0
  while IFS= read -r line || [ -n "$line" ]; do
    line=${line%$'\r'}
    case $line in SMP_*=* | XFTP_*=*) ;; *) continue ;; esac
    name=${line%%=*} value=${line#*=}
    case $value in
    \"*\"* | \'*\'*) quote=${value:0:1} value=${value:1} value=${value%%"$quote"*} ;;
    *) value=${value%%[[:space:]]#*} value=${value%"${value##*[![:space:]]}"} ;;
    esac
    [ -n "${!name+set}" ] || export "$name=$value"
  done <.env
}

# own tells whether a service has a database of its own.
own() {
  local url file
  url=$(prefix "$1")DATABASE_URL file=$(prefix "$1")DATABASE_URL_FILE
  [ -n "${!url:-}${!file:-}" ]
}

# start_all runs each service in the background. In the private Postgres the message relay has the database that is
# named like the project, since it was there first, and others have one of their own name.
start_all() {
  local service database
  for service in $services; do
    if ! own "$service"; then
      case $service in smp) database=sotto ;; *) database=$service ;; esac
      export "$(prefix "$service")DATABASE_URL=${SOTTO_RUN_POSTGRES/\/sotto\?//$database?}"
    fi
    "bin/$service" serve &
    pids+=($!)
  done
}

# shellcheck disable=SC2317,SC2329 # reached through the trap
stop() { stopping=1; end; }
end() { kill -TERM "${pids[@]}" 2>/dev/null || true; }

if [ -z "${SOTTO_RUN_POSTGRES:-}" ]; then
  read_env
  [ -n "${XFTP_LISTEN:-}" ] || export XFTP_LISTEN=:5443
  needy=()
  for service in $services; do own "$service" || needy+=("$service"); done
  if [ ${#needy[@]} -gt 0 ]; then
    for service in "${needy[@]}"; do
      echo "run: $(prefix "$service")DATABASE_URL is not set; using a private Postgres in .data/postgres" >&2
    done
    # shellcheck disable=SC2086
    SOTTO_POSTGRES_DATABASES=xftp exec "$here/postgres/local.sh" run .data/postgres SOTTO_RUN_POSTGRES \
      "${BASH_SOURCE[0]}" $services
  fi
fi

pids=() stopping=
trap stop INT TERM HUP
start_all
status=0
wait -n "${pids[@]}" || status=$?
[ -z "$stopping" ] || status=0
end
for pid in "${pids[@]}"; do
  while kill -0 "$pid" 2>/dev/null; do
    wait "$pid" || { code=$?; [ "$status" != 0 ] || [ "$code" -ge 127 ] || status=$code; }
  done
done
exit "$status"
