"""What passes between the front and a process of embeddings: lengths, JSON, and rows of float32."""

import json
import struct
from typing import Any

import numpy as np

HEAD = struct.Struct("<I")  # bytes of JSON that follow
ANSWER = struct.Struct("<II")  # rows, and numbers in a row; without rows, bytes of an error's words
MOST_BYTES = 1 << 26


def packed(value: dict[str, Any]) -> bytes:
    data = json.dumps(value).encode()
    return HEAD.pack(len(data)) + data


def packed_rows(rows: np.ndarray) -> bytes:
    return ANSWER.pack(*rows.shape) + np.ascontiguousarray(rows, "<f4").tobytes()


def packed_error(words: str) -> bytes:
    data = words.encode()[:2000]
    return ANSWER.pack(0, len(data)) + data
