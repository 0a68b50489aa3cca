#!/usr/bin/env bash
# One app for each GPU of this machine and nginx before them, until Ctrl-C. Flags of app.py may follow.
#
#     sudo deploy/nginx/start.sh                    as many apps as there are GPUs
#     sudo COPIES=3 deploy/nginx/start.sh --model embedded
#
# For a trial; for good, make a systemd unit of each line. Ports below 1024 are why it needs root.
set -euo pipefail
cd "$(dirname "$0")/../.."
copies=${COPIES:-$(nvidia-smi --list-gpus 2> /dev/null | wc -l || true)}
[ "$copies" -gt 0 ] || copies=1
etc=$(mktemp -d)
cp deploy/nginx/*.conf "$etc"
deploy/nginx/certificate.sh localhost
cp deploy/nginx/certificate.* "$etc"
: > "$etc/servers.conf"
for ((gpu = 0; gpu < copies; gpu++)); do
    port=$((7861 + gpu))
    CUDA_VISIBLE_DEVICES=$gpu .venv/bin/python app.py --port "$port" --trusted-proxies 127.0.0.1 "$@" &
    echo "server 127.0.0.1:$port max_fails=3 fail_timeout=5s;" >> "$etc/servers.conf"
done
# The apps drain when they are told to end; nginx goes last.
trap 'kill $(jobs -p) 2> /dev/null || true; wait; nginx -p "$etc" -c "$etc/nginx.conf" -s quit || true; rm -r "$etc"' EXIT
nginx -p "$etc" -c "$etc/nginx.conf"
echo "https://localhost (each app says when it is ready)"
wait
