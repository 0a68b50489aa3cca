#!/usr/bin/env bash
# One vLLM server for Qwen2.5-VL; the demo goes in front: app.py --engine remote --base-url http://HOST:8000/v1
#
#     deploy/vllm/serve.sh                                         7B, bf16, one GPU
#     GPUS=4 deploy/vllm/serve.sh                                  one server over the four GPUs of this host
#     QUANTIZATION=fp8 deploy/vllm/serve.sh                        also bitsandbytes; both quantise while they load
#     MODEL=Qwen/Qwen2.5-VL-7B-Instruct-AWQ deploy/vllm/serve.sh   weights that are quantised already say so themselves
#     HOSTS=2 GPUS=8 deploy/vllm/serve.sh                          over two hosts: cluster.sh first, on each of them
#
# Flags of `vllm serve` may follow. They are those of vLLM 0.32.
set -euo pipefail

flags=(
    --host "${HOST:-127.0.0.1}" --port "${PORT:-8000}"
    --max-model-len "${CONTEXT:-32768}"
    # Images as the demo's --max-images; clips one, as vLLM keeps memory for as many as there may be.
    --limit-mm-per-prompt '{"image": 8, "video": 1}'
    # Area of an image as the model sees it: 4 to 2560 image tokens of 28 x 28 pixels.
    --mm-processor-kwargs "{\"min_pixels\": $((4 * 784)), \"max_pixels\": $((${IMAGE_TOKENS:-2560} * 784))}"
    # The demo's pixel budget is sent with a request and checked there. Without this vLLM refuses it; with it, let
    # nobody but the demo reach vLLM.
    --trust-request-mm-kwargs
    # Follow-up questions start where the turn before ended, and an image is resized once.
    --enable-prefix-caching --mm-processor-cache-gb 4
    # vLLM queues without a bound; beyond this it says 503, which the demo passes on as 429 with Retry-After.
    --max-num-seqs "${SLOTS:-128}" --max-num-queued-reqs "${IN_FLIGHT:-256}"
    # Our temperature and length are what counts, not those of the checkpoint.
    --generation-config vllm
    --shutdown-timeout 60
)
if [ "${GPUS:-1}" -gt 1 ]; then
    # The vision tower is small: every GPU does whole images rather than a part of each.
    flags+=(--tensor-parallel-size "$GPUS" --mm-encoder-tp-mode data)
fi
if [ "${HOSTS:-1}" -gt 1 ]; then
    # Layers are split between hosts, as the network between them is slower than that between GPUs.
    flags+=(--pipeline-parallel-size "$HOSTS" --distributed-executor-backend ray)
fi
if [ -n "${QUANTIZATION:-}" ]; then
    flags+=(--quantization "$QUANTIZATION")
fi
if [ -n "${TOOLS_TEMPLATE:-}" ]; then
    # A chat template that states tools; Qwen2.5-VL's own does not. Calls are then in the form of Hermes.
    flags+=(--enable-auto-tool-choice --tool-call-parser hermes --chat-template "$TOOLS_TEMPLATE")
fi
exec "${VLLM:-vllm}" serve "${MODEL:-Qwen/Qwen2.5-VL-7B-Instruct}" "${flags[@]}" "$@"
