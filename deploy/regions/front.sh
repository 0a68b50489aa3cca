#!/usr/bin/env bash
# The front of several regions on this machine: nginx, and HAProxy behind it, until Ctrl-C. For a trial; for good, make a
# systemd unit of each of the last lines. Ports below 1024 are why it needs root.
#
#     sudo NAME=demo.example.org NEAREST=eu NEAREST_AT=192.0.2.1 SECOND=us SECOND_AT=198.51.100.1 \
#          THIRD=asia THIRD_AT=203.0.113.1 CERTIFICATE=front.pem KEY=front.key REGIONS=regions.pem deploy/regions/front.sh
#
# REGIONS is the PEM of who vouches for the regions' certificates, CERTIFICATE and KEY are this front's own.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
for name in NAME NEAREST NEAREST_AT SECOND SECOND_AT THIRD THIRD_AT CERTIFICATE KEY REGIONS; do
    [ -n "${!name:-}" ] || { echo "error: $name is not set; see the head of $0" >&2; exit 2; }
done
etc=$(mktemp -d)
trap 'kill $(jobs -p) 2> /dev/null || true; wait; rm -r "$etc"' EXIT
cp "$here"/../nginx/{nginx,forward}.conf "$etc"
cp "$here/front.conf" "$etc/demo.conf"
cp "$here/haproxy.cfg" "$etc"
cp "$CERTIFICATE" "$etc/certificate.pem"
cp "$KEY" "$etc/certificate.key"
cp "$REGIONS" "$etc/regions.pem"
mkdir -p /run/haproxy
export NAME NEAREST NEAREST_AT SECOND SECOND_AT THIRD THIRD_AT
"${HAPROXY:-haproxy}" -C "$etc" -f haproxy.cfg -c
nginx -p "$etc" -c "$etc/nginx.conf" -t
"${HAPROXY:-haproxy}" -C "$etc" -f haproxy.cfg -db &
nginx -p "$etc" -c "$etc/nginx.conf" -g "daemon off;" &
# A front of which one half has ended is none.
wait -n
