"""oneDNN's products for many rows on a CPU that computes in float32: of weights in its own layout, and of eight-bit numbers.

With AVX2 alone float32 products run at the processor's limit, so that reading a prompt cannot be made quicker in float32.
Products of eight-bit numbers take half as long there, and a fourth with AVX512-VNNI. Rows are quantised as they come, each
with a scale of its own, so that none depends on the others; what stands out of a row is multiplied in float32 (Dettmers et
al. 2022, LLM.int8).
"""

import functools
import logging
from dataclasses import dataclass
from typing import Any

import torch

log = logging.getLogger(__name__)

# Largest numbers of rows and of weights. AVX2's product adds two products of unsigned and signed bytes in sixteen bits
# and saturates: 2 * (2 * 90) * 90 is below 2 ** 15.
LARGEST = 90
# What exceeds so many root mean squares of its row is multiplied in float32; none of a normal distribution does.
STANDS_OUT = 10.0
# How often the mean is taken again of what does not stand out.
TRIMMED = 4
TRIED = (40, 256, 48)  # rows, inputs and outputs


def linear(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """x @ weight.T in float32, for [rows, in] and [out, in].

    Through a layout that is made for this product alone, which pays from some hundred rows on.
    """
    packed = torch.ops.mkldnn._reorder_linear_weight(weight, x.shape[0])
    product: Any = torch.ops.mkldnn._linear_pointwise
    made: torch.Tensor = product(x, packed, None, "none", [], "")
    return made


@functools.cache
def has_linear() -> bool:
    """Whether this PyTorch has what `linear` calls."""
    operators = torch.ops.mkldnn
    named = all(hasattr(operators, name) for name in ("_linear_pointwise", "_reorder_linear_weight"))
    return torch.backends.mkldnn.is_available() and named


@dataclass(frozen=True, slots=True)
class QuantizedRows:
    """x = (numbers - LARGEST) * scale, and what that leaves of the columns in which something stands out.

    Attributes:
        numbers: [rows, in] uint8.
        scale: [rows, 1] float32.
        columns: [outliers] int64, None if there are none.
        rest: [rows, outliers] float32, zero where nothing stands out of that row.
    """

    numbers: torch.Tensor
    scale: torch.Tensor
    columns: torch.Tensor | None = None
    rest: torch.Tensor | None = None

    @classmethod
    def of(cls, x: torch.Tensor) -> "QuantizedRows":
        """Of [rows, in] float32."""
        sizes = x.abs()
        largest = sizes.amax(-1, keepdim=True)
        limit = _limit(sizes)
        if (largest > limit).any():
            # One input a thousand times the others' size moves the mean itself.
            for _ in range(TRIMMED):
                limit = _limit(torch.minimum(sizes, limit, out=sizes))
        scale = torch.minimum(largest, limit).div_(LARGEST).clamp_(min=1e-30)
        whole = x / scale
        columns = (torch.maximum(whole.amax(0), -whole.amin(0)) > LARGEST + 0.5).nonzero()[:, 0]
        whole.round_().clamp_(-LARGEST, LARGEST)
        # Signed first: PyTorch has a quick conversion for that alone.
        numbers = whole.to(torch.int8).view(torch.uint8).add_(LARGEST)
        if not len(columns):
            return cls(numbers, scale)
        # What stands out of another row only stays rounded here: a row's result does not depend on its neighbours.
        own = x[:, columns]
        rest = own - whole[:, columns] * scale
        return cls(numbers, scale, columns, rest.masked_fill_(own.abs() <= (LARGEST + 0.5) * scale, 0.0))

    def times(self, numbers: torch.Tensor, scale: torch.Tensor, out: torch.Tensor) -> None:
        """The product with some outputs' weights, without what stands out.

        Args:
            numbers: [in, outputs] int8, contiguous, from -LARGEST to LARGEST.
            scale: [outputs] float32.
            out: [rows, outputs] float32, whose rows may be apart.
        """
        product: Any = torch.ops.onednn.qlinear_pointwise
        zero = torch.zeros(len(scale), dtype=torch.int64)
        made = product(
            self.numbers, 1.0, LARGEST, numbers.to_mkldnn(), scale, zero, None, 1.0, 0, torch.float32, "none", [], ""
        )
        torch.mul(made, self.scale, out=out)


def _limit(sizes: torch.Tensor) -> torch.Tensor:
    """Of [rows, in], [rows, 1]."""
    return torch.linalg.vector_norm(sizes, dim=-1, keepdim=True).mul_(STANDS_OUT / sizes.shape[1] ** 0.5)


@functools.cache
def multiplies_bytes() -> bool:
    """Whether products of eight-bit numbers run here, are exact, and so quicker than float32's: with AVX2 at least.

    Their weights are passed in a layout of which nothing is known on other processors.
    """
    if torch.backends.cpu.get_cpu_capability() not in ("AVX2", "AVX512") or not torch.backends.mkldnn.is_available():
        return False
    if not hasattr(torch.ops.onednn, "qlinear_pointwise"):
        return False
    rows, inputs, outputs = TRIED
    x = torch.full((rows, inputs), float(LARGEST))
    x[:, 1::3] = -1
    numbers = torch.full((inputs, outputs), LARGEST, dtype=torch.int8)
    numbers[:, ::2] *= -1
    numbers[2::5] = 1
    out = torch.empty(rows, outputs)
    try:
        QuantizedRows.of(x).times(numbers, torch.ones(outputs), out)
    except RuntimeError:
        log.warning("products of eight-bit numbers do not run here; prompts are read in float32", exc_info=True)
        return False
    return torch.equal(out, x @ numbers.float())
