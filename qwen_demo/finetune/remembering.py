"""What the base says itself is held to, so that a narrow lesson does not cost what it knew before.

Half of these questions are about images that are learnt, so that a new image does not mean the new answer whatever is
asked; half about images of our own. The base answers them before the first update. In each update a few of the answers
are read again, and how far their words' probabilities have moved (Kullback-Leibler, from the base's) is part of the
loss: distillation from itself, as in Learning without Forgetting (Li and Hoiem, 2016). Only the base's likeliest words
are told apart, so that an answer takes kilobytes of a vocabulary of 152,000.
"""

import itertools
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from qwen_demo.finetune.base import Base
from qwen_demo.finetune.batches import NOT_LEARNT, Collator, PixelStore, model_inputs
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
ANSWERS = 48
MOST_TOKENS = 48  # of an answer; what is longer is no short memory
LIKELIEST = 64  # words
LEAST = 1e-6  # of a probability whose logarithm is taken


async def questions(
    rows: Sequence[Encoded], own: Sequence[Path], count: int, base: Base, store: PixelStore
) -> list[Encoded]:
    """`count` of them, with no answer yet. What the data asks itself is left out: there its answers hold."""
    taught = {_plain(row.row.question) for row in rows}
    texts = [text for text in QUESTIONS if _plain(text) not in taught]
    learnt = list(dict.fromkeys(image for row in rows for image in row.row.images if not image.is_url))
    ours = [ImageFile(str(path), path.name) for path in own]
    pairs = itertools.chain.from_iterable(itertools.zip_longest(_asked(learnt, texts), _asked(ours, texts)))
    found = []
    async with aclosing(MediaLoader.of(base.settings)) as loader:
        for pair in itertools.islice((pair for pair in pairs if pair), count):
            image, question = pair
            row = Row((RowTurn("user", (image, question)), RowTurn("assistant", ("?",), True)), image.name, "train")
            media = await opened(row, loader, [image.path.resolve().parent])  # the data may be links
            fit, pixels = encoded(row, media, base, "processed")
            store.keep(fit, pixels)
            found.append(fit)
    return found


def _asked(images: Sequence[ImageFile], texts: Sequence[str]) -> list[tuple[ImageFile, str]]:
    """Every image with every question, so that neighbours differ in both."""
    turns = range(len(texts))
    return [(image, texts[(at + turn) % len(texts)]) for turn in turns for at, image in enumerate(images)]


def _plain(text: str) -> str:
    return " ".join(text.lower().split()).rstrip(".?! ")


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


@dataclass(frozen=True, slots=True)
class Known:
    """An answer of the base's own, and how likely it held its `LIKELIEST` words in the place of each of its tokens.

    Attributes:
        words: [tokens, LIKELIEST] int64, ids.
        logprobs: the same shape, float32.
    """

    row: Encoded
    words: torch.Tensor
    logprobs: torch.Tensor


class Memory:
    """What is held to, a few rows at a time, in an order of its own."""

    def __init__(self, known: Sequence[Known], store: PixelStore, features: Any, seed: int):
        self.known = [known[at] for at in np.random.default_rng(seed).permutation(len(known))]
        self._store, self._features = store, features

    @classmethod
    @torch.no_grad()
    def of(cls, model: Any, rows: Sequence[Encoded], store: PixelStore, features: Any, seed: int) -> "Memory":
        """
        Args:
            model: a `PeftModel`, whose base is asked.
            rows: as `answered` gives them.
        """
        memory, known = cls([], store, features, seed), []
        with model.disable_adapter():
            for row in rows:
                found = memory._logprobs(model, [row])
                logprobs, words = found.topk(min(LIKELIEST, found.shape[-1]))
                known.append(Known(row, words.cpu(), logprobs.cpu()))
        return cls(known, store, features, seed)

    def drift(self, model: Any, turn: int, count: int) -> torch.Tensor:
        """How far `count` answers have moved, in nats an answer; which ones goes by `turn`."""
        count = min(count, len(self.known))
        chosen = [self.known[(turn * count + at) % len(self.known)] for at in range(count)]
        now = self._logprobs(model, [each.row for each in chosen])
        words = torch.cat([each.words for each in chosen]).to(now.device)
        before = torch.cat([each.logprobs for each in chosen]).to(now.device)
        after = now.gather(-1, words)
        others = [(1 - each.exp().sum(-1)).clamp_min(LEAST) for each in (before, after)]
        apart = (before.exp() * (before - after)).sum(-1) + others[0] * (others[0].log() - others[1].log())
        return apart.sum() / count

    def _logprobs(self, model: Any, rows: Sequence[Encoded]) -> torch.Tensor:
        """[tokens of all answers, vocabulary] float32."""
        core = getattr(model, "module", model).get_base_model()  # of several GPUs each has it wrapped
        device = core.get_input_embeddings().weight.device
        batch = Collator(packed=False)(rows)
        batch = {name: each.to(device) if hasattr(each, "to") else each for name, each in batch.items()}
        learnt = batch["labels"][:, 1:] != NOT_LEARNT
        columns = learnt.any(0).nonzero()[:, 0]
        inputs = model_inputs(batch, core, self._store, self._features)
        logits = model(**inputs, logits_to_keep=columns).logits
        return logits[learnt[:, columns]].float().log_softmax(-1)
