#!/usr/bin/env bash
# Two models on one GPU, each in a server of its own that keeps to its part of the memory, until Ctrl-C.
#
#     deploy/shared-gpu/two.sh                        7B on port 7861 in 20 GiB, 3B on port 7862 in 12 GiB, both in NF4
#     BIG_GIB=14 SMALL_GIB=8 deploy/shared-gpu/two.sh --max-running 16        flags of app.py may follow, for both
#     GIVE_WAY=1 deploy/shared-gpu/two.sh             the smaller one pauses while questions for the larger one wait
#     MPS=1 deploy/shared-gpu/two.sh                  kernels of both at the same time, through CUDA MPS
#
# MPS starts NVIDIA's daemon for this user and ends it again; the card's compute mode and MIG stay as they are.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${PYTHON:-.venv/bin/python}
if [ -n "${MPS:-}" ]; then
    CUDA_MPS_PIPE_DIRECTORY=$(mktemp -d)
    CUDA_MPS_LOG_DIRECTORY=$CUDA_MPS_PIPE_DIRECTORY
    export CUDA_MPS_PIPE_DIRECTORY CUDA_MPS_LOG_DIRECTORY
    "${MPS_CONTROL:-nvidia-cuda-mps-control}" -d
fi
# The servers drain when they are told to end; the daemon goes last.
end() {
    # shellcheck disable=SC2046
    kill $(jobs -p) 2> /dev/null || true
    wait
    if [ -n "${MPS:-}" ]; then
        "${MPS_CONTROL:-nvidia-cuda-mps-control}" <<< quit
        rm -r "$CUDA_MPS_PIPE_DIRECTORY"
    fi
    rm -f "${file:-}"
}
trap end EXIT
first=() way=()
if [ -n "${GIVE_WAY:-}" ]; then
    file=$(mktemp)
    first=(--go-first-file "$file") way=(--give-way-file "$file")
fi
serve() { # model, GiB, port, flags
    local model=$1 limit=$2 port=$3
    shift 3
    # MPS refuses what would go over it; --memory-limit-gib is what the engine plans with.
    CUDA_MPS_PINNED_DEVICE_MEM_LIMIT="0=${limit}G" "$python" app.py --model "$model" --port "$port" \
        --quantization "${QUANTIZATION:-nf4}" --memory-limit-gib "$limit" "$@" &
}
serve "${BIG:-Qwen/Qwen2.5-VL-7B-Instruct}" "${BIG_GIB:-20}" "${BIG_PORT:-7861}" "${first[@]}" "$@"
serve "${SMALL:-Qwen/Qwen2.5-VL-3B-Instruct}" "${SMALL_GIB:-12}" "${SMALL_PORT:-7862}" "${way[@]}" "$@"
wait
