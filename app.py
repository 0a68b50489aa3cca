"""Start the demo: `python app.py`, here or on a Hugging Face Space. `--help` lists every setting."""

import contextlib
import sys

with contextlib.suppress(ImportError):
    import spaces  # noqa: F401  on ZeroGPU it must come before torch

from qwen_demo.server.cli import run

if __name__ == "__main__":
    sys.exit(run("serve", sys.argv[1:], prog="python app.py"))
