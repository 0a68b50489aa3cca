"""Start the demo: `python app.py`, here or on a Hugging Face Space. `--help` lists every setting."""

import contextlib
import sys

with contextlib.suppress(ImportError):
    import spaces  # noqa: F401  on ZeroGPU it must come before torch

from qwen_demo.errors import SettingsError
from qwen_demo.server.app import serve
from qwen_demo.settings import load_settings


def main() -> int:
    try:
        return serve(load_settings(sys.argv[1:]))
    except SettingsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
