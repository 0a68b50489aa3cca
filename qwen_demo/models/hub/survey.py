"""What models would need on this machine and how quick they would be.

Told by a process of its own (`python -m qwen_demo.models.hub.survey`), as it takes PyTorch, which the front does not
load, and a measurement of a fifth of a second.
"""

import asyncio
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from qwen_demo.errors import ModelLoadError
from qwen_demo.models import machine, memory
from qwen_demo.models.hub.catalog import GIB, KnownModel
from qwen_demo.models.hub.sizes import known_sizes
from qwen_demo.sentences import Sentence
from qwen_demo.settings import environment_without_secrets

# A machine that is busy with an answer takes long to load PyTorch.
TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """Of one model on one machine.

    Attributes:
        needed_bytes: memory of the device, with a few users at once.
        first_token_s: of a question about a photograph of 448 x 448; None where it was not measured.
        tokens_per_s: of one answer after that.
    """

    needed_bytes: int
    first_token_s: float | None = None
    tokens_per_s: float | None = None


@dataclass(frozen=True, slots=True)
class Survey:
    """What this machine computes on.

    Attributes:
        kind: of weights that `--quantization auto` takes for a full-size model.
        free_bytes, total_bytes: memory of the device: the CPU's is the machine's, or its container's.
        models: by hub id or folder; those whose sizes nobody knows are missing.
    """

    device: str
    kind: str
    free_bytes: int
    total_bytes: int
    models: Mapping[str, Estimate] = field(default_factory=dict)

    def free_now(self) -> int:
        """Bytes that are free by now; of a GPU those of the survey."""
        return machine.available_memory() if self.device == "cpu" else self.free_bytes

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Survey":
        read = json.loads(text)
        return cls(**{**read, "models": {name: Estimate(**each) for name, each in read["models"].items()}})


def take(models: Sequence[str]) -> Survey:
    """Look here and now, with PyTorch in this process."""
    device = machine.device()
    kind = kind_here(device)
    sizes = {name: known_sizes(name) for name in models}
    return Survey(
        device,
        kind,
        machine.free_memory(device),
        machine.total_memory(device),
        {name: estimate(known, kind, device) for name, known in sizes.items() if known},
    )


def kind_here(device: str) -> str:
    """The weights that `--quantization auto` takes here for a full-size model."""
    if device.startswith("cuda"):
        return "nf4"
    if device != "cpu":
        return "none"
    from qwen_demo.models.cpu.speed import quickest_four_bits

    return quickest_four_bits(machine.dtype_for(device, small=False))


def estimate(model: KnownModel, kind: str, device: str) -> Estimate:
    """A small model keeps whole weights, see `choose`."""
    from qwen_demo.models.choose import SMALL_BYTES

    small = model.download_bytes < SMALL_BYTES
    if device.startswith("cuda"):
        published = model.model_id in memory.WEIGHTS_GIB
        weights = memory.needed_gib(model.model_id, kind) * GIB if published else model.download_bytes + 2 * GIB
        return Estimate(int(weights))
    needed = model.cpu_bytes("none" if small else kind)
    if device != "cpu" or small:  # a small one's time is not that of its products
        return Estimate(needed)
    from qwen_demo.models.cpu.speed import expected

    quick = expected(model, kind, machine.dtype_for("cpu", small=False))
    return Estimate(needed, quick.first_token_s, quick.tokens_per_s)


async def ask(models: Sequence[str]) -> Survey:
    """The same, by a process of its own.

    Raises:
        ModelLoadError: it failed.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",
        "-m",
        "qwen_demo.models.hub.survey",
        *models,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        # The program may have been started from another folder than its own.
        env=environment_without_secrets() | {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))},
    )
    try:
        async with asyncio.timeout(TIMEOUT_S):
            told, errors = await process.communicate()
    except BaseException:
        if process.returncode is None:
            process.kill()
        await process.wait()
        raise
    if process.returncode:
        last = errors.decode(errors="replace").strip().rpartition("\n")[2]
        raise ModelLoadError(Sentence("This machine could not be measured: {why}", why=last))
    return Survey.from_json(told.decode())


if __name__ == "__main__":
    print(take(sys.argv[1:]).to_json())
