# shellcheck shell=bash
# shellcheck disable=SC2154 # variables of lib.sh
# Sourced by docker/smoke.sh: the relays as clients see them, through their published ports.

declare -A addresses

# learn notes the addresses of both relays.
learn() {
  local name
  for name in smp xftp; do
    addresses[$name]=$(compose exec -T "$name" "/$name" address --plain)
    step "the address of $name is ${addresses[$name]}"
  done
}

# same wants the addresses that were learnt.
same() {
  local name
  for name in smp xftp; do
    [ "$(compose exec -T "$name" "/$name" address --plain)" = "${addresses[$name]}" ] || die "the address of $name has changed"
  done
}

# at NAME PORT prints a relay's address with this port of this machine in the place of its hosts.
at() { printf '%s@127.0.0.1:%s' "${addresses[$1]%@*}" "$2"; }

# run runs a relay's program in the host's network, where it reaches relays as clients do.
run() { local name=$1; shift; docker run --rm --network host --read-only "sotto-$name" "$@"; }

# try_road NAME PORT [OPTION...] tests a relay by one road, in a line.
try_road() {
  local name=$1 port=$2
  shift 2
  if ! run "$name" try "$@" "$(at "$name" "$port")" >"$files/try" 2>&1; then
    cat "$files/try"
    die "$name does not work on port $port ${*:-}"
  fi
  step "$name on port $port${*:+ ($*)}: $(tail -n 1 "$files/try")"
}

# roads tests every road to both relays. The last one is there only where both have one identity.
roads() {
  try_road smp "$messages"
  try_road smp "$messages" --old
  try_road smp "$https"
  try_road smp "$https" --old
  try_road smp "$https" --web-port
  try_road xftp "$https"
  [ "${1:-}" = apart ] || try_road xftp "$https" --web-port
}

# transfer sends a file through the relay, or receives it, as a person does.
transfer() {
  docker run --rm --network host --user "$(id -u):$(id -g)" --volume "$files/transfer:/files" --workdir /files sotto-xftp "$@"
}

# leave leaves messages and a file with the relays; collect wants them back.
leave() {
  rm -rf "$files/transfer"
  mkdir "$files/transfer"
  "$(program sotto/services/smp/e2e/keep)" send "$(at smp "$messages")" "$files/kept"
  head -c 6000000 /dev/urandom >"$files/transfer/file.bin"
  transfer send file.bin --to "$(at xftp "$https")" >"$files/sent" || { cat "$files/sent"; die "the file was not sent"; }
}
collect() {
  "$(program sotto/services/smp/e2e/keep)" receive "$files/kept"
  mkdir "$files/transfer/received"
  transfer receive file.bin.xftp/rcv1.xftp --out received >"$files/sent" || { cat "$files/sent"; die "the file was not received"; }
  cmp "$files/transfer/file.bin" "$files/transfer/received/file.bin"
  step "messages and file are there: $1"
}
