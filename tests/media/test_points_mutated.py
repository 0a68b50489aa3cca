"""Readers of point clouds and 3D models on files with bytes changed, cut out, doubled or put in: without a decoder."""

import copy
import json
import warnings
from typing import Any

import numpy as np
import pytest

from qwen_demo.media import points_decoder
from qwen_demo.media.exchange import Refused
from qwen_demo.media.readers.raw import Limits, Raw
from qwen_demo.points.draw import Arrangement, Drawn, Style, drawn
from qwen_demo.points.scene import Nothing
from tests.media import models3d

FORMATS = {"gltf": "glTF", "laz": "LAS", "csv": "XYZ", "pts": "XYZ"}
MOST_POINTS = 20_000
TRIES = 12
# What formats write numbers with, and numbers at their edges.
WORDS = [b"0", b"-1", b"1e999", b"nan", b"4294967295", b"99999999999999999999", b" ", b"\n", b"[", b"{}", b"\xff" * 4,
         b"\0" * 8, b"\x7f\xf0", (1 << 31).to_bytes(4, "little"), (1 << 63).to_bytes(8, "little")]  # fmt: skip


def mutated(data: bytes, random: np.random.Generator) -> bytes:
    """One to four changes, most of them near the beginning, where headers are."""
    for _ in range(random.integers(1, 5)):
        reach = len(data) if random.random() < 0.4 else min(len(data), 400)
        at = int(random.integers(0, reach))
        end = at + int(random.integers(1, 40))
        kind = random.integers(0, 5)
        if kind == 0:
            data = data[:at] + random.bytes(min(4, len(data) - at)) + data[at + 4 :]
        elif kind == 1:
            data = data[:at] + data[end:]
        elif kind == 2:
            data = data[:end] + data[at:]
        elif kind == 3:
            data = data[:at] + WORDS[random.integers(0, len(WORDS))] + data[at:]
        else:
            word = WORDS[random.integers(0, len(WORDS))]
            data = data[:at] + word + data[at + len(word) :]
        data = data or b"\0"
    return data


ODD = [None, True, -1, 0.5, 1e308, 2**31, 2**53, 2**70, "", "VEC3", "data:,", [], {}, [0], [1e400] * 16, {"a": 1}]


def twisted(data: bytes, random: np.random.Generator) -> bytes:
    """A JSON text with one or two values of its tree exchanged for odd ones."""
    tree = json.loads(data)
    for _ in range(random.integers(1, 3)):
        places: list[tuple[Any, Any]] = []
        waiting = [tree]
        while waiting:
            node = waiting.pop()
            keys = list(node) if isinstance(node, dict) else range(len(node))
            places += [(node, key) for key in keys]
            waiting += [node[key] for key in keys if isinstance(node[key], dict | list)]
        if places:
            node, key = places[random.integers(0, len(places))]
            node[key] = copy.deepcopy(ODD[random.integers(0, len(ODD))])
    return json.dumps(tree).encode()


def nbytes(raw: Raw) -> int:
    arrays = [raw.xyz, raw.rgb, *(surface.corners for surface in raw.surfaces)]
    return sum(array.nbytes for array in arrays if array is not None)


def attempted(read, data: bytes, limits: Limits) -> tuple[Raw, Arrangement, list[Drawn]] | None:
    """None where it is refused, or raises what a decoder answers for."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            raw = read(memoryview(data), limits)
            plan = points_decoder._planned(raw, Style(count=1, side=112))
            return raw, plan, list(drawn(plan, 1))
    except (Refused, Nothing, *points_decoder.DAMAGE):
        return None


@pytest.mark.parametrize(("name", "change"), [*((name, mutated) for name in models3d.FILES), ("solid.gltf", twisted)])
def test_a_mutated_file_is_drawn_refused_or_called_damaged(name, change):
    """Nothing else is raised, and no more is kept than was announced, which the limits bound."""
    whole, ending = models3d.FILES[name](), name.rpartition(".")[2]
    read = points_decoder._READERS[FORMATS.get(ending, ending.upper())]
    random = np.random.default_rng(list(name.encode()))
    drawn_ones = 0
    for _ in range(TRIES):
        announced = [0]
        limits = Limits(MOST_POINTS, MOST_POINTS, 1 << 20, announced.append)
        if found := attempted(read, change(whole, random), limits):
            raw, plan, views = found
            assert nbytes(raw) <= max(announced) <= 800 * MOST_POINTS
            assert views[0].rgb.shape == (112, 112, 3)
            assert np.isfinite([*plan.low, *plan.high]).all()
            drawn_ones += 1
    assert drawn_ones < TRIES
