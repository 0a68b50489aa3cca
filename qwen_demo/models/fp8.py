"""Linear layers in eight-bit floats (e4m3; Micikevicius et al. 2022, "FP8 formats for deep learning").

A weight has one scale for each of its rows, quantised once when the model is loaded; an activation one for each token,
found when it is there. Products are made by cards that have such units, with sums in float32. Embeddings, the output layer
and the vision encoder stay as they are.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from qwen_demo.errors import ModelLoadError

E4M3 = torch.float8_e4m3fn
LARGEST = 448.0  # of e4m3
# Rows of zeros have some scale, too.
LEAST = 1e-12
# Compute capability of Ada; Hopper and later have it, too.
CAPABILITY = (8, 9)


def refuse_elsewhere() -> None:
    """Raises `ModelLoadError` on machines without products of eight-bit floats."""
    found = torch.cuda.get_device_capability() if torch.cuda.is_available() else None
    if found is None or found < CAPABILITY:
        has = "no CUDA GPU was found" if found is None else f"this one has {found[0]}.{found[1]}"
        raise ModelLoadError(
            "--quantization fp8 needs an NVIDIA GPU of compute capability 8.9 or later (Ada, Hopper, Blackwell), and "
            f"{has}. Use nf4, int8 or none."
        )


def quantised(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """[rows, columns] -> the same in e4m3, and [rows, 1] float32 by which they are to be multiplied."""
    x = x.float()
    scales = x.abs().amax(-1, keepdim=True).clamp(min=LEAST) / LARGEST
    return (x / scales).clamp(-LARGEST, LARGEST).to(E4M3), scales


def product(
    x: torch.Tensor,
    x_scales: torch.Tensor,
    weight: torch.Tensor,
    weight_scales: torch.Tensor,
    bias: torch.Tensor | None,
    dtype: torch.dtype,
) -> torch.Tensor:
    """x @ weight.T + bias.

    Args:
        x: [rows, columns] e4m3; `x_scales` [rows, 1] float32.
        weight: [outputs, columns] e4m3; `weight_scales` [outputs, 1] float32.
        dtype: of the result.
    """
    if x.is_cuda:
        scales: dict[str, Any] = {"scale_a": x_scales, "scale_b": weight_scales.T}
        return torch._scaled_mm(x, weight.T, bias=bias, out_dtype=dtype, use_fast_accum=True, **scales)
    made = F.linear(x.float(), weight.float()) * x_scales * weight_scales.T
    return (made if bias is None else made + bias.float()).to(dtype)


class Fp8Linear(nn.Module):
    """Stands in for `nn.Linear`.

    Args:
        linear: whose weight is quantised; not kept.

    Attributes:
        weight: [out_features, in_features] e4m3.
        scales: [out_features, 1] float32.
        bias: as the layer had it.
    """

    scales: torch.Tensor

    def __init__(self, linear: nn.Linear):
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.compute_dtype = linear.weight.dtype
        weight, scales = quantised(linear.weight.data)
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.register_buffer("scales", scales)
        self.bias = linear.bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows, scales = quantised(x.reshape(-1, x.shape[-1]))
        made = product(rows, scales, self.weight, self.scales, self.bias, x.dtype)
        return made.view(*x.shape[:-1], self.out_features)


@torch.inference_mode()
def quantise(model: Any) -> None:
    """Replace the linear layers of a `Qwen2_5_VLForConditionalGeneration`'s decoder, one after another."""
    for layer in model.model.language_model.layers:
        for parent in list(layer.modules()):
            for name, module in list(parent.named_children()):
                if type(module) is nn.Linear:
                    setattr(parent, name, Fp8Linear(module))
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
