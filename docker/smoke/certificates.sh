# shellcheck shell=bash
# shellcheck disable=SC2154 # variables of lib.sh
# Sourced by docker/smoke.sh. The certificate authority is Pebble, Let's Encrypt's own for tests, in the network of the
# relays, where the names of the test lead to the message relay. There are two: each looks for answers at one port only.

pebble=github.com/letsencrypt/pebble/v2/cmd/pebble@v2.10.1
roots_http=15444 roots_alpn=15445 # ports at which they tell their roots
validity=60 # seconds that a certificate holds, so that renewal is seen

# authority NAME HTTPPORT TLSPORT configures one that looks for answers at these ports. Nobody answers at port 1.
authority() {
  cat >"$files/pebble/$1.json" <<JSON
{"pebble": {
  "listenAddress": "0.0.0.0:14000", "managementListenAddress": "0.0.0.0:15000",
  "certificate": "/pebble/web/ca.pem", "privateKey": "/pebble/ca.key",
  "httpPort": $2, "tlsPort": $3, "ocspResponderURL": "", "externalAccountBindingRequired": false,
  "profiles": {"default": {"description": "short", "validityPeriod": $validity}}
}}
JSON
}

build_authorities() {
  mkdir -p "$files/pebble/web"
  chmod 755 "$files/pebble" "$files/pebble/web"
  GOBIN=$files/pebble CGO_ENABLED=0 go install "$pebble"
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=pebble \
    -addext subjectAltName=DNS:pebble-http,DNS:pebble-alpn -keyout "$files/pebble/ca.key" -out "$files/pebble/web/ca.pem" 2>>"$log"
  chmod 644 "$files/pebble/web/ca.pem" "$files/pebble/ca.key"
  authority http 80 1
  authority alpn 1 443
  printf 'FROM scratch\nCOPY pebble /pebble-server\nENTRYPOINT ["/pebble-server"]\n' >"$files/pebble/Dockerfile"
  docker build --quiet --tag sotto-smoke-pebble "$files/pebble" >/dev/null
  cat >"$files/pebble.yaml" <<YAML
services:
  smp: {networks: {relay: {aliases: [smp.test, xftp.test, one.test]}}}
  pebble-http: &pebble
    image: sotto-smoke-pebble
    command: [-config, /pebble/http.json]
    environment: {PEBBLE_VA_NOSLEEP: 1}
    volumes: ["$files/pebble:/pebble:ro,z"]
    networks: [relay]
    ports: ["127.0.0.1:$roots_http:15000"]
  pebble-alpn:
    <<: *pebble
    command: [-config, /pebble/alpn.json]
    ports: ["127.0.0.1:$roots_alpn:15000"]
YAML
}

# trust PORT makes one's root, which is new at each of its starts, the only one that the browsers of this test trust.
trust() {
  until_true 20 "the certificate authority answers" curl --silent --fail --insecure --output "$files/root" "https://127.0.0.1:$1/roots/0"
}

# page HOST PATH gets a page as a browser does that trusts the authority.
page() {
  curl --silent --show-error --fail --max-time 10 --resolve "$1:$https:127.0.0.1" --cacert "$files/root" \
    --output "$files/page" "https://$1:$https$2" 2>>"$log"
}

# shows HOST PATH TEXT wants a page with this text.
shows() { page "$1" "$2" && grep -q "$3" "$files/page"; }

# serial HOST prints the serial number of the certificate that browsers are shown.
serial() {
  openssl s_client -connect "127.0.0.1:$https" -servername "$1" </dev/null 2>>"$log" | openssl x509 -noout -serial
}
renewed() { [ "$(serial "$1")" != "$2" ] && page "$1" /; }

# redirects HOST wants plain HTTP to lead to HTTPS of the same host.
redirects() {
  curl --silent --head --resolve "$1:$http:127.0.0.1" "http://$1:$http/x" | tr -d '\r' | grep -qix "location: https://$1/x"
}

# since prints when both relays were started.
since() { docker inspect --format '{{.State.StartedAt}}' "$(container smp)" "$(container xftp)"; }

part_certificates() {
  step "building the certificate authorities"
  build_authorities
  export COMPOSE_FILE=compose.yaml:$files/pebble.yaml SOTTO_WEB_CERTIFICATES=$files/pebble/web
  export ACME_ROOTS=/web/ca.pem
  export SMP_HOST=smp.test XFTP_HOST=xftp.test
  two_names
  unset XFTP_HOST
  one_name
  unset COMPOSE_FILE SOTTO_WEB_CERTIFICATES ACME_DIRECTORY ACME_ROOTS SMP_HOST
}

# two_names: the certificates of the first authority take challenges on port 80, where the message relay answers for both.
# Those of the second take challenges on port 443, where each relay answers for itself.
two_names() {
  step "starting the stack for smp.test and xftp.test, with the authority that asks on port 80"
  export ACME_DIRECTORY=https://pebble-http:14000/dir
  up
  trust $roots_http
  certified
  redirects smp.test || die "plain HTTP does not lead to HTTPS"
  learn
  roads

  step "changing to the authority that asks on port 443"
  export ACME_DIRECTORY=https://pebble-alpn:14000/dir
  up
  trust $roots_alpn
  certified
  renewals
}

# certified waits until both relays have certificates of the authority that is trusted.
certified() {
  local name
  for name in smp xftp; do
    until_true 150 "$name.test has a certificate, and a page with its address" shows $name.test / "$name://"
    step "$name.test has a certificate, and a page with its address"
  done
}

# renewals waits until both certificates are new, in relays that go on.
renewals() {
  local name started
  local -A before
  started=$(since)
  for name in smp xftp; do before[$name]=$(serial $name.test); done
  for name in smp xftp; do
    until_true $((validity * 2)) "the certificate of $name.test is renewed" renewed $name.test "${before[$name]}"
    step "the certificate of $name.test was renewed"
  done
  [ "$started" = "$(since)" ] || die "a relay was restarted"
}

# one_name: only SMP_HOST is set.
one_name() {
  step "starting the stack for one.test"
  export SMP_HOST=one.test
  up
  until_true 150 "one.test has a certificate, and a page with the message relay's address" shows one.test / smp://
  until_true 20 "one.test has a page with the file relay's address" shows one.test /files xftp://
  step "one.test has a certificate, and pages of both relays"
  learn
  roads
}
