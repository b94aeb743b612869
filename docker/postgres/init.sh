#!/usr/bin/env bash
# Gives each service a role and a database of its own, both named like the service. Postgres's container runs this
# when it creates its data directory. To run it again: docker compose exec -u postgres postgres
# /docker-entrypoint-initdb.d/init.sh, then docker compose restart postgres.
#
# Nobody has a password. Postgres listens on a Unix socket only, in a volume that the services mount, and a service's
# role can use its own database and nothing else.
set -euo pipefail

services="smp xftp"

for name in $services; do
  psql -v ON_ERROR_STOP=1 -v name="$name" -U "${POSTGRES_USER:-postgres}" -d postgres --no-psqlrc --quiet <<'SQL'
SELECT format('CREATE ROLE %I LOGIN', :'name')
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'name') \gexec
SELECT format('CREATE DATABASE %I OWNER %I', :'name', :'name')
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'name') \gexec
REVOKE ALL ON DATABASE :"name" FROM PUBLIC;
SQL
done

# The superuser is for those who have a shell in this container.
{
  echo "local all ${POSTGRES_USER:-postgres} peer"
  for name in $services; do echo "local $name $name trust"; done
} >"$PGDATA/pg_hba.conf"
