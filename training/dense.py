"""Dense labels of every merged 28x28 cell, and the heads that learn them (thrown away after training).

They tell the vision tower what is where at once, long before answers alone would: class and colour of the thing in the
cell, the distances to its box's edges, the characters printed in the cell; and, from the middle of the language model,
the cell's row and column and the digits of the thing's box.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from training.world.canvas import CELL
from training.world.catalog import COLORS, PICTOGRAMS, SHAPES

CLASSES = 1 + len(SHAPES) + len(PICTOGRAMS)
CHARACTERS = {chr(c): c - 32 for c in range(33, 127)} | {"€": 95, "£": 96}
SLOTS, GLYPHS = 6, 97  # characters of one cell in reading order; 0 is "none"
GRID = 32
HUNDREDS, TENS = 8, 10
IGNORE = -1
LOSSES = ("class", "color", "box", "characters", "cell", "digits")
WEIGHTS = (1.0, 0.4, 0.5, 1.0, 0.4, 0.6)
COLOR_NUMBER = {name: i for i, name in enumerate(COLORS)}


def empty_labels(count):
    """Labels of `count` merged cells, all ignored."""
    return {
        "d_class": np.full(count, IGNORE, np.int16),
        "d_color": np.full(count, IGNORE, np.int8),
        "d_reach": np.zeros((count, 4), np.float32),
        "d_chars": np.full((count, SLOTS), IGNORE, np.int8),
        "d_cell": np.full((count, 2), IGNORE, np.int8),
        "d_box": np.full((count, 4), IGNORE, np.int16),
    }


def label_cells(labels, picture, where, rows, columns):
    """Writes one still's labels.  where: index into the labels of each cell in raster order, (rows * columns,)."""
    if picture.things is not None:
        labels["d_class"][where] = 0
        for thing in picture.things:
            cells = _cells_of(thing.box, rows, columns)
            at = where[cells]
            labels["d_class"][at] = 1 + thing.number + (0 if thing.kind == "shape" else len(SHAPES))
            labels["d_color"][at] = COLOR_NUMBER[thing.color] if thing.color else IGNORE
            x, y = cells % columns + 0.5, cells // columns + 0.5
            x1, y1, x2, y2 = (v / CELL for v in thing.box)
            labels["d_reach"][at] = np.stack([x - x1, y - y1, x2 - x, y2 - y], 1) * 0.5
            labels["d_box"][at] = thing.box
    if picture.letters or picture.things is not None:
        labels["d_chars"][where, 0] = 0  # an empty cell is told by its first slot alone
    for cell, text in _letters_by_cell(picture.letters, rows, columns).items():
        row = labels["d_chars"][where[cell]]
        row[:] = 0
        row[: len(text)] = text


def _cells_of(box, rows, columns):
    """Raster numbers of the cells that the box covers by more than 40 %, and of the one under its middle."""
    x1, y1, x2, y2 = (v / CELL for v in box)
    ys, xs = np.arange(int(y1), min(rows, int(np.ceil(y2)))), np.arange(int(x1), min(columns, int(np.ceil(x2))))
    high = np.minimum(ys + 1, y2) - np.maximum(ys, y1)
    wide = np.minimum(xs + 1, x2) - np.maximum(xs, x1)
    cells = (ys[:, None] * columns + xs[None])[high[:, None] * wide[None] > 0.4]
    middle = min(rows - 1, int((y1 + y2) / 2)) * columns + min(columns - 1, int((x1 + x2) / 2))
    return np.append(cells, middle)


def _letters_by_cell(letters, rows, columns):
    """cell -> up to SLOTS character numbers in reading order."""
    cells = {}
    for x, y, char in letters:
        row, column = int(y // CELL), int(x // CELL)
        if char in CHARACTERS and 0 <= row < rows and 0 <= column < columns:
            cells.setdefault(row * columns + column, []).append((y, x, CHARACTERS[char]))
    out = {}
    for cell, found in cells.items():
        ys = [y for y, _, _ in found]
        middle = (min(ys) + max(ys)) / 2 if max(ys) - min(ys) > 9 else -1
        found.sort(key=lambda f: (f[0] > middle if middle > 0 else 0, f[1]))
        out[cell] = [number for _, _, number in found[:SLOTS]]
    return out


class DenseHeads(nn.Module):
    """hidden: width of the merged picture tokens and of the language model."""

    def __init__(self, hidden):
        super().__init__()
        self.sizes = (CLASSES, len(COLORS), 4, SLOTS * GLYPHS)
        self.seen = nn.Linear(hidden, sum(self.sizes))
        self.placed = nn.Linear(hidden, 2 * GRID + 4 * (HUNDREDS + TENS))

    def forward(self, tokens, middle, labels):
        """tokens: (n, hidden) after the tower; middle: (n, hidden) inside the language model.  Returns the losses, (6,)."""
        z_class, z_color, z_reach, z_chars = _linear(self.seen, tokens).split(self.sizes, -1)
        found = labels["d_class"].long()
        of_thing = (found > 0).float()
        weight = torch.where(found > 0, 1.0, 0.15) * (found >= 0)
        losses = [
            _mean(_cross(z_class, found), weight),
            _mean(_cross(z_color, labels["d_color"].long()), (labels["d_color"] >= 0).float()),
            _mean(F.smooth_l1_loss(z_reach, labels["d_reach"], reduction="none", beta=0.2).sum(-1), of_thing),
        ]
        chars = labels["d_chars"].long()
        printed = (chars[:, :1] > 0).float()
        weight = (chars >= 0).float() * torch.where(printed > 0, 1.0, 0.05)
        losses.append(_mean(_cross(z_chars.reshape(-1, GLYPHS), chars.reshape(-1)), weight.reshape(-1)))
        z_cell, z_digits = _linear(self.placed, middle).split((2 * GRID, 4 * (HUNDREDS + TENS)), -1)
        cell = labels["d_cell"].long().reshape(-1)
        losses.append(_mean(_cross(z_cell.reshape(-1, GRID), cell), (cell >= 0).float()))
        box = labels["d_box"].long().reshape(-1)
        z_hundreds, z_tens = z_digits.reshape(-1, HUNDREDS + TENS).split((HUNDREDS, TENS), -1)
        known = (box >= 0).float()
        digits = _cross(z_hundreds, (box // 100).clamp_min(0)) + _cross(z_tens, (box // 10 % 10).clamp_min(0))
        losses.append(_mean(digits, known))
        return torch.stack(losses)


def _linear(layer, x):
    return F.linear(x, layer.weight.to(x.dtype), layer.bias.to(x.dtype)).float()


def _cross(logits, target):
    return F.cross_entropy(logits, target.clamp_min(0), reduction="none")


def _mean(loss, weight):
    return (loss * weight).sum() / weight.sum().clamp_min(1)
