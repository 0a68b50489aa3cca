"""Makes PyPI's torchvision importable beside a CPU build of torch, in every process of vLLM's environment.

cpu.sh puts it there with `qwen_demo/models/torchvision_shim.py` and a line that loads it at each start of Python.
The operators are declared when something looks torchvision up, so that processes without it do not load torch.
"""

import sys


class _BeforeTorchvision:
    """Stays in place: whoever only asks whether torchvision is there must not use it up."""

    busy = False

    def find_spec(self, name, path=None, target=None):
        if name == "torchvision" and not self.busy:
            self.busy = True
            try:
                import torchvision_shim

                torchvision_shim.install()
            finally:
                self.busy = False


sys.meta_path.insert(0, _BeforeTorchvision())
