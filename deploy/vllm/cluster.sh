#!/usr/bin/env bash
# Joins hosts into the Ray cluster that vLLM spreads a model over. The same vLLM and model path on every host.
#
#     deploy/vllm/cluster.sh head                   on the first host; then serve.sh with HOSTS there
#     deploy/vllm/cluster.sh worker ADDRESS         on each other host, ADDRESS of the first
#
# VLLM_HOST_IP must be the address by which the others reach this host. Keep Ray's ports (6379 and above) inside the
# network of the cluster: whoever reaches them can run programs there.
set -euo pipefail

: "${VLLM_HOST_IP:?set it to this host\'s address in the network of the cluster}"
case "${1:-}" in
    head) exec "${RAY:-ray}" start --block --head --node-ip-address "$VLLM_HOST_IP" --port 6379 ;;
    worker) exec "${RAY:-ray}" start --block --node-ip-address "$VLLM_HOST_IP" --address "${2:?address of the first host}:6379" ;;
    *) echo "usage: $0 head | worker ADDRESS" >&2; exit 2 ;;
esac
