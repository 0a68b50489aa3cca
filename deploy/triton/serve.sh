#!/bin/sh
# Triton Inference Server with our engine in it: deploy/triton/serve.sh --port 8001 -- --engine batching --model auto
# Needs Debian's own Python 3.11 with libpython3.11 (Triton's stub wants that library and its standard library) and the
# program's environment, .venv of `make run`, made with any Python 3.11.
set -eu
cd "$(dirname "$0")/../.."
own=${TRITON_VENV:-.cache/tools/pytriton}
[ -x "$own/bin/python" ] || /usr/bin/python3.11 -m venv "$own"
[ -d "$own/lib/python3.11/site-packages/pytriton" ] || "$own/bin/python" -m pip install -q nvidia-pytriton==0.7.0
# PyTriton's packages come first: its client is compiled for an older numpy.
PYTHONPATH="$PWD:$(realpath "$own")/lib/python3.11/site-packages:$PWD/.venv/lib/python3.11/site-packages"
export PYTHONPATH
exec "$own/bin/python" deploy/triton/serve.py "$@"
