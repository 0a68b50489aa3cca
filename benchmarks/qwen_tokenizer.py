"""Qwen2.5's own tokenizer, with the ids of the hub, from the ranks that the package dashscope carries.

Wanted where only a large vocabulary shows: characters split over tokens, grammars over 151,657 words. The package is a
requirement of the tests alone; its code is not imported.
"""

import base64
import itertools
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import BPE

# Words are split before ranks count; numbers go digit by digit (Qwen2.5 technical report, section 2).
WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# In the order of their ids, from 151,643 on.
SPECIAL = (
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>"),
    *("<|box_start|>", "<|box_end|>", "<|quad_start|>", "<|quad_end|>"),
    *("<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"),
)
# The model gives more logits than there are tokens.
LOGITS = 152_064


def ranks() -> dict[bytes, int]:
    """Bytes of each ordinary token and its id."""
    spec = find_spec("dashscope")
    assert spec and spec.origin, "pip install -r requirements-dev.txt"
    file = Path(spec.origin).parent / "resources" / "qwen.tiktoken"
    lines = (line.split() for line in file.read_bytes().splitlines() if line)
    return {base64.b64decode(token): int(rank) for token, rank in lines}


def tokenizer() -> Any:
    """As transformers loads it: a `PreTrainedTokenizerFast`."""
    from transformers import PreTrainedTokenizerFast

    letters = _letters()
    known = ranks()
    written = {token: "".join(map(letters.__getitem__, token)) for token in known}
    merges = [(written[a], written[b]) for a, b in _merges(known)]
    made = Tokenizer(BPE(vocab={written[token]: rank for token, rank in known.items()}, merges=merges))
    made.normalizer = normalizers.NFC()
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORDS), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    return PreTrainedTokenizerFast(tokenizer_object=made, eos_token="<|im_end|>", pad_token="<|endoftext|>")


def _letters() -> list[str]:
    """A printable character for each byte, as GPT-2's vocabularies have it."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    places = dict(zip(others, range(256, 512), strict=False))
    return [chr(places.get(byte, byte)) for byte in range(256)]


def _merges(known: dict[bytes, int]) -> Iterator[tuple[bytes, bytes]]:
    """The two tokens of which each longer one is made, in the order of ids."""
    never = len(known)
    for token, rank in sorted(known.items(), key=lambda item: item[1]):
        parts = [bytes([byte]) for byte in token]
        while len(parts) > 2:
            joined = [known.get(a + b, never) for a, b in itertools.pairwise(parts)]
            first = min(joined)
            if first >= rank:
                break
            place = joined.index(first)
            parts[place : place + 2] = [parts[place] + parts[place + 1]]
        if len(parts) == 2:
            yield parts[0], parts[1]
