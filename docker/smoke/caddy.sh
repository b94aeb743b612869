# shellcheck shell=bash
# shellcheck disable=SC2154 # variables of lib.sh
# Sourced by docker/smoke.sh.

caddy_https=15447 caddy_http=15081

# shown HOST wants Caddy to show a page with this scheme of addresses.
shown() {
  curl --silent --show-error --fail --max-time 10 --resolve "$1:$caddy_https:127.0.0.1" --cacert "$files/caddy.pem" \
    "https://$1:$caddy_https/" 2>>"$log" | grep -q "$2://"
}

part_caddy() {
  export SMP_HOST=smp.test XFTP_HOST=xftp.test:$https ACME=false SOTTO_CADDY_TLS=internal COMPOSE_PROFILES=caddy
  export SOTTO_CADDY_HTTPS_PORT=127.0.0.1:$caddy_https SOTTO_CADDY_HTTP_PORT=127.0.0.1:$caddy_http SOTTO_CADDY_SITES=$files/sites
  mkdir "$files/sites"
  chmod 755 "$files/sites"
  # shellcheck disable=SC2016 # braces are Caddy's
  printf 'www.test {\n\trespond "another://"\n}\n' >"$files/sites/www.caddy"
  chmod 644 "$files/sites/www.caddy"
  step "starting the stack with Caddy in front of its pages"
  up
  until_true 30 "Caddy has certificates" root_of_caddy
  until_true 30 "Caddy shows the page of the message relay" shown smp.test smp
  until_true 30 "Caddy shows the page of the file relay" shown xftp.test xftp
  until_true 30 "Caddy shows another site" shown www.test another
  step "Caddy shows the pages of both relays, and another site"
  learn
  roads
  unset SMP_HOST XFTP_HOST ACME SOTTO_CADDY_TLS SOTTO_CADDY_HTTPS_PORT SOTTO_CADDY_HTTP_PORT SOTTO_CADDY_SITES COMPOSE_PROFILES
}

root_of_caddy() { compose exec -T caddy cat /data/caddy/pki/authorities/local/root.crt >"$files/caddy.pem"; }
