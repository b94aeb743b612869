#!/usr/bin/env bash
# Runs a service on this machine for `make run`: docker/run.sh NAME PROGRAM ARGUMENTS...
#
# Settings come from the environment, and from .env for those that are not set there. A service without a database of
# its own in <NAME>_DATABASE_URL gets a private Postgres in .data/postgres, which stops when the service does.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
prefix=$(printf %s "$1" | tr '[:lower:]' '[:upper:]')_
shift

if [ -f .env ]; then
  while IFS= read -r line || [ -n "$line" ]; do
    line=${line%$'\r'}
    case $line in "$prefix"*=*) ;; *) continue ;; esac
    name=${line%%=*} value=${line#*=}
    case $value in
    \"*\"* | \'*\'*) quote=${value:0:1} value=${value:1} value=${value%%"$quote"*} ;;
    *) value=${value%%[[:space:]]#*} value=${value%"${value##*[![:space:]]}"} ;;
    esac
    [ -n "${!name+set}" ] || export "$name=$value"
  done <.env
fi

url=${prefix}DATABASE_URL file=${prefix}DATABASE_URL_FILE
[ -n "${!url:-}" ] || unset "$url"
if [ -n "${!url:-}" ] || [ -n "${!file:-}" ]; then exec "$@"; fi
echo "run: $url is not set; using a private Postgres in .data/postgres" >&2
exec "$here/postgres/local.sh" run .data/postgres "$url" "$@"
