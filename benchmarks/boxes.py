"""Does the page draw boxes where the model means them?  `python -m benchmarks.boxes`.

Scenes of the training world whose true boxes are known, made awkward: odd sizes up to twice what the model sees, JPEG files
that lie on their side or upside down with an EXIF mark, two or three images in one turn.  Each goes as a file through the
page's own path: `media` decodes it, the engine answers, `grounding` finds the boxes, the viewer's code scales them to the
original image.  The mean IoU of the drawn boxes in original pixels is compared with that of the raw answers in the frame
that transformers' own resizing gives: what lies between them is lost by the page.
"""

import argparse
import asyncio
import random
import statistics
import tempfile
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path

import PIL.Image

from benchmarks import machine
from qwen_demo.answers import detections
from qwen_demo.answers.likeness import overlap
from qwen_demo.engines.batching.engine import BatchingEngine
from qwen_demo.media import MediaLoader
from qwen_demo.models import torchvision_shim
from qwen_demo.service.service import Service
from qwen_demo.settings import Settings
from qwen_demo.types import ModelInfo, Sampling
from qwen_demo.ui import chat
from qwen_demo.ui.attachments import Gallery
from qwen_demo.ui.conversation import Reader
from qwen_demo.ui.panels.context import context
from qwen_demo.ui.panels.viewer import viewer
from training.assets import Assets
from training.world.scenes import draw_scene
from training.world.world import World

torchvision_shim.install()

SEED = 20_250
TOLERANCE = 0.02
QUESTION = "Detect all objects and output their bounding boxes in JSON."
# How a camera stores an image that is upright after the turn which its EXIF mark names.
STORED = {
    1: None,
    3: PIL.Image.Transpose.ROTATE_180,
    6: PIL.Image.Transpose.ROTATE_90,
    8: PIL.Image.Transpose.ROTATE_270,
}


@dataclass
class Scene:
    """Files of one turn; the question is about the image `asked` of them.

    Attributes:
        truth: (x1, y1, x2, y2) -> label, in pixels of the upright asked image.
        size: of that image.
    """

    files: list[str] = field(default_factory=list)
    asked: int = 0
    question: str = QUESTION
    truth: list[tuple[tuple[float, ...], str]] = field(default_factory=list)
    size: tuple[int, int] = (0, 0)
    orientation: int = 1


def scenes(count: int, folder: Path, assets: Assets | None = None) -> list[Scene]:
    """`count` scenes from a fixed seed, their images as files in `folder`."""
    world = World(SEED, assets or Assets(fonts="heldout", photos="none"), split="test")
    dice = random.Random(SEED)
    return [_scene(world, dice, folder, index) for index in range(count)]


def _scene(world: World, dice: random.Random, folder: Path, index: int) -> Scene:
    several = dice.choice([2, 3]) if index % 4 == 3 else 1
    scene = Scene(asked=dice.randrange(several), orientation=dice.choice(list(STORED)))
    for number in range(several):
        things = 1 if several > 1 else dice.randint(1, 4)
        width, height = dice.randint(180, 460), dice.randint(180, 460)
        image, placed, _ = draw_scene(world.brush, "mixed", things, (width, height), 0.7)
        stretch = dice.choice([1.0, 1.37, 2.1]) if several == 1 else 1.0
        size = (round(width * stretch), round(height * stretch))
        orientation = scene.orientation if number == scene.asked else 1
        scene.files.append(_store(image.resize(size), orientation, folder / f"{index}-{number}.jpg"))
        if number == scene.asked:
            scale = (size[0] / width, size[1] / height) * 2
            scene.truth = [(tuple(c * s for c, s in zip(t.box, scale, strict=True)), t.full) for t in placed]
            scene.size = size
    if several > 1:
        scene.question = f"Detect the {scene.truth[0][1]}."
    return scene


def _store(image: PIL.Image.Image, orientation: int, path: Path) -> str:
    exif = PIL.Image.Exif()
    exif[274] = orientation
    turn = STORED[orientation]
    (image.transpose(turn) if turn is not None else image).save(path, quality=92, exif=exif)
    return str(path)


async def measure(some: list[Scene], service: Service, reader: Reader) -> list[dict]:
    """One row a scene: the IoU of every true box in both frames."""
    gallery, rows = Gallery(reader), []
    for scene in some:
        history = chat.ask([], {"text": scene.question, "files": scene.files})
        choices = chat.Choices(Sampling(max_new_tokens=260))
        async for step in chat.answer(history, choices, service, reader):
            grown = step
        items = await context.survey(history, [], None, gallery)
        rows.append(compare(scene, grown.text, items, service.status().model))
    return rows


def compare(scene: Scene, text: str, items: list[context.Item], model: ModelInfo) -> dict:
    """The visitor picks the image that was asked about; its boxes against the true ones."""
    attachment = items[scene.asked].attachment
    assert attachment.size == scene.size, f"{attachment.file} came out as {attachment.size}, not {scene.size}"
    seen = _resized(scene.size, model)
    value = viewer.value_of(items, viewer.LastAnswer(text, scene.question, None), model, picked=attachment.file)
    drawn = [(detection["at"], detection["label"]) for detection in value["detections"]]
    raw = [(detection.coordinates, detection.label) for detection in detections.find(text)]
    scale = (seen[0] / scene.size[0], seen[1] / scene.size[1]) * 2
    in_seen = [(tuple(c * s for c, s in zip(box, scale, strict=True)), label) for box, label in scene.truth]
    return {
        "drawn": _best(scene.truth, drawn),
        "raw": _best(in_seen, raw),
        "images": len(scene.files),
        "orientation": scene.orientation,
        "resized": seen != scene.size,
    }


def _resized(size: tuple[int, int], model: ModelInfo) -> tuple[int, int]:
    """Width and height by transformers, not by our own arithmetic."""
    from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize

    bounds = {"min_pixels": model.min_pixels, "max_pixels": model.max_pixels}
    return smart_resize(size[1], size[0], model.patch_pixels, **bounds)[::-1]


def _best(truth, answered) -> list[float]:
    """For every true box, the largest overlap with an answered one of its label."""
    return [
        max((overlap(box, got) for got, name in answered if name == label and len(got) == 4), default=0.0)
        for box, label in truth
    ]


def summary(rows: list[dict]) -> list[dict]:
    """Mean IoU of all, and of each awkwardness alone."""
    groups = {
        "all": rows,
        "upright": [row for row in rows if row["orientation"] == 1],
        "turned by EXIF": [row for row in rows if row["orientation"] != 1],
        "several images": [row for row in rows if row["images"] > 1],
        "resized": [row for row in rows if row["resized"]],
    }
    return [_line(name, group) for name, group in groups.items() if group]


def _line(name: str, group: list[dict]) -> dict:
    drawn = statistics.mean(iou for row in group for iou in row["drawn"])
    raw = statistics.mean(iou for row in group for iou in row["raw"])
    boxes_ = sum(len(row["drawn"]) for row in group)
    return {"scenes": name, "n": len(group), "boxes": boxes_, "raw": raw, "drawn": drawn, "lost": raw - drawn}


async def run(count: int) -> list[dict]:
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(model="embedded", canary_s=0)
        service = Service(settings, BatchingEngine(settings))
        service.start()
        await service.loaded()
        try:
            async with aclosing(MediaLoader.of(settings)) as loader:
                return await measure(scenes(count, Path(folder)), service, Reader(loader, [Path(folder)]))
        finally:
            await service.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=100)
    args = parser.parse_args()
    rows = summary(asyncio.run(run(args.scenes)))
    columns = {
        "scenes": "scenes",
        "n": "n",
        "boxes": "true boxes",
        "raw": "mean IoU, raw answer",
        "drawn": "mean IoU, drawn",
        "lost": "lost",
    }
    attachment = [{**row, **{key: f"{row[key]:.4f}" for key in ("raw", "drawn", "lost")}} for row in rows]
    print(machine.table(attachment, columns))
    print(f"written to {machine.write('boxes', {'tolerance': TOLERANCE, 'rows': rows}).name}")
    if abs(rows[0]["lost"]) > TOLERANCE:
        raise SystemExit(f"the page moves boxes: {rows[0]['lost']:.4f} of IoU are lost, {TOLERANCE} may be")


if __name__ == "__main__":
    main()
