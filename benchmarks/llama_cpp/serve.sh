#!/usr/bin/env bash
# llama.cpp's server on the CPU, a peer for benchmarks/servers.py (the embedded model) and benchmarks/cpu.py.
#
#     benchmarks/llama_cpp/serve.sh           on 127.0.0.1:8081; PORT, SLOTS, CONTEXT, THREADS change it
#     benchmarks/llama_cpp/serve.sh prepare   no more than what the first start does
#
# The first start makes an environment in $LLAMA_VENV (300 MB), and converts the checkpoint $MODEL to GGUF of $OUTTYPE
# (f16, q4_0) in $GGUF. The converter comes with the source of llama-cpp-python, the server is the library xllamacpp, of
# the same code; it is built for AVX2.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
venv=${LLAMA_VENV:-$root/.cache/llama-cpp}
model=${MODEL:-$root/qwen_demo/models/embedded}
gguf=${GGUF:-$venv}

if [ ! -e "$venv/.installed" ]; then
    "${PYTHON:-python3}" -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check xllamacpp==2026.10.11549
    "$venv/bin/pip" download --quiet --disable-pip-version-check --no-deps \
        --no-binary :all: --dest "$venv/source" llama-cpp-python==0.3.36
    tar -xzf "$venv"/source/*.tar.gz -C "$venv/source"
    touch "$venv/.installed"
fi
if [ ! -e "$gguf/.ready" ]; then
    mkdir -p "$gguf"
    converter=$(dirname "$(find "$venv/source" -name convert_hf_to_gguf.py)")
    # It needs torch and transformers, as the app does: $CONVERTER_PYTHON, else .venv (make).
    for kind in "" --mmproj; do
        "${CONVERTER_PYTHON:-$root/.venv/bin/python}" "$here/convert.py" "$converter" "$model" \
            --outtype "${OUTTYPE:-f16}" --outfile "$gguf/model$kind.gguf" $kind
    done
    touch "$gguf/.ready"
fi
[ "${1:-}" = prepare ] || exec "$venv/bin/python" "$here/serve.py" "$gguf/model.gguf" "$gguf/model--mmproj.gguf"
