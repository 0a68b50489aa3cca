"""The published models that this program knows by size: what they weigh on the hub, on the disk and in memory."""

from collections.abc import Mapping
from dataclasses import dataclass

GIB = 1 << 30
# Bytes for a weight. Four bits come with a scale for each block of 64.
LAYER_BYTES = {"none": 2.0, "int8": 1.0, "nf4": 0.53125, "nf4-vision": 0.53125, "int4": 0.5625}
VISION_BYTES = {"nf4-vision": 0.5625}
HEAD_BYTES = {"none": 2.0, "int8": 1.0}
# Of a process besides the weights: the libraries, keys and values of a few users, a large image on its way.
PROCESS_GIB = 1.5


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A published model.

    Attributes:
        layers, vision, words: weights of the language model's layers, the vision encoder and the table of words.
        tied: whether the output layer is the table of words.
    """

    model_id: str
    layers: int
    vision: int
    words: int
    tied: bool

    @property
    def download_bytes(self) -> int:
        """Of its files, which are bfloat16."""
        return 2 * (self.layers + self.vision + self.words * (1 if self.tied else 2))

    def cpu_bytes(self, kind: str, *, vision_bytes: float = 2.0) -> int:
        """Memory of the process on a CPU with weights of that kind.

        The table of words is mapped from its file, except where it is the output layer too and that is not quantised.
        """
        weights = self.layers * LAYER_BYTES[kind] + self.vision * VISION_BYTES.get(kind, vision_bytes)
        weights += self.words * (HEAD_BYTES.get(kind, LAYER_BYTES[kind]) if self.tied or kind != "none" else 4.0)
        return int(weights + PROCESS_GIB * GIB)


KNOWN: Mapping[str, KnownModel] = {
    model.model_id: model
    for model in (
        KnownModel("Qwen/Qwen2.5-VL-7B-Instruct", 6_525_621_760, 676_550_144, 544_997_376, tied=False),
        KnownModel("Qwen/Qwen2.5-VL-3B-Instruct", 2_774_773_760, 668_684_288, 311_164_928, tied=True),
    )
}
