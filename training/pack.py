"""Packs encoded samples into batches of one fixed size, so that the training step compiles once.

A batch holds `rows` rows of `length` text tokens and `patches` picture patches.  Patches stand in the vision tower's
window order; `target` says where in the text each merged token goes.
"""

import functools
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import IterableDataset, get_worker_info

from training.dense import empty_labels, label_cells
from training.encode import PAD, Encoder
from training.tokens import TOKEN_ID, VOCABULARY
from training.world.canvas import CELL
from training.world.world import MIX, World

FAMILIES = list(MIX)
FULL_TOKENS, WINDOW_TOKENS = 1024, 64  # patches at most in one attention segment of the tower


@dataclass(frozen=True)
class Shape:
    """extra: second frames of clips, in patches; labels: supervised tokens."""

    rows: int = 24
    length: int = 1024
    patches: int = 36864
    extra: int = 6144
    labels: int = 10240


SMOKE_SHAPE = Shape(rows=1, length=1024, patches=2048, extra=1536, labels=1024)


@functools.lru_cache(None)
def window_order(rows, columns):
    """The tower's order of one grid of merged cells, in 4x4 windows.

    Returns (raster number of each cell in window order, patches in each window, (height, width) of each patch in that
    order, place of each raster cell in the order).
    """
    index = np.arange(rows * columns).reshape(rows, columns)
    windows = [index[y : y + 4, x : x + 4].ravel() for y in range(0, rows, 4) for x in range(0, columns, 4)]
    order = np.concatenate(windows)
    y, x = np.divmod(order, columns)
    height = (y[:, None] * 2 + np.array([0, 0, 1, 1])).ravel()
    width = (x[:, None] * 2 + np.array([0, 1, 0, 1])).ravel()
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return order, np.array([4 * len(w) for w in windows]), np.stack([height, width], 1).astype(np.int16), place


def patchify(frame):
    """(H, W, 3) uint8 -> (cells * 4, 588) in window order; a patch is (14, 14, 3)."""
    rows, columns = frame.shape[0] // CELL, frame.shape[1] // CELL
    cells = frame.reshape(rows, 2, 14, columns, 2, 42).transpose(0, 3, 1, 4, 2, 5).reshape(rows * columns, 4 * 588)
    return cells[window_order(rows, columns)[0]].reshape(-1, 588)


class Packer:
    """Fills batches with samples of one world, first fit."""

    def __init__(self, world, tokenizer_folder, shape=Shape()):
        self.world, self.encoder, self.shape = world, Encoder(tokenizer_folder), shape
        self.waiting = None  # a sample that found no room in the last batch

    def batch(self):
        """name -> tensor; "stat" counts samples, turns, patches, text tokens and labels."""
        batch = _Batch(self.shape)
        misses = 0
        while misses < 10:
            sample, encoded = self.waiting or self._next()
            self.waiting = None
            if len(encoded.ids) > self.shape.length or not 0 < len(encoded.labels) <= self.shape.labels // 4:
                continue
            if not batch.has_patches_for(sample):
                if batch.samples:  # else it is larger than a whole batch, and dropped
                    self.waiting = sample, encoded
                    break
                continue
            if not batch.add(sample, encoded):
                misses += 1
                if misses == 10:
                    self.waiting = sample, encoded
        return batch.tensors()

    def _next(self):
        while True:
            try:
                sample = self.world.sample()
                return sample, self.encoder(sample)
            except (
                ValueError,
                ArithmeticError,
                LookupError,
                OSError,
            ) as error:  # one sample in millions must not end a run
                print(f"sample skipped: {error!r}", flush=True)


class _Batch:
    def __init__(self, shape):
        self.shape = shape
        tokens = (shape.rows, shape.length)
        self.ids, self.positions = np.full(tokens, PAD, np.int32), np.zeros((3, *tokens), np.int16)
        self.document, self.dialogue = np.full(tokens, -1, np.int16), np.zeros(tokens, np.int16)
        self.pixels = np.empty((shape.patches + shape.extra, 588), np.uint8)
        self.second = np.arange(shape.patches, dtype=np.int32)
        self.places = np.zeros((shape.patches, 2), np.int16)
        merged = shape.patches // 4
        self.target = np.arange(shape.rows * shape.length, shape.rows * shape.length + merged).astype(
            np.int32
        )  # unused: rows past the end
        self.dense = empty_labels(merged)
        self.free = [shape.length] * shape.rows
        self.used = self.extra = self.samples = self.turns = 0
        self.full, self.window = [0], [0]
        self.label_at, self.label_token, self.label_weight, self.label_family = [], [], [], []

    def has_patches_for(self, sample):
        stills = extra = 0
        for picture in sample.pictures:
            frames, height, width, _ = picture.frames.shape
            patches = height * width // 196
            stills += patches * ((frames + 1) // 2)
            extra += patches * (frames // 2)
        return self.used + stills <= self.shape.patches and self.extra + extra <= self.shape.extra

    def add(self, sample, encoded):
        """False where no row has room."""
        count = len(encoded.ids)
        room = [(free - count, row) for row, free in enumerate(self.free) if free >= count]
        if not room or len(self.label_at) + len(encoded.labels) > self.shape.labels:
            return False
        row = min(room)[1]
        start = self.shape.length - self.free[row]
        span = slice(start, start + count)
        self.free[row] -= count
        self.ids[row, span], self.positions[:, row, span] = encoded.ids, encoded.positions
        self.dialogue[row, span], self.document[row, span] = encoded.dialogue, self.samples
        base = row * self.shape.length + start
        at, tokens, weights = zip(*encoded.labels, strict=True)
        self.label_at.extend(base + i for i in at)
        self.label_token.extend(tokens)
        self.label_weight.extend(weights)
        self.label_family.extend([FAMILIES.index(sample.family)] * len(at))
        for picture, (first, grids, rows, columns) in zip(sample.pictures, encoded.slots, strict=True):
            for grid in range(grids):
                self._add_grid(picture, grid, rows, columns, base + first + grid * rows * columns)
        self.samples += 1
        self.turns += sum(len(d) for d in sample.dialogues)
        return True

    def _add_grid(self, picture, grid, rows, columns, first):
        """One merged pair of frames (a still is paired with itself)."""
        _, windows, places, place = window_order(rows, columns)
        count = 4 * rows * columns
        patches = slice(self.used, self.used + count)
        frame = grid * 2 if picture.is_clip else 0
        self.pixels[patches] = patchify(picture.frames[frame])
        if picture.is_clip:
            at = self.shape.patches + self.extra
            self.pixels[at : at + count] = patchify(picture.frames[frame + 1])
            self.second[patches] = np.arange(at, at + count)
            self.extra += count
        self.places[patches] = places
        where = self.used // 4 + place
        self.target[where] = first + np.arange(rows * columns)
        self.dense["d_cell"][where] = np.stack(
            [np.repeat(np.arange(rows), columns), np.tile(np.arange(columns), rows)], 1
        )
        if not picture.is_clip:
            label_cells(self.dense, picture, where, rows, columns)
        self.window.extend((self.used + np.cumsum(windows)).tolist())
        self.used += count
        self.full.append(self.used)

    def tensors(self):
        shape = self.shape
        self.pixels[self.used : shape.patches] = 0
        self.pixels[shape.patches + self.extra :] = 0
        for ends, step in ((self.full, FULL_TOKENS), (self.window, WINDOW_TOKENS)):  # padding attends to itself
            while ends[-1] < shape.patches:
                ends.append(min(shape.patches, ends[-1] + step))
        # Pictures and padding take no loss: other ids keep their zero gradients from piling up on one embedding row.
        ids = self.ids.ravel()
        blank = np.flatnonzero(np.isin(ids, (TOKEN_ID["<|image_pad|>"], TOKEN_ID["<|video_pad|>"], PAD)))
        ids[blank] = blank % (VOCABULARY - 100)
        stat = [self.samples, self.turns, self.used, shape.rows * shape.length - sum(self.free), len(self.label_at)]
        arrays = dict(
            pixels=self.pixels,
            second=self.second,
            places=self.places,
            full=_padded(self.full, shape.patches // 120, shape.patches),
            window=_padded(self.window, shape.patches // 24, shape.patches),
            ids=self.ids,
            positions=self.positions,
            document=self.document,
            dialogue=self.dialogue,
            target=self.target,
            label_at=_padded(self.label_at, shape.labels, 0),
            label_token=_padded(self.label_token, shape.labels, 0),
            label_family=_padded(self.label_family, shape.labels, 0),
            label_weight=_padded(self.label_weight, shape.labels, 0, np.float32),
            **self.dense,
        )
        return {name: torch.from_numpy(a) for name, a in arrays.items()} | {"stat": torch.tensor(stat)}


def _padded(values, length, fill, dtype=np.int32):
    out = np.full(length, fill, dtype)
    out[: len(values)] = values
    return out


class Batches(IterableDataset):
    """Endless batches; every worker process draws its own world."""

    def __init__(self, assets, tokenizer_folder, seed, shape=Shape(), mix=None):
        self.assets, self.folder, self.seed, self.shape, self.mix = assets, tokenizer_folder, seed, shape, mix

    def __iter__(self):
        worker = get_worker_info()
        world = World(self.seed * 1000 + (worker.id if worker else 0), self.assets, mix=self.mix)
        packer = Packer(world, self.folder, self.shape)
        while True:
            yield packer.batch()
