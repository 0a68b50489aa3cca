"""Several answers that stream at the same time and do not end by themselves, and how each of them ended."""

import json
import threading
import time
from dataclasses import dataclass

import httpx

PATIENCE_S = 120.0
BEGUN = 3  # pieces: the role, and words
# The embedded model is brief of its own accord. The server needs --no-repetition-guard for it.
WITHOUT_END = {
    "type": "json_schema",
    "json_schema": {"name": "numbers", "schema": {"type": "array", "items": {"type": "integer"}, "minItems": 900}},
}


@dataclass(frozen=True, slots=True)
class End:
    """How one streamed answer ended.

    Attributes:
        code: of the error; "" without one, "broken" where the connection broke.
        message: of the error.
        done: it came to its regular end.
        at: `time.perf_counter()`.
    """

    code: str
    message: str
    done: bool
    at: float


class Streams:
    """Answers that stream at the same time, each read by a thread."""

    def __init__(self, url: str, count: int = 8, tokens: int = 900):
        self._url, self._tokens = url, tokens
        self._begun = threading.Semaphore(0)
        self._ends: dict[int, End] = {}
        self._threads = [threading.Thread(target=self._read, args=(number,), daemon=True) for number in range(count)]
        for thread in self._threads:
            thread.start()

    def wait_until_begun(self) -> None:
        """Each has had its first words."""
        for _ in self._threads:
            if not self._begun.acquire(timeout=PATIENCE_S):
                raise TimeoutError(f"an answer did not begin: {self._ends}")

    def ends(self) -> list[End]:
        """Wait for all of them."""
        for thread in self._threads:
            thread.join(PATIENCE_S)
        if len(self._ends) < len(self._threads):
            raise TimeoutError(f"only {len(self._ends)} answers ended")
        return list(self._ends.values())

    def _read(self, number: int) -> None:
        body = {
            "messages": [{"role": "user", "content": f"Count from {number}"}],
            "max_tokens": self._tokens,
            "stream": True,
            "response_format": WITHOUT_END,
        }
        lines: list[str] = []
        broken = ""
        try:
            asked = {"json": body, "timeout": PATIENCE_S, "verify": False, "trust_env": False}
            with httpx.stream("POST", f"{self._url}/v1/chat/completions", **asked) as answer:
                for line in answer.iter_lines():
                    if line:
                        lines.append(line)
                        if len(lines) == BEGUN:
                            self._begun.release()
        except httpx.HTTPError as error:
            broken = repr(error)
        self._ends[number] = end_of(lines[-1] if lines else "", broken)


def end_of(last: str, broken: str = "") -> End:
    """
    Args:
        last: line of the answer, whether it streamed or was refused whole.
        broken: how the connection broke, if it did.
    """
    now = time.perf_counter()
    if broken:
        return End("broken", broken, False, now)
    if last == "data: [DONE]":
        return End("", "", True, now)
    error = json.loads(last.removeprefix("data: ") or "{}").get("error", {})
    return End(error.get("code", "broken"), error.get("message", last), False, now)
