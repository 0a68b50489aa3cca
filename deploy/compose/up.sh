#!/usr/bin/env bash
# vLLM, the demo, nginx, Prometheus and Grafana on this machine, which needs Docker and an NVIDIA GPU.
#
#     GRAFANA_PASSWORD=… deploy/compose/up.sh          MODEL, QUANTIZATION and GPUS as for deploy/vllm/serve.sh
set -euo pipefail
cd "$(dirname "$0")"
../nginx/certificate.sh "${NAME:-localhost}"
# nginx' master process reads it as root of the container.
exec docker compose up --build --detach --wait "$@"
