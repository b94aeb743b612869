#!/usr/bin/env bash
# What `make monitoring` runs: the configuration and the alerts by promtool, then both relays, used by clients, with a real
# Prometheus that asks them, and every query of the dashboard, none of which may be empty. It needs prometheus and promtool
# (Debian's package prometheus), and bin/smp and bin/xftp. Grafana itself does not run here: a page with the same panels is
# drawn to .data/monitoring/dashboard.html, and to dashboard.png where there is Chromium.
set -euo pipefail
cd "$(dirname "$0")/../.."

config=docker/monitoring
dir=${SOTTO_MONITORING_DIR:-.data/monitoring}
seconds=${SOTTO_MONITORING_SECONDS:-40} # of use

say() { printf 'monitoring: %s\n' "$*"; }
die() { printf 'monitoring: %s\n' "$*" >&2; exit 1; }

for program in prometheus promtool; do
  command -v "$program" >/dev/null || die "$program is missing: install the package prometheus"
done

if [ -z "${SOTTO_MONITORING_DATABASE_URL:-}" ]; then
  say "configuration and alerts"
  promtool check config --syntax-only "$config/prometheus.yml"
  promtool check rules "$config/alerts.yml"
  (cd "$config" && promtool test rules alerts_test.yml)
  mkdir -p "$dir"
  SOTTO_POSTGRES_DATABASES="monitoring_smp monitoring_xftp" \
    exec docker/postgres/local.sh run "$dir/postgres" SOTTO_MONITORING_DATABASE_URL "$0"
fi

# url names another database of the server.
url() {
  local rest=${SOTTO_MONITORING_DATABASE_URL#*\?} # local.sh's URL is postgres://user@/name?host=...
  local base=${SOTTO_MONITORING_DATABASE_URL%%\?*}
  printf '%s/%s?%s' "${base%/*}" "$1" "$rest"
}

pids=()
finish() {
  local pid
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
}
trap finish EXIT

rm -rf "$dir/prometheus" "$dir/config"
mkdir -p "$dir/config"
export SMP_LISTEN=127.0.0.1:15423 SMP_HOST=127.0.0.1 SMP_DATA_DIR="$dir/smp" SMP_METRICS_LISTEN=127.0.0.1:15491
export XFTP_LISTEN=127.0.0.1:15443 XFTP_HOST=127.0.0.1 XFTP_DATA_DIR="$dir/xftp" XFTP_METRICS_LISTEN=127.0.0.1:15492
SMP_DATABASE_URL=$(url monitoring_smp)
XFTP_DATABASE_URL=$(url monitoring_xftp)
export SMP_DATABASE_URL XFTP_DATABASE_URL
for name in smp xftp; do
  "bin/$name" >"$dir/$name.log" 2>&1 &
  pids+=($!)
done

# Prometheus asks more often than in production, and elsewhere; all else is the real configuration.
cp "$config/alerts.yml" "$dir/config/"
sed -e 's/"smp:9090"/"127.0.0.1:15491"/; s/"xftp:9090"/"127.0.0.1:15492"/; s/"localhost:9090"/"127.0.0.1:15490"/' \
  -e 's/_interval: 15s/_interval: 1s/; s/scrape_timeout: 10s/scrape_timeout: 1s/' \
  "$config/prometheus.yml" >"$dir/config/prometheus.yml"
promtool check config "$dir/config/prometheus.yml" >/dev/null
prometheus --config.file="$dir/config/prometheus.yml" --storage.tsdb.path="$dir/prometheus" \
  --web.listen-address=127.0.0.1:15490 >"$dir/prometheus.log" 2>&1 &
pids+=($!)

# ready waits until this answers.
ready() {
  local tries
  for tries in {1..300}; do
    curl -sf -o /dev/null "$1" && return
    sleep 0.1
  done
  die "$1 does not answer after $tries tries; see $dir/*.log"
}
ready http://127.0.0.1:15491/readyz
ready http://127.0.0.1:15492/readyz
ready http://127.0.0.1:15490/-/ready

say "use of both relays for $seconds seconds"
messages=$(bin/smp address --plain)
files=$(bin/xftp address --plain)
end=$((SECONDS + seconds))
while [ "$SECONDS" -lt "$end" ]; do
  bin/smp try "$messages" >"$dir/try.log" || die "$(cat "$dir/try.log")"
  bin/smp health >/dev/null
  bin/xftp try "$files" >"$dir/try.log" || die "$(cat "$dir/try.log")"
done

say "every query of the dashboard"
"${GO:-go}" run ./shared/metrics/dashboard "$config/grafana/dashboards/sotto.json" http://127.0.0.1:15490 "$dir/dashboard.html"
for browser in chromium chromium-browser google-chrome; do
  command -v "$browser" >/dev/null || continue
  options=(--headless --disable-gpu --hide-scrollbars "--window-size=1420,2900" "--user-data-dir=$dir/browser")
  [ "$(id -u)" != 0 ] || options+=(--no-sandbox) # which it refuses to root
  "$browser" "${options[@]}" --screenshot="$dir/dashboard.png" "file://$PWD/$dir/dashboard.html" >"$dir/browser.log" 2>&1
  say "$dir/dashboard.png shows the panels; it is a drawing, not Grafana's"
  break
done
