# shellcheck shell=bash
# shellcheck disable=SC2154 # variables of lib.sh
# Sourced by docker/smoke.sh: the profile monitoring. Grafana's image is not needed for it, and not started.

# asked QUERY prints what Prometheus answers.
asked() { curl --silent --fail --get --data-urlencode "query=$1" http://127.0.0.1:15091/api/v1/query; }

# watched wants the answer to a query to have exactly two values, one for each relay.
watched() { [ "$(asked "$1" | grep -o '"value":' | wc -l)" = 2 ]; }

part_monitoring() {
  if ! docker image inspect prom/prometheus:v3 >/dev/null 2>&1; then
    step "SKIPPED: there is no image prom/prometheus:v3"
    return
  fi
  export SOTTO_PROMETHEUS_PORT=15091
  compose --profile monitoring up --detach --wait --wait-timeout 180 smp xftp prometheus
  until_true 60 "Prometheus sees both relays" watched 'up{job=~"smp|xftp"} == 1'
  until_true 60 "both relays count connections" watched '{__name__=~"sotto_(smp|xftp)_connections"}'
  step "Prometheus asks both relays"
}
