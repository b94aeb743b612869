# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034 # variables of lib.sh
# Sourced by docker/smoke.sh.

proxied=15446 other=15448

# other_site serves a web site behind the proxy.
other_site() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=www.example.org \
    -addext subjectAltName=DNS:www.example.org -keyout "$files/other.key" -out "$files/other.pem" 2>>"$log"
  openssl s_server -accept "127.0.0.1:$other" -www -cert "$files/other.pem" -key "$files/other.key" >>"$log" 2>&1 &
  background=$!
}

proxied_page() {
  curl --silent --show-error --fail --max-time 10 --resolve "www.example.org:$proxied:127.0.0.1" --cacert "$files/other.pem" \
    "https://www.example.org:$proxied/" 2>>"$log" >"$files/page"
}

part_haproxy() {
  local options
  if ! docker image inspect haproxy:3 >/dev/null 2>&1; then
    step "SKIPPED: there is no image haproxy:3"
    return
  fi
  sed "s/bind .*/bind 127.0.0.1:$proxied/; s/:8443/:$other/; s/:10443/:$https send-proxy-v2/" docker/proxy/haproxy.cfg >"$files/haproxy.cfg"
  echo SMP_PROXY_PROTOCOL=true >"$files/settings.env"
  export SOTTO_ENV_FILE=$files/settings.env
  step "starting the stack behind HAProxy"
  up
  learn
  docker run --detach --rm --name sotto-smoke-haproxy --network host --volume "$files/haproxy.cfg:/haproxy.cfg:ro,z" --user 0 \
    haproxy:3 haproxy -f /haproxy.cfg >/dev/null
  other_site
  until_true 20 "the other site is there" proxied_page
  for options in '' --old --web-port; do
    # shellcheck disable=SC2086 # empty is none
    try_road smp $proxied $options
    # shellcheck disable=SC2086
    [ "$options" = --old ] || try_road xftp $proxied $options
  done
  if run smp try "$(at smp "$messages")" >"$files/try" 2>&1; then die "the relay lets clients in that come past the proxy"; fi
  export SOTTO_ENV_FILE=/dev/null
}
