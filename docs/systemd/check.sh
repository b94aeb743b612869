#!/usr/bin/env bash
# Checks the units with systemd's own tools, where they are installed: that systemd understands all of them, and that
# what a relay is allowed stays little.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

most=20 # of systemd's 100 for a service that may do all

if ! systemd-analyze --help 2>/dev/null | grep -q -e --offline; then
  echo "units: skipped: systemd is not installed here, or older than 250"
  exit 0
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
for unit in *.service; do
  # The programs need not be installed here.
  sed 's|^ExecStart=/usr/local/bin/|ExecStart=/bin/echo |' "$unit" >"$dir/$unit"
done
said=$(SYSTEMD_UNIT_PATH="$dir:" systemd-analyze verify --man=no "$dir"/*.service 2>&1) || { echo "$said"; exit 1; }
# A name that systemd does not know is told, and no failure.
if [ -n "$said" ]; then echo "$said"; exit 1; fi
for unit in *.service; do
  systemd-analyze security --offline=true --threshold="$most" --no-pager "$dir/$unit" >"$dir/exposure" ||
    { cat "$dir/exposure"; exit 1; }
  echo "units: $unit: $(sed -n 's/.*Overall exposure level for [^:]*: //p' "$dir/exposure")"
done
