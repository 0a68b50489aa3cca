"""What the base says itself, learnt along, so that a narrow lesson does not cost what it knew before.

Half of these questions are about images that are learnt, so that a new image does not mean the new answer whatever is
asked; half about images of our own. What the base answers to them before the first update is what it learns to keep.
"""

import itertools
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from qwen_demo.finetune.base import Base
from qwen_demo.finetune.batches import PixelStore
from qwen_demo.finetune.encoding import END, Encoded, encoded, opened
from qwen_demo.finetune.judging import answer_ids
from qwen_demo.finetune.rows import ImageFile, Row, RowTurn
from qwen_demo.media import MediaLoader

QUESTIONS = (
    "Describe the image.",
    "Read the text.",
    "What objects are in the image?",
    "What is the first word?",
    "How many objects are there?",
    "What do you see?",
    "What is written there?",
    "Which colours are there?",
)
MOST_TOKENS = 48  # of an answer; what is longer is no short memory


async def questions(
    rows: Sequence[Encoded], own: Sequence[Path], count: int, base: Base, store: PixelStore
) -> list[Encoded]:
    """`count` of them, with no answer yet."""
    learnt = list(dict.fromkeys(image for row in rows for image in row.row.images if not image.is_url))
    ours = [ImageFile(str(path), path.name) for path in own]
    pairs = itertools.chain.from_iterable(itertools.zip_longest(_asked(learnt), _asked(ours)))
    found = []
    async with aclosing(MediaLoader.of(base.settings)) as loader:
        for pair in itertools.islice((pair for pair in pairs if pair), count):
            image, question = pair
            row = Row((RowTurn("user", (image, question)), RowTurn("assistant", ("?",), True)), image.name, "train")
            media = await opened(row, loader, [image.path.parent])
            fit, pixels = encoded(row, media, base, "processed")
            store.keep(fit, pixels)
            found.append(fit)
    return found


def _asked(images: Sequence[ImageFile]) -> list[tuple[ImageFile, str]]:
    """Every image with every question, so that neighbours differ in both."""
    turns = range(len(QUESTIONS))
    return [(image, QUESTIONS[(at + turn) % len(QUESTIONS)]) for turn in turns for at, image in enumerate(images)]


def answered(model: Any, rows: Sequence[Encoded], store: PixelStore, features: Any, base: Base) -> list[Encoded]:
    """`rows` with what the base says; those that it does not end are left out."""
    tokens = base.prompts.tokenizer
    end = tokens.convert_tokens_to_ids(END)
    found = []
    with model.disable_adapter():
        for row in rows:
            # Its very tokens: a model that spells what it reads would forget that over the same text in longer ones.
            ids = answer_ids(model, row, store, features, MOST_TOKENS)
            if not 0 < len(ids) < MOST_TOKENS:
                continue
            turns = (row.row.turns[0], replace(row.row.turns[1], parts=(tokens.decode(ids),)))
            whole = np.concatenate([row.ids[: row.prompt_tokens], np.array([*ids, end], np.int32)])
            span = ((row.prompt_tokens, len(whole)),)
            found.append(replace(row, row=replace(row.row, turns=turns), ids=whole, spans=span))
    return found
