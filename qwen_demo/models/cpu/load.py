"""A model on the CPU: which form its weights take here, from the cache of such forms or from the checkpoint."""

import ctypes
import logging
import sys
from functools import partial
from typing import Any

from qwen_demo.errors import ModelLoadError
from qwen_demo.models.checkpoint import FileQuantization
from qwen_demo.models.cpu import nf4
from qwen_demo.models.cpu.kept import KeptWeights
from qwen_demo.models.cpu.layers import WeightsPlan
from qwen_demo.models.cpu.reader import empty_model, read_into
from qwen_demo.models.cpu.speed import quickest_four_bits
from qwen_demo.models.reading import ReadingOrder

log = logging.getLogger(__name__)

READABLE = ("none", "nf4", "fp4", "int8", "gptq", "awq", "fp8")


def read(order: ReadingOrder) -> tuple[Any, str]:
    """The model, and how it is quantised.

    Raises:
        ModelLoadError: the files are quantised in a way that nothing here reads, or are damaged.
    """
    found = order.checkpoint.quantization
    kind = _kind(order, found)
    plan = WeightsPlan(kind, order.dtype)
    empty = partial(empty_model, order.config, order.dtype, order.attention)
    kept = KeptWeights.of(order, plan)
    model = kept.read(empty, order.progress) if kept else None
    if model is None:
        model = empty()
        read_into(model, order.checkpoint, plan, order.progress, order.merging)
        if kept is not None:
            kept.write(model, order.progress)
    give_back_memory()
    return model, label_of(kind, found)


def give_back_memory() -> None:
    """What reading took on the way goes back to the system, where the C library keeps it (glibc)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def label_of(kind: str, found: FileQuantization) -> str:
    """What people are told of the weights: what the files say, and what became of them here if it is something else."""
    if found.kind in ("none", kind):
        return kind
    return f"{kind} (files: {found.label})"


def _kind(order: ReadingOrder, found: FileQuantization) -> str:
    """The form that the weights take here."""
    asked = order.settings.quantization
    if found.kind == "none":
        if asked == "nf4" and not nf4.has_fused_product():
            log.warning(
                "this CPU has no quick product for NF4 (it needs AVX512-BF16): every token unpacks all weights; "
                "--quantization int4 is many times as fast"
            )
        return order.choice.quantization
    if found.kind not in READABLE:
        raise ModelLoadError(
            f"{order.choice.model_id} is quantised already ({found.label}), in a way that is not read here. Serve it with vLLM "
            "and put --engine remote --base-url before it; or give the unquantised model, which is quantised as it is loaded."
        )
    made = _of_files(found.kind, order)
    if asked not in ("auto", made, found.kind):
        raise ModelLoadError(
            f"{order.choice.model_id} is quantised already ({found.label}); --quantization {asked} cannot change that. Leave "
            "it away, or choose the unquantised model."
        )
    return made


def _of_files(found: str, order: ReadingOrder) -> str:
    """Of files that are quantised already: the form that is theirs, or the nearest that this CPU multiplies quickly."""
    if found == "int8":
        return "int8"
    if found in ("gptq", "awq"):
        return "int4"
    if found == "nf4":
        return "nf4" if nf4.has_fused_product() else "int4"
    return quickest_four_bits(order.dtype)
