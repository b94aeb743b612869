#!/usr/bin/env bash
# A private Postgres for this checkout, for `make run` and the tests. It listens on a Unix socket only, and only its
# owner (and root) can reach that.
#
#   local.sh install                      install Postgres if it is missing (root on Debian or Ubuntu), or say how to
#   local.sh start DIR                    create the cluster in DIR on first use, start it, print its URL
#   local.sh stop DIR                     stop it
#   local.sh url DIR                      print its URL; fails when it does not run
#   local.sh run DIR NAME COMMAND...      start it, run COMMAND with the URL in the variable NAME, stop it again unless
#                                         another `run` uses it, or `start` had started it
#
# SOTTO_POSTGRES_OPTIONS holds further options for the server, for example "-c fsync=off", and SOTTO_POSTGRES_DATABASES
# the names of databases that `run` creates beside the one of the URL when they are missing.
# Messages go to stderr. Run by root, Postgres runs as the user postgres, since it refuses to run as root.
set -euo pipefail

say() { printf 'postgres: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
is_root() { [ "$(id -u)" = 0 ]; }
hash() { printf %s "$1" | { sha256sum 2>/dev/null || shasum -a 256; } | cut -c 1-12; }

# --- the programs ---

# find_programs sets bin to the newest installed version, or to the version $1. It is false when there is none.
find_programs() {
  local dir major best=0
  bin=
  for dir in "$(dirname "$(command -v pg_ctl || echo /)")" /usr/lib/postgresql/*/bin /usr/pgsql-*/bin \
    /usr/local/pgsql/bin /opt/homebrew/opt/postgresql@*/bin /usr/local/opt/postgresql@*/bin; do
    if [ ! -x "$dir/pg_ctl" ] || [ ! -x "$dir/initdb" ] || [ ! -x "$dir/postgres" ]; then continue; fi
    major=$("$dir/postgres" --version | sed -n 's/^[^0-9]*\([0-9]*\).*/\1/p')
    [ -n "$major" ] || continue
    if [ "${1:-$major}" = "$major" ] && [ "$major" -gt "$best" ]; then best=$major bin=$dir; fi
  done
  [ -n "$bin" ]
}

install_programs() {
  find_programs && return
  if is_root && command -v apt-get >/dev/null; then
    say "not installed; installing the package postgresql"
    install_with_apt
    find_programs || die "the package is installed, yet initdb, pg_ctl and postgres are not found"
    return
  fi
  say "PostgreSQL (initdb, pg_ctl, postgres) is not installed. Install it, for example with"
  if command -v apt-get >/dev/null; then say "    sudo apt-get install postgresql"
  elif command -v dnf >/dev/null; then say "    sudo dnf install postgresql-server"
  elif command -v pacman >/dev/null; then say "    sudo pacman -S postgresql"
  elif command -v apk >/dev/null; then say "    sudo apk add postgresql"
  elif command -v brew >/dev/null; then say "    brew install postgresql@17"
  else say "    your system's packages, or see https://www.postgresql.org/download/"; fi
  die "or use a database of your own: set SMP_DATABASE_URL and XFTP_DATABASE_URL for the relays, SOTTO_TEST_DATABASE_URL for the tests"
}

# install_with_apt installs the server without the system-wide cluster that Debian would create and start.
install_with_apt() {
  local log conf=/etc/postgresql-common/createcluster.conf saved
  log=$(mktemp) saved=$(mktemp)
  export DEBIAN_FRONTEND=noninteractive
  apt-get update >"$log" 2>&1 </dev/null || { tail -n 20 "$log" >&2; die "apt-get update failed"; }
  apt-get install -y --no-install-recommends postgresql-common >"$log" 2>&1 </dev/null ||
    { tail -n 20 "$log" >&2; die "apt-get install postgresql-common failed"; }
  cp -p "$conf" "$saved"
  printf 'create_main_cluster = false\n' >>"$conf"
  local ok=1
  apt-get install -y --no-install-recommends postgresql >"$log" 2>&1 </dev/null || ok=
  cp -p "$saved" "$conf"
  [ -n "$ok" ] || { tail -n 20 "$log" >&2; die "apt-get install postgresql failed"; }
  rm -f "$log" "$saved"
}

# --- where the cluster lives, and whose it is ---

# as_owner runs a command as the cluster's owner, in the directory $1, in a clean environment.
as_owner() (
  cd "$1"
  shift
  set -- env -i PATH="$PATH" HOME="$base" LC_ALL=C TZ=UTC "$@"
  if ! is_root; then exec "$@" 8<&- 9<&-; fi
  if command -v setpriv >/dev/null; then
    exec setpriv --reuid "$owner" --regid "$group" --clear-groups "$@" 8<&- 9<&-
  fi
  exec runuser -u "$(id -nu "$owner")" -- "$@" 8<&- 9<&-
)

# private_dir makes the directory $1 for the owner alone. One that somebody else has put there is refused.
private_dir() {
  mkdir -m 700 "$1" 2>/dev/null || true
  if [ ! -d "$1" ] || [ -L "$1" ]; then die "$1 is in the way: it is not a directory"; fi
  if is_root; then
    case $(stat -c %u "$1") in 0 | "$owner") ;; *) die "$1 belongs to another user; remove it" ;; esac
    chown "$owner:$group" "$1"
  else
    [ -O "$1" ] || die "$1 belongs to another user; remove it, or run this as that user"
  fi
  chmod 700 "$1"
}

# place sets base, the cluster's directory, and for root its owner and group. The control lock is held.
place() {
  local dir=$1
  if [ -e "$dir" ]; then base=$(cd "$dir" 2>/dev/null && pwd -P) || die "cannot enter $dir; it belongs to another user"; fi
  if ! is_root; then
    [ -e "$dir" ] || private_dir "$dir"
    base=$(cd "$dir" && pwd -P)
    [ -O "$base" ] || die "$base belongs to another user; run this as that user or as root, or remove it"
    return
  fi
  if [ -e "$dir/data/PG_VERSION" ] && [ "$(stat -c %u "$base/data")" != 0 ]; then
    owner=$(stat -c %u "$base/data") group=$(stat -c %g "$base/data")
    reachable "$base" || die "user $(id -nu "$owner") cannot reach its cluster in $base; give it access, or remove it"
    return
  fi
  owner=$(id -u postgres 2>/dev/null) || die "Postgres refuses to run as root, and there is no user postgres to run it"
  group=$(id -g postgres)
  if [ ! -L "$dir" ]; then
    private_dir "$dir"
    base=$dir
    if reachable "$dir"; then
      chown -R "$owner:$group" "$dir" # a copied checkout belongs to root
      return
    fi
    rmdir "$dir" || die "user postgres cannot reach $dir, and it is not empty; remove it"
  fi
  base=/var/tmp/sotto-$(hash "$dir")
  private_dir "$base"
  base=$(cd "$base" && pwd -P)
  ln -sfn "$base" "$dir"
  say "user postgres cannot reach $dir; the data are in $base, with a link to it"
}

# reachable tells whether the owner can work in the directory $1; those above it may be closed to it.
# shellcheck disable=SC2016
reachable() { as_owner / sh -c '[ -w "$1" ] && [ -x "$1" ]' sh "$1"; }

# socket_dir sets sockets. A socket's path is limited to about 100 bytes, and in a URL it should need no quoting.
socket_dir() {
  sockets=$base/run
  case $sockets in
  *[!A-Za-z0-9._/-]*) sockets=/tmp/sotto-$(hash "$base") ;;
  *) [ ${#sockets} -le 85 ] || sockets=/tmp/sotto-$(hash "$base") ;;
  esac
}

# --- start and stop; the control lock is held ---

# running is true when the process in postmaster.pid is this cluster's server, not a later process with its number.
# Only the owner may look, even where root may not.
running() {
  local pid
  pid=$(sed -n 1p "$base/data/postmaster.pid" 2>/dev/null) || return 1
  [ -n "$pid" ] || return 1
  if [ -d /proc/self ]; then
    [ "$(as_owner / readlink "/proc/$pid/cwd" 2>/dev/null)" = "$base/data" ]
  else
    kill -0 "$pid" 2>/dev/null
  fi
}

url() { printf 'postgres://sotto@/sotto?host=%s&port=5432\n' "$(sed -n 5p "$base/data/postmaster.pid")"; }

# clear_crash removes what a killed server left behind, once its last process is gone. Postgres does that too, but
# believes in a living server when another process has its number by now.
clear_crash() {
  local tries=0
  if [ ! -e "$base/data/postmaster.pid" ] || [ ! -d /proc/self ]; then return; fi
  unused || die "a command uses $base, but its server is out of sight: end that command first"
  exec 9<&-
  while grep -qxF -- "$base/data" <<<"$(as_owner / readlink /proc/[0-9]*/cwd 2>/dev/null || true)"; do
    [ $((tries += 1)) -lt 100 ] || die "processes of a killed server still use $base/data"
    sleep 0.2
  done
  rm -f "$base/data/postmaster.pid" "$sockets/.s.PGSQL.5432.lock"
}

create() {
  say "creating a cluster in $base ($("$bin/postgres" --version))"
  rm -rf "$base/data.new"
  {
    as_owner "$base" "$bin/initdb" -D data.new -U sotto --auth=trust --encoding=UTF8 --locale=C </dev/null &&
      echo 'CREATE DATABASE sotto;' | as_owner "$base" "$bin/postgres" --single -D data.new postgres
  } >"$base/init.log" 2>&1 || { tail -n 20 "$base/init.log" >&2; die "the cluster could not be created"; }
  mv "$base/data.new" "$base/data"
}

start() {
  local version options
  running && wait_ready && return
  if [ -s "$base/data/PG_VERSION" ]; then
    version=$(cat "$base/data/PG_VERSION")
    find_programs "$version" ||
      die "the data in $base are of PostgreSQL $version, which is not installed; install it, or move the data away"
  else
    create
  fi
  socket_dir
  private_dir "$sockets"
  clear_crash
  [ ! -e "$base/log" ] || mv -f "$base/log" "$base/log.old"
  # The log must not show what is stored, hence terse messages without statements.
  options="-c listen_addresses='' -c unix_socket_directories='$sockets' -c unix_socket_permissions=0700 -c port=5432"
  options="$options -c log_error_verbosity=terse -c log_min_error_statement=panic -c log_checkpoints=off"
  as_owner "$base" "$bin/pg_ctl" -D data -l log -w -t 120 -o "$options ${SOTTO_POSTGRES_OPTIONS:-}" start >/dev/null ||
    { tail -n 20 "$base/log" >&2; die "the server did not start; its log is $base/log"; }
  say "started in $base"
}

# create_databases makes those of SOTTO_POSTGRES_DATABASES that are missing.
create_databases() {
  local name
  for name in ${SOTTO_POSTGRES_DATABASES:-}; do
    [ -n "$(query "SELECT 1 FROM pg_database WHERE datname = '$name'")" ] || query "CREATE DATABASE $name" >/dev/null
  done
}

# query runs one statement and prints its rows.
query() {
  local psql=${bin:-/}/psql
  [ -x "$psql" ] || psql=$(command -v psql) || die "PostgreSQL's psql is not found; install its client"
  as_owner "$base" "$psql" -X -q -A -t -v ON_ERROR_STOP=1 -c "$1" "$(url)" </dev/null
}

# wait_ready waits for a server that is still starting; false when it ends instead.
wait_ready() {
  local tries=0
  while [ $((tries += 1)) -lt 300 ]; do
    case $(sed -n 8p "$base/data/postmaster.pid" 2>/dev/null) in ready*) return ;; esac
    running || return
    sleep 0.2
  done
  die "the server in $base does not become ready; its log is $base/log"
}

stop() {
  running || return 0
  find_programs "$(cat "$base/data/PG_VERSION")" || die "PostgreSQL's pg_ctl is not found"
  as_owner "$base" "$bin/pg_ctl" -D data -m fast -w -t 120 stop >/dev/null || die "the server in $base did not stop"
  say "stopped"
}

# --- locks: the control lock is on DIR's parent, and each `run` holds a shared one on the cluster's directory ---

have_flock=; if command -v flock >/dev/null; then have_flock=1; fi
control() { mkdir -p "$parent"; exec 8<"$parent"; [ -z "$have_flock" ] || flock 8; }
release() { exec 8<&-; }
lease() { exec 9<"$base"; [ -z "$have_flock" ] || flock -s 9; }
unused() { exec 9<&- 9<"$base"; [ -z "$have_flock" ] || flock -n 9; }

finish() {
  trap '' INT TERM HUP
  [ -d "$parent" ] || return 0
  control
  if [ -e "$base/keep" ]; then return; fi
  if unused; then stop; else say "left running: another command uses it"; fi
}

# run starts the command in a process group of its own, so that each signal reaches it once, from here.
run() {
  local name=$1 url pid status interrupted
  shift
  control
  install_programs
  place "$dir"
  trap finish EXIT
  start
  create_databases
  lease
  url=$(url)
  release
  set -m
  env "$name=$url" "$@" </dev/null 8<&- 9<&- &
  pid=$!
  set +m
  trap 'interrupted=1; kill -INT -- "-$pid" 2>/dev/null || true' INT
  trap 'interrupted=1; kill -TERM -- "-$pid" 2>/dev/null || true' TERM HUP
  while :; do
    interrupted='' status=0
    wait "$pid" || status=$?
    [ -n "$interrupted" ] || exit "$status"
  done
}

usage() { sed -n '2,14s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2; }

[ $# -gt 0 ] || usage
command=$1
shift
if [ "$command" = install ]; then
  install_programs
  say "$("$bin/postgres" --version) in $bin"
  exit
fi
[ $# -gt 0 ] || usage
mkdir -p "$(dirname "$1")"
parent=$(cd "$(dirname "$1")" && pwd -P)
dir=$parent/$(basename "$1")
shift
case $command in
start) control; install_programs; place "$dir"; start; : >"$base/keep"; url ;;
stop) [ -d "$dir" ] || exit 0; control; place "$dir"; stop; rm -f "$base/keep" ;;
url) [ -d "$dir" ] || die "there is no cluster in $dir"; control; place "$dir"; running || die "not running"; url ;;
run) [ $# -gt 1 ] || usage; run "$@" ;;
*) usage ;;
esac
