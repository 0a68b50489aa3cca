"""From a Sample to token ids, rotary positions, dialogue numbers and labels, as Qwen2.5-VL's chat template would write them."""

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from training.tokens import TOKEN_ID, TOKENS_PER_SECOND
from training.world.canvas import CELL
from training.world.sample import ENDSPELL, SPELL

START, END, PAD = (TOKEN_ID[t] for t in ("<|im_start|>", "<|im_end|>", "<|endoftext|>"))


@dataclass
class Encoded:
    """ids: int32 (n,).  positions: int16 (3, n), time, height, width.  dialogue: int16 (n,), 0 for what all dialogues share.
    labels: [(index of the predicting position, token, weight)].  slots: [(first index, grids in time, rows, columns)]."""

    ids: np.ndarray
    positions: np.ndarray
    dialogue: np.ndarray
    labels: list
    slots: list


class Encoder:
    """folder holds tokenizer.json."""

    def __init__(self, folder):
        tokenizer = Tokenizer.from_file(str(Path(folder) / "tokenizer.json"))
        self.encode = functools.lru_cache(60000)(lambda text: tokenizer.encode(text, add_special_tokens=False).ids)

    def answer(self, text):
        """Ids of an answer; text between SPELL and ENDSPELL is spelled one character at a time."""
        ids = []
        for i, part in enumerate(text.replace(ENDSPELL, SPELL).split(SPELL)):
            for piece in part if i % 2 else [part] if part else []:
                ids += self.encode(piece)
        return ids

    def __call__(self, sample):
        return _Writer(self, sample).encoded()


class _Writer:
    """Appends text, pictures and answers to one growing row."""

    def __init__(self, encoder, sample):
        self.encoder, self.sample = encoder, sample
        self.ids, self.positions, self.dialogue, self.labels, self.slots = [], [], [], [], []
        self.next_position = 0

    def encoded(self):
        sample, encode = self.sample, self.encoder.encode
        newline = encode("\n")
        self.text([START, *encode("system\n"), *encode(sample.system), END, *newline])
        for question, answer in sample.history:
            self.question(encode(question))
            self.answer(answer)
        self.text([START, *encode("user\n")])
        if sample.question_first:
            self.text(encode(sample.dialogues[0][0].question))
        for picture in sample.pictures:
            self.picture(picture)
        shared_end = self.next_position
        for number, dialogue in enumerate(sample.dialogues, 1):
            self.next_position = shared_end
            for i, turn in enumerate(dialogue):
                question = [] if sample.question_first and i == 0 else encode(turn.question)
                self.question(question, number, opened=i == 0)
                self.answer(turn.answer, number)
        return Encoded(
            np.array(self.ids, np.int32),
            np.concatenate(self.positions, 1).astype(np.int16),
            np.array(self.dialogue, np.int16),
            self.labels,
            self.slots,
        )

    def text(self, ids, number=0):
        count, start = len(ids), self.next_position
        self.ids += ids
        self.positions.append(np.broadcast_to(np.arange(start, start + count), (3, count)))
        self.dialogue += [number] * count
        self.next_position += count

    def question(self, ids, number=0, opened=False):
        encode = self.encoder.encode
        head = [] if opened else [START, *encode("user\n")]
        self.text(head + ids + [END] + encode("\n") + [START] + encode("assistant\n"), number)

    def answer(self, text, number=0):
        """Every answer counts alike up to its length's square root."""
        ids = [*self.encoder.answer(text), END]
        weight, first = len(ids) ** -0.5, len(self.ids)
        self.labels += [(first + i - 1, token, weight) for i, token in enumerate(ids)]
        self.text(ids + self.encoder.encode("\n"), number)

    def picture(self, picture):
        frames, height, width, _ = picture.frames.shape
        grids, rows, columns = (frames + 1) // 2, height // CELL, width // CELL
        self.text([TOKEN_ID["<|vision_start|>"]])
        count, start = grids * rows * columns, self.next_position
        self.slots.append((len(self.ids), grids, rows, columns))
        self.ids += [TOKEN_ID["<|video_pad|>" if picture.is_clip else "<|image_pad|>"]] * count
        self.dialogue += [0] * count
        interval = TOKENS_PER_SECOND * picture.seconds_per_grid if picture.is_clip else 1
        time = (np.arange(grids) * interval).astype(int)
        grid = np.meshgrid(time, np.arange(rows), np.arange(columns), indexing="ij")
        self.positions.append(start + np.stack([axis.ravel() for axis in grid]))
        self.next_position += max(rows, columns)
        self.text([TOKEN_ID["<|vision_end|>"]])
