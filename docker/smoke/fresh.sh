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
