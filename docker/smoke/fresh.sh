# shellcheck shell=bash
# shellcheck disable=SC2154 # variables of lib.sh
# Sourced by docker/smoke.sh.

part_fresh() {
  local start=$SECONDS name code
  step "starting the stack, with nothing set"
  up
  step "both relays were ready after $((SECONDS - start)) s"
  confined
  learn
  [ "${addresses[smp]#smp://}" = "${addresses[xftp]#xftp://}" ] || die "the relays do not have one identity"
  said
  administered
  roads
  crashes

  step "stopping the relays"
  compose stop --timeout 15 smp xftp
  for name in smp xftp; do
    code=$(docker inspect --format '{{.State.ExitCode}}' "$(container "$name")")
    [ "$code" = 0 ] || die "$name exited with $code"
  done
}

# said wants the logs to show both addresses, codes to scan, and what to do next.
said() {
  local name
  for name in smp xftp; do
    compose logs --no-color --no-log-prefix "$name" >"$files/said"
    grep -qF "${addresses[$name]}" "$files/said" || die "the log of $name does not have its address"
    [ "$(grep -c '[▀▄█]' "$files/said")" -ge 10 ] || die "the log of $name has no code to scan"
    grep -q "set ${name^^}_HOST" "$files/said" || die "the log of $name does not say what to set"
  done
}

# admin NAME ARGUMENT... is a relay's command admin, as operators run it.
admin() { local name=$1; shift; compose exec -T "$name" "/$name" admin "$@"; }

# sender_of prints the sender id of a queue that messages were left in.
sender_of() { sed -n 's/.*"SenderID":"\([^"]*\)".*/\1/p' "$1"; }

# administered wants the relays to tell how they are, and to do what operators do about abuse.
administered() {
  local name sender
  for name in smp xftp; do
    admin "$name" status >"$files/status" || die "$name has no status"
    grep -q 'database *answers in' "$files/status" || { cat "$files/status"; die "the status of $name does not tell of its database"; }
    admin "$name" -o json status | grep -q '"reachable": true' || die "the status of $name is not in JSON"
  done
  "$(program sotto/services/smp/e2e/keep)" send "$(at smp "$messages")" "$files/moderated"
  sender=$(sender_of "$files/moderated")
  admin smp queue "$sender" block --reason spam --notice 1h
  admin smp queue "$sender" | grep -q 'blocked for spam, with a notice for 1 hour' || die "a queue is not blocked"
  admin smp queue "$sender" unblock
  "$(program sotto/services/smp/e2e/keep)" receive "$files/moderated"
  "$(program sotto/services/smp/e2e/keep)" send "$(at smp "$messages")" "$files/moderated"
  sender=$(sender_of "$files/moderated")
  admin smp queue "$sender" delete --yes
  if admin smp queue "$sender" >"$files/status" 2>&1; then die "a deleted queue is still there"; fi
  step "both relays tell how they are; a queue was blocked, unblocked and deleted"
}

# crashes ends parts of the stack in all the ways they end in practice. What was acknowledged before must be there after.
crashes() {
  local name
  leave
  compose restart --timeout 30
  up
  same
  collect "after a restart"
  for name in smp xftp postgres; do
    leave
    docker kill --signal KILL "$(container $name)" >/dev/null
    up
    same
    collect "after SIGKILL of $name"
  done
  leave
  compose down --timeout 30
  up
  same
  collect "after down and up"
}
