"""Matrix products of the fast paths: the weights of several modules in one product, packed where it pays.

On the CPU oneDNN's packed weights take two thirds of MKL's time or less, add activations and
residuals on the way, and give a row the same bits whatever the batch; MKL does not below four rows.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from qwen_demo.engines.batching.model.adapter_rows import Ordered, Rows
from qwen_demo.engines.batching.model.adapter_sites import LayerSites
from qwen_demo.models import fp8

ROWS_HINT = 32
PACKED_BYTES = 1 << 30
# GPU products are several times slower where rows are not whole vectors of 16 bytes; these are whole tiles.
ALIGNED, WHOLE = 8, 128


class Plain:
    """x @ weight.T + bias for the stacked weights of `modules`.

    The modules' own weights become views into the stack, so nothing is held twice.
    """

    def __init__(self, *modules: nn.Linear):
        self.weight: torch.Tensor = modules[0].weight
        self.bias: torch.Tensor | None = modules[0].bias
        if len(modules) > 1:
            self.weight = torch.cat([m.weight.data for m in modules])
            self.bias = None if modules[0].bias is None else torch.cat([m.bias.data for m in modules])
            start = 0
            for module in modules:
                stop = start + module.out_features
                module.weight.data = self.weight[start:stop]
                if self.bias is not None:
                    module.bias.data = self.bias[start:stop]
                start = stop

    @classmethod
    def of(cls, weight: torch.Tensor, bias: torch.Tensor | None) -> "Plain":
        made = cls.__new__(cls)
        made.weight, made.bias = weight, bias
        return made

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return F.linear(x, self.weight, self.bias)

    def add(self, x: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
        return residual + self(x)


class Packed:
    """The same through oneDNN with weights in its own layout; fp32 on the CPU."""

    _product: Any = getattr(torch.ops.mkldnn, "_linear_pointwise", None)

    def __init__(self, *modules: nn.Linear):
        weight = torch.cat([m.weight.data for m in modules])
        self.weight = torch.ops.mkldnn._reorder_linear_weight(weight, ROWS_HINT)
        self.bias = None if modules[0].bias is None else torch.cat([m.bias.data for m in modules])

    @staticmethod
    def available() -> bool:
        operators = torch.ops.mkldnn
        return torch.backends.mkldnn.is_available() and all(
            hasattr(operators, name) for name in ("_linear_pointwise", "_reorder_linear_weight")
        )

    def __call__(self, x: torch.Tensor, activation: str = "none") -> torch.Tensor:
        return self._product(x, self.weight, self.bias, activation, [], "")

    def add(self, x: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
        return self._product.binary(x, residual, self.weight, self.bias, "add")

    def mul(self, x: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
        return self._product.binary(x, factor, self.weight, self.bias, "mul")


class FusedNf4:
    """The stacked NF4 weights of `modules` in one bitsandbytes product: the same codes and the same scales.

    Scales are kept as float32 instead of being quantised again themselves: products are faster
    for 0.09 bytes a weight. The modules' codes and scales become views into the stack: small tensors
    that stayed would keep the allocator from giving back the gaps that the large ones leave around them.
    """

    def __init__(self, *modules: Any):
        import bitsandbytes as bnb
        from bitsandbytes.functional import QuantState, dequantize_blockwise

        states = [m.weight.quant_state for m in modules]
        absmax = [dequantize_blockwise(s.absmax, s.state2).float() + s.offset if s.nested else s.absmax for s in states]
        self._product = bnb.matmul_4bit
        self.codes = torch.cat([m.weight.data.view(-1, 1) for m in modules])
        rows, columns = sum(s.shape[0] for s in states), states[0].shape[1]
        self.state = QuantState(
            absmax=torch.cat(absmax),
            shape=torch.Size((rows, columns)),
            code=states[0].code,
            blocksize=states[0].blocksize,
            quant_type=states[0].quant_type,
            dtype=states[0].dtype,
        )
        self.bias = None if modules[0].bias is None else torch.cat([m.bias.data for m in modules])
        codes = self.codes.split([m.weight.data.numel() for m in modules])
        scales = self.state.absmax.split([len(part) for part in absmax])
        for module, state, code, scale in zip(modules, states, codes, scales, strict=True):
            module.weight.data = code
            state.absmax, state.nested, state.state2, state.offset = scale, False, None, None

    @staticmethod
    def fits(modules: Sequence[Any]) -> bool:
        """Whether all are 4-bit layers of one kind, in blocks that do not cross rows."""
        if any(type(m).__name__ != "Linear4bit" or m.weight.quant_state is None for m in modules):
            return False
        states = [m.weight.quant_state for m in modules]
        kinds = {(s.blocksize, s.quant_type, s.dtype, m.compute_dtype) for m, s in zip(modules, states, strict=True)}
        whole = all(s.shape[1] % s.blocksize == 0 for s in states)
        return len(kinds) == 1 and whole and states[0].dtype == modules[0].compute_dtype

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return self._product(x, self.codes, quant_state=self.state, bias=self.bias)

    def add(self, x: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
        return residual + self(x)


class Fp8:
    """The stacked weights of `Fp8Linear` modules, whose own become views. Its input may be quantised already."""

    def __init__(self, *modules: Any):
        self.weight: torch.Tensor = modules[0].weight.data
        self.scales: torch.Tensor = modules[0].scales
        self.bias: torch.Tensor | None = modules[0].bias
        self.dtype: torch.dtype = modules[0].compute_dtype
        if len(modules) > 1:
            # Concatenated as bytes: not every operator knows the type.
            self.weight = torch.cat([m.weight.data.view(torch.uint8) for m in modules]).view(fp8.E4M3)
            self.scales = torch.cat([m.scales for m in modules])
            self.bias = None if modules[0].bias is None else torch.cat([m.bias.data for m in modules])
            sizes = [m.out_features for m in modules]
            for m, weight, scales in zip(modules, self.weight.split(sizes), self.scales.split(sizes), strict=True):
                m.weight.data, m.scales = weight, scales

    def __call__(self, x: "torch.Tensor | tuple[torch.Tensor, torch.Tensor]") -> torch.Tensor:
        rows, scales = x if isinstance(x, tuple) else fp8.quantised(x)
        return fp8.product(rows, scales, self.weight, self.scales, self.bias, self.dtype)

    def add(self, x: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
        return residual + self(x)


class Stacked:
    """Compact weights of `models/cpu` in one product: threads are woken once for all of `modules`, whose weights become
    views into the stack.
    """

    def __init__(self, *modules: Any):
        self._module = modules[0] if len(modules) == 1 else type(modules[0]).stacked(modules)

    @staticmethod
    def fits(modules: Sequence[Any]) -> bool:
        """Whether all are of one kind that can be stacked."""
        kinds = {type(module) for module in modules}
        return len(kinds) == 1 and hasattr(modules[0], "can_be_stacked") and type(modules[0]).can_be_stacked(modules)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = self._module(x)
        return made

    def add(self, x: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
        return residual + self(x)


class Modules:
    """The modules themselves, called in turn: quantised weights stay as their library keeps them."""

    def __init__(self, *modules: nn.Module):
        self.modules = modules

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        made = [module(x) for module in self.modules]
        return made[0] if len(made) == 1 else torch.cat(made, dim=-1)

    def add(self, x: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
        return residual + self(x)


class GatedMlp:
    """down(silu(gate(x)) * up(x)) + residual.

    Attributes:
        silu_and_mul: silu(first half of the columns) * second half; a kernel may take its place.
    """

    def __init__(self, mlp: Any, kind: type):
        self._packed = kind is Packed
        self.silu_and_mul = silu_and_mul
        if kind is Plain and mlp.gate_proj.weight.is_cuda and mlp.gate_proj.out_features % ALIGNED:
            self.gate_up, self.down = padded(mlp)
            return
        self.down = kind(mlp.down_proj)
        if self._packed:
            self._gate, self._up = kind(mlp.gate_proj), kind(mlp.up_proj)
        else:
            self.gate_up = kind(mlp.gate_proj, mlp.up_proj)

    def add(self, x: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
        if self._packed:
            return self.down.add(self._up.mul(x, self._gate(x, "swish")), residual)
        return self.down.add(self.silu_and_mul(self.gate_up(x)), residual)

    def adapted(self, x: torch.Tensor, residual: torch.Tensor, sites: LayerSites, rows: Rows) -> torch.Tensor:
        """As `add`, with low-rank products beside. Rows without an adapter get the same bits as without any."""
        if self._packed and isinstance(rows, Ordered) and (others := rows.others):
            made = self.adapted(x[others:], residual[others:], sites, rows.inner)
            return torch.cat([self.add(x[:others], residual[:others]), made])
        if self._packed:
            gate, up = self._gate(x), self._up(x)
            sites.gate_up.add_to((gate, up), x, rows)
            opened = F.silu(gate, inplace=True).mul_(up)
        else:
            opened = self.silu_and_mul(sites.gate_up.add(self.gate_up(x), x, rows))
        return sites.down.add(self.down.add(opened, residual), opened, rows)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Without the residual; not for packed weights."""
        return self.down(self.silu_and_mul(self.gate_up(x)))


def silu_and_mul(both: torch.Tensor) -> torch.Tensor:
    """[rows, 2 * width], gates first -> [rows, width]."""
    gate, up = both.chunk(2, dim=-1)
    return F.silu(gate) * up


def padded(mlp: Any) -> tuple[Plain, Plain]:
    """The gate-and-up and the down product of an MLP whose width does not suit a GPU, with columns of zeros added.

    silu(0) * 0 is 0, so results are the same. The modules' weights become views.
    """
    width, narrow = mlp.gate_proj.weight.shape
    whole = -(-width // WHOLE) * WHOLE
    both = mlp.gate_proj.weight.new_zeros(2 * whole, narrow)
    bias = None if mlp.gate_proj.bias is None else both.new_zeros(2 * whole)
    for module, start in ((mlp.gate_proj, 0), (mlp.up_proj, whole)):
        both[start : start + width] = module.weight.data
        module.weight.data = both[start : start + width]
        if bias is not None:
            bias[start : start + width] = module.bias.data
            module.bias.data = bias[start : start + width]
    down = mlp.down_proj.weight.new_zeros(mlp.down_proj.weight.shape[0], whole)
    down[:, :width] = mlp.down_proj.weight.data
    mlp.down_proj.weight.data = down[:, :width]
    return Plain.of(both, bias), Plain.of(down, None if mlp.down_proj.bias is None else mlp.down_proj.bias.data)


def kind_for(module: nn.Module) -> type:
    """Which of these serves the linear layers inside `module`."""
    # Layers with weights of their own kind, such as those of models/cpu, have these attributes too.
    linears: list[Any] = [m for m in module.modules() if hasattr(m, "in_features") and hasattr(m, "out_features")]
    if linears and all(type(m) is fp8.Fp8Linear for m in linears):
        return Fp8
    if linears and Stacked.fits(linears):
        return Stacked
    if any(type(m) is not nn.Linear for m in linears):
        # On the CPU bitsandbytes repacks a module's weights at its first call.
        on_cuda = all(m.weight.device.type == "cuda" for m in linears)
        return FusedNf4 if on_cuda and FusedNf4.fits(linears) else Modules
    weights = [m.weight for m in linears]
    on_cpu = all(w.device.type == "cpu" and w.dtype == torch.float32 for w in weights)
    # Packed weights are a second copy, which only a small model may have.
    if on_cpu and Packed.available() and sum(w.nbytes for w in weights) <= PACKED_BYTES:
        return Packed
    return Plain
