"""`transformers serve` where torchvision is a CUDA build beside a CPU build of torch.

    python -m benchmarks.transformers_serve qwen_demo/models/embedded --device cpu --dtype float32

Such a torchvision has no operators and no decoder of images; Pillow decodes in its place.
"""

import io
import sys

import numpy as np
import PIL.Image
import torch

from qwen_demo.models import torchvision_shim


def decode_image(encoded: torch.Tensor, mode=None, apply_exif_orientation: bool = False) -> torch.Tensor:
    """Stands for torchvision's function: bytes, uint8 (n,), to RGB, uint8 (3, height, width)."""
    image = PIL.Image.open(io.BytesIO(encoded.numpy().tobytes())).convert("RGB")
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()


def main() -> None:
    torchvision_shim.install()
    import torchvision.io
    from torchvision.io.image import _has_image_ops  # what torchvision itself asks

    if not _has_image_ops():
        torchvision.io.decode_image = decode_image
    from transformers.cli.transformers import main as command

    sys.argv.insert(1, "serve")
    command()


if __name__ == "__main__":
    main()
