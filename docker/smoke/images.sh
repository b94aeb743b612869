# shellcheck shell=bash
# shellcheck disable=SC2154 # variables of lib.sh
# Sourced by docker/smoke.sh.

most=$((25 * 1000 * 1000)) # bytes of an image

part_images() {
  local name size start=$SECONDS
  docker compose --env-file /dev/null build
  step "built in $((SECONDS - start)) s"
  for name in smp xftp; do
    size=$(docker image inspect --format '{{.Size}}' "sotto-$name")
    step "the image of $name has $((size / 1000000)) MB, and is for $(docker image inspect --format '{{.Os}}/{{.Architecture}}' "sotto-$name")"
    [ "$size" -le $most ] || die "which is more than $((most / 1000000)) MB"
  done
}

# confined wants both relays to be ordinary users who can change nothing.
confined() {
  local name id
  for name in smp xftp; do
    id=$(container "$name")
    [ "$(docker inspect --format '{{.Config.User}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.SecurityOpt}}' "$id")" \
      = '65532:65532 true [ALL] [no-new-privileges:true]' ] || die "the container of $name is not confined"
    if docker cp "$log" "$id:/written" 2>"$files/refused"; then die "the filesystem of $name is not read-only"; fi
    grep -q 'read-only' "$files/refused" || die "writing to $name fails with: $(cat "$files/refused")"
    [ "$(sed -n 's/^Uid:\t\([0-9]*\).*/\1/p' "/proc/$(docker inspect --format '{{.State.Pid}}' "$id")/status")" = 65532 ] ||
      die "$name does not run as user 65532"
  done
  step "both relays are ordinary users on a read-only filesystem, without capabilities"
}
