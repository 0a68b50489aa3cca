"""The embedded model as what is taught, and small labelled images."""

import json
from pathlib import Path

import PIL.Image
import PIL.ImageDraw
import pytest

from qwen_demo.finetune.base import described, trainable
from qwen_demo.finetune.batches import PixelStore
from qwen_demo.finetune.data import Asked, gathered
from qwen_demo.settings import Settings


@pytest.fixture(scope="session")
def base():
    return described(Settings(model="embedded", threads=1, decoders=1, cache_seconds=0))


@pytest.fixture
def draw(tmp_path):
    """Writes an image of a coloured square in a place of its own; gives its name."""

    def drawn(name: str, colour: str = "red", at: int = 30, size: tuple[int, int] = (300, 200)) -> str:
        image = PIL.Image.new("RGB", size, "white")
        PIL.ImageDraw.Draw(image).rectangle((at, at, at + 60, at + 80), fill=colour)
        image.save(tmp_path / name)
        return name

    return drawn


@pytest.fixture
def write(tmp_path):
    def written(name: str, *rows) -> Path:
        path = tmp_path / name
        path.write_text("".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows))
        return path

    return written


@pytest.fixture(scope="module")
def model(base):
    return trainable(base)


@pytest.fixture
async def taught(base, draw, write, tmp_path):
    """Rows of several lengths, one without an image, and the store that their pixels are in."""
    draw("a.png"), draw("b.png", "blue", 90, (200, 320))
    path = write(
        "data.jsonl",
        {"image": "a.png", "question": "What is it?", "answer": "A red square on white ground."},
        {"images": ["a.png", "b.png"], "question": "Which is blue?", "answer": "The second."},
        {"question": "Who are you?", "answer": "A model."},
    )
    store = PixelStore(tmp_path / "images", base.prompts)
    found = await gathered(Asked(path, held_out=0), base, tmp_path / "kept", store.keep)
    return found.train, store
