"""`python -m qwen_demo` is `qwen-demo`."""

import sys

from qwen_demo.server.cli import main

if __name__ == "__main__":
    sys.exit(main(prog="python -m qwen_demo"))
