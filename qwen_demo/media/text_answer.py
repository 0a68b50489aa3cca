"""What a decoder of texts answers: as many pages as one line of JSON holds. Its server asks again for the rest."""

import json
import time
from typing import Any

MOST_BYTES = 700_000  # of an answer, which may have 1 MiB
MOST_CHARACTERS = 60_000  # of a page; more is no page that anybody reads
MOST_SECONDS = 4.0  # after which it answers with what it has


class Answering:
    """Pages gathered until the answer is full.

    Args:
        count: of all pages.
    """

    def __init__(self, count: int):
        self._count, self._bytes = count, 0
        self._pages: list[dict[str, Any]] = []
        self._until = time.monotonic() + MOST_SECONDS

    def takes(self, page: dict[str, Any]) -> bool:
        """Add `page`; False where it belongs to the next answer."""
        page = _bounded(page)
        size = len(json.dumps(page))
        if self._pages and (self._bytes + size > MOST_BYTES or time.monotonic() > self._until):
            return False
        self._pages.append(page)
        self._bytes += size
        return True

    def whole(self) -> dict[str, Any]:
        return {"count": self._count, "pages": self._pages}


def _bounded(page: dict[str, Any]) -> dict[str, Any]:
    left, passages = MOST_CHARACTERS, []
    for passage in page["passages"]:
        text = passage["text"][:left].replace("\0", "").encode("utf-8", "replace").decode()
        left -= len(text) + 8
        if text.strip():
            passages.append({**passage, "text": text})
        if left <= 0:
            break
    return {**page, "passages": passages}
