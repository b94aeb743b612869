# shellcheck shell=bash
# shellcheck disable=SC2154 # variables of lib.sh
# Sourced by docker/smoke.sh.

# previous prints the last commit of the old layout: file relay on a port and with an identity of its own.
previous() {
  local first
  first=$(git log --format=%H --reverse -SSOTTO_XFTP_IDENTITY -- compose.yaml | head -n 1)
  git rev-parse --verify --quiet "${first:-HEAD}${first:+^}^{commit}"
}

# old runs compose as the old layout has it.
old() {
  SOTTO_XFTP_PORT=$SOTTO_HTTPS_PORT docker compose --env-file /dev/null --project-directory "$files/old" \
    -f "$files/old/compose.yaml" -f "$files/old/images.yaml" "$@" 2>>"$log"
}

# build_old makes the images of the old layout. Their programs are compiled here, where the compiler's cache is; what the
# old Dockerfiles make of them stays as it was.
build_old() {
  local name
  for name in smp xftp; do
    step "building the old image of $name"
    mkdir -p "$files/old/$name/rootfs/data" "$files/old/$name/rootfs/etc"
    (cd "$files/old/services/$name" && GOWORK=off CGO_ENABLED=0 go build -trimpath -buildvcs=false -o "$files/old/$name/rootfs/$name" .)
    sed -n '/^FROM scratch/,$p' "$files/old/Dockerfile.$name" | sed 's|--from=build ||; s| /rootfs/| rootfs/|' >"$files/old/$name/Dockerfile"
    docker build --quiet --tag "sotto-smoke-$name" "$files/old/$name" >/dev/null
  done
  printf 'services:\n  smp:\n    image: sotto-smoke-smp\n  xftp:\n    image: sotto-smoke-xftp\n' >"$files/old/images.yaml"
}

part_upgrade() {
  local commit
  if ! commit=$(previous) || ! git cat-file -e "$commit:Dockerfile.xftp" 2>/dev/null; then
    step "SKIPPED: this clone has no history to upgrade from (git fetch --unshallow gets it)"
    return
  fi
  step "starting the old stack, of commit ${commit:0:12}"
  mkdir "$files/old"
  git archive "$commit" | tar -x -C "$files/old"
  build_old
  export SMP_HOST=localhost:$messages XFTP_HOST=localhost:$https
  old up --detach --wait --wait-timeout 180
  learn
  leave
  step "upgrading"
  if up; then die "the file relay's address would change, and nothing was said"; fi
  compose logs --no-color --no-log-prefix init | grep -q SOTTO_XFTP_IDENTITY=xftp-identity || die "it is not said what to set"
  export SOTTO_XFTP_IDENTITY=xftp-identity
  up
  same
  roads apart
  collect "after the upgrade"
  unset SMP_HOST XFTP_HOST SOTTO_XFTP_IDENTITY
}
