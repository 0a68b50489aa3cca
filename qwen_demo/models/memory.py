"""How much memory Qwen2.5-VL needs, by size and quantisation.

Weights follow from the published shapes (`python -m benchmarks.memory` measures them); the rest of
a working process is one share for a large image and one for the keys and values of a few users.
"""

GIB = 1 << 30

# Weights on the device; the vision encoder is quantised in `nf4-vision` alone. fp8 is made from what `none` loads, and
# takes 9.4 and 5.0 afterwards.
WEIGHTS_GIB = {
    "Qwen/Qwen2.5-VL-7B-Instruct": {"none": 15.5, "int8": 9.5, "nf4": 6.5, "nf4-vision": 5.5, "fp8": 15.5},
    "Qwen/Qwen2.5-VL-3B-Instruct": {"none": 7.0, "int8": 4.6, "nf4": 3.3, "nf4-vision": 2.4, "fp8": 7.0},
}
WORKING_GIB = 2.5


def needed_gib(model_id: str, quantization: str) -> float:
    """GiB of free device memory with which `model_id` works for a few users at once."""
    return WEIGHTS_GIB[model_id][quantization] + WORKING_GIB


def largest_that_fits(free_bytes: int, quantization: str) -> str | None:
    """The largest known model whose needs `free_bytes` covers, or None."""
    for model_id in WEIGHTS_GIB:
        if needed_gib(model_id, quantization) * GIB <= free_bytes:
            return model_id
    return None
