#!/usr/bin/env bash
# llama.cpp's server on the CPU with the embedded model, a peer for benchmarks/servers.py.
#
#     benchmarks/llama_cpp/serve.sh           on 127.0.0.1:8081; PORT, SLOTS, THREADS change it; MODEL at the first start
#
# The first start makes an environment in $LLAMA_VENV (300 MB) and converts the checkpoint to GGUF, float16. The
# converter comes with the source of llama-cpp-python, the server is the library xllamacpp, of the same code.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
venv=${LLAMA_VENV:-$root/.cache/llama-cpp}
model=${MODEL:-$root/qwen_demo/models/embedded}

if [ ! -e "$venv/.ready" ]; then
    "${PYTHON:-python3}" -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check xllamacpp==2026.10.11549
    "$venv/bin/pip" download --quiet --disable-pip-version-check --no-deps \
        --no-binary :all: --dest "$venv/source" llama-cpp-python==0.3.36
    tar -xzf "$venv"/source/*.tar.gz -C "$venv/source"
    converter=$(dirname "$(find "$venv/source" -name convert_hf_to_gguf.py)")
    # It needs torch and transformers, as the app does: $CONVERTER_PYTHON, else .venv (make).
    for kind in "" --mmproj; do
        "${CONVERTER_PYTHON:-$root/.venv/bin/python}" "$here/convert.py" "$converter" "$model" --outtype f16 \
            --outfile "$venv/model$kind.gguf" $kind
    done
    touch "$venv/.ready"
fi
exec "$venv/bin/python" "$here/serve.py" "$venv/model.gguf" "$venv/model--mmproj.gguf"
