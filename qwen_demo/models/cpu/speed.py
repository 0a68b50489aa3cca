"""Which four-bit weights this CPU multiplies quickest, by a short measurement, and what that means for an answer."""

import functools
import logging
from dataclasses import dataclass

import torch
from torch import nn

from qwen_demo.models.cpu import nf4
from qwen_demo.models.cpu.int4 import Int4Linear
from qwen_demo.models.cpu.int8 import Int8Linear
from qwen_demo.models.cpu.layers import plain
from qwen_demo.models.cpu.nf4 import Nf4Linear
from qwen_demo.models.hub.catalog import KnownModel
from qwen_demo.models.machine import least_seconds

log = logging.getLogger(__name__)

# Small enough for runs that nothing else interrupts, even on a busy machine; larger than a core's cache.
SIDE, TIMES = 1024, 16
ROWS = 128
# What an answer is made of: so many tokens written for each ROWS read.
WRITTEN_FOR_READ = 32
# A photograph of 448 x 448 in the vision encoder, and with a question in the prompt.
PHOTO_PATCHES, PHOTO_TOKENS = 1024, 290
# NF4 is what checkpoints and other machines have; another kind must be quicker than this share of its time.
CLEARLY = 0.8


@dataclass(frozen=True, slots=True)
class Speed:
    """Seconds that a layer takes for each of its weights.

    Attributes:
        written: for one token that is written.
        read: for one token of a prompt.
    """

    written: float
    read: float

    @property
    def of_an_answer(self) -> float:
        return WRITTEN_FOR_READ * self.written + ROWS * self.read


@functools.cache
def measured(dtype: torch.dtype) -> dict[str, Speed]:
    """Of each kind of weights that this CPU has a product for; takes a fifth of a second."""
    weight = torch.linspace(-0.05, 0.05, SIDE * SIDE).view(SIDE, SIDE).to(torch.bfloat16)
    layers: dict[str, nn.Module] = {
        "int4": Int4Linear.of(weight, None),
        "int8": Int8Linear.of(weight),
        "none": plain(weight.to(dtype), None),
    }
    if nf4.has_fused_product():
        layers["nf4"] = Nf4Linear.of(weight, None)
    few, many = torch.ones(1, SIDE, dtype=dtype), torch.ones(ROWS, SIDE, dtype=dtype)
    return {
        kind: Speed(
            least_seconds(lambda layer=layer: layer(few), TIMES) / weight.numel(),
            least_seconds(lambda layer=layer: layer(many), TIMES) / weight.numel() / ROWS,
        )
        for kind, layer in layers.items()
    }


def quickest_four_bits(dtype: torch.dtype) -> str:
    """`nf4` or `int4`, said in the log."""
    speeds = measured(dtype)
    kind = "int4"
    speeds = {name: speeds[name] for name in ("int4", "nf4") if name in speeds}
    if "nf4" in speeds and CLEARLY * speeds["nf4"].of_an_answer <= speeds["int4"].of_an_answer:
        kind = "nf4"
    each = ", ".join(f"{name} {s.written * 1e12:.1f} and {s.read * 1e12:.1f}" for name, s in speeds.items())
    log.info(
        "four-bit weights on this CPU: %s, computed in %s (picoseconds a weight and token, written and read: %s)",
        kind,
        str(dtype).removeprefix("torch."),
        each,
    )
    return kind


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a user may expect.

    Attributes:
        first_token_s: of a question about a photograph of 448 x 448.
        tokens_per_s: of one answer after that.
    """

    first_token_s: float
    tokens_per_s: float


def expected(model: KnownModel, kind: str, dtype: torch.dtype) -> Expectation:
    """By the measured products alone, which are nearly all of the time."""
    speeds = measured(dtype)
    layers = speeds[{"nf4-vision": "nf4"}.get(kind, kind)]
    first = PHOTO_PATCHES * model.vision * speeds["none"].read + PHOTO_TOKENS * model.layers * layers.read
    return Expectation(first, 1 / (model.layers * layers.written + model.words * layers.written))
