#!/usr/bin/env bash
# A self-signed certificate for a first try; browsers warn of it. One that is there already is kept.
#
#     deploy/nginx/certificate.sh [HOST NAME] [FOLDER]
set -euo pipefail
name=${1:-localhost}
folder=${2:-$(cd "$(dirname "$0")" && pwd)}
if [ ! -e "$folder/certificate.pem" ]; then
    umask 077
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 365 -subj "/CN=$name" \
        -addext "subjectAltName=DNS:$name,IP:127.0.0.1" \
        -keyout "$folder/certificate.key" -out "$folder/certificate.pem" 2> /dev/null
fi
