#!/usr/bin/env bash
# Gives each service a role and a database of its own, both named like the service; `web` is for the certificates that
# browsers are shown, which both relays use. Postgres's container runs this when it creates its data directory, and
# compose at every start, so that a directory which an older version made gets what has come since.
#
# Nobody has a password. Postgres listens on a Unix socket only, in a volume that the services mount, and a service's
# role can use its own database and nothing else.
set -euo pipefail

services="smp xftp web"
rules=$PGDATA/pg_hba.conf

run() { psql -v ON_ERROR_STOP=1 -U "${POSTGRES_USER:-postgres}" -d postgres --no-psqlrc --quiet "$@"; }

for name in $services; do
  run -v name="$name" <<'SQL'
SELECT format('CREATE ROLE %I LOGIN', :'name')
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'name') \gexec
SELECT format('CREATE DATABASE %I OWNER %I', :'name', :'name')
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'name') \gexec
REVOKE ALL ON DATABASE :"name" FROM PUBLIC;
SQL
done

# The superuser is for those who have a shell in this container. The file is replaced at once: a server may be starting.
{
  echo "local all ${POSTGRES_USER:-postgres} peer"
  for name in $services; do echo "local $name $name trust"; done
} >"$rules.new"
if cmp -s "$rules.new" "$rules"; then
  rm "$rules.new"
else
  mv "$rules.new" "$rules"
  run -c 'SELECT pg_reload_conf()' >/dev/null
fi
