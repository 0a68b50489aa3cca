"""Lets `torchvision` import beside a torch build that its compiled half does not fit.

PyPI's torchvision is built for CUDA. Next to a CPU build of torch its library of operators
cannot be loaded and the import fails at once, though transformers' image and video processors
need its pure-Python transforms only. Declaring the two operators that the import looks up is
enough. Where the real operators load, nothing is done.
"""

import importlib.util
from pathlib import Path

import torch

_declared: torch.library.Library | None = None  # torch drops the operators with the last reference


def install() -> None:
    """Declare the missing operators, once, before anything imports torchvision."""
    global _declared
    spec = importlib.util.find_spec("torchvision")
    if _declared is not None or spec is None or spec.origin is None:
        return
    for library in Path(spec.origin).parent.glob("_C*"):
        try:
            torch.ops.load_library(str(library))
        except OSError:
            continue
        return
    _declared = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        _declared.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
