"""What the page knows of each attached file: its size, and a copy that every browser shows as the model sees it.

Browsers turn images by EXIF in places, show no TIFF, and know nothing of what `media` refuses.
So the page shows what `media` decoded: upright, on white, at most `MAX_VIEW_SIDE` long.
"""

import asyncio
import io
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import PIL.Image

from qwen_demo.errors import MediaRefused, QwenDemoError
from qwen_demo.models.pixels import seen_size
from qwen_demo.types import Image, ModelInfo, Points, Video
from qwen_demo.ui import gradio_internals
from qwen_demo.ui.conversation import Reader
from qwen_demo.ui.i18n.languages import Problem

MAX_VIEW_SIDE = 1600
# Only names and numbers are kept, so this is small; the files lie with the uploads and go with them.
MAX_KNOWN = 512
TEMPORAL_PATCH = 2  # frames in one token of a clip (Qwen2.5-VL technical report, section 2.1)


@dataclass(frozen=True, slots=True)
class Attachment:
    """One attached file.

    Attributes:
        file: path of the upload, which is also its identity in the page.
        size: width and height of the upright image that the model's resizing goes by, or of a clip's frames; (0, 0)
            if refused.
        sent: width and height of an image that was sent with less than `MODEL_MIN_SIDE` pixels a side.
        frames: sampled frames of a clip, 0 for an image.
        view: path of the copy that browsers show, "" if there is none.
        problem: why it was refused.
        views: of a point cloud or 3D model, 0 for others; `size` is that of each.
    """

    file: str
    size: tuple[int, int] = (0, 0)
    frames: int = 0
    view: str = ""
    problem: Problem | None = None
    views: int = 0
    sent: tuple[int, int] | None = None

    @property
    def original(self) -> tuple[int, int]:
        """Width and height as the visitor knows them: boxes are shown and exported in these pixels."""
        return self.sent or self.size

    @property
    def name(self) -> str:
        return Path(self.file).name[:80]

    @property
    def is_image(self) -> bool:
        return bool(self.view) and not self.frames and not self.views

    @property
    def sheet_size(self) -> tuple[int, int]:
        """Width and height of all views of a point cloud or 3D model beside each other."""
        columns, rows = grid(self.views)
        return columns * self.size[0], rows * self.size[1]

    def seen(self, model: ModelInfo, max_pixels: int | None) -> tuple[int, int]:
        """Width and height as the model sees it, (0, 0) if that is not known.

        Args:
            max_pixels: the request's budget; None is the model's own.
        """
        if not self.size[0] or not model.max_pixels:
            return (0, 0)
        largest = min(max_pixels or model.max_pixels, model.max_pixels)
        smallest = min(model.min_pixels, largest)
        if self.frames:
            # A clip's frames share one image's budget, see `PromptBuilder`.
            largest = max(largest * TEMPORAL_PATCH // self.frames, 4 * model.patch_pixels**2)
            smallest = min(smallest, largest)
        return seen_size(*self.size, min_pixels=smallest, max_pixels=largest, patch=model.patch_pixels)

    def tokens(self, model: ModelInfo, max_pixels: int | None) -> int:
        """In the prompt; 0 if that is not known."""
        width, height = self.seen(model, max_pixels)
        return width * height // model.patch_pixels**2 * max(1, self.frames // TEMPORAL_PATCH, self.views)


class Gallery:
    """Looks at each file once. Keeps no pixels."""

    def __init__(self, reader: Reader):
        self._reader = reader
        self._known: OrderedDict[str, Attachment] = OrderedDict()

    async def look(self, file: str) -> Attachment:
        """A refused file is told in `problem`; nothing is raised."""
        known = self._known.get(file)
        if known is not None and _still_there(known.view):
            self._known.move_to_end(file)
            return known
        try:
            attachment = await self._open(file)
        except MediaRefused as error:
            attachment = Attachment(file, problem=Problem.of(error))
        except QwenDemoError as error:
            # Overload, say: the next look may fare better.
            return Attachment(file, problem=Problem.of(error))
        self._known[file] = attachment
        if len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)
        return attachment

    async def original(self, file: str) -> Image | None:
        """The image with its pixels, or None if it is a clip or refused."""
        try:
            medium = await self._reader.file(file)
        except QwenDemoError:
            return None
        return medium if isinstance(medium, Image) else None

    async def points(self, file: str) -> Points | None:
        """A point cloud or 3D model with its views, or None if it is another kind, gone or refused."""
        try:
            medium = await self._reader.file(file)
        except QwenDemoError:
            return None
        return medium if isinstance(medium, Points) else None

    async def _open(self, file: str) -> Attachment:
        medium = await self._reader.file(file)
        if isinstance(medium, Points):
            still = await asyncio.to_thread(sheet, medium)
            size = medium.views[0].image.size
            return Attachment(file, size, 0, await asyncio.to_thread(_save_view, still), views=len(medium.views))
        still = medium.raster.image()
        size, frames = (still.size, medium.raster.count) if isinstance(medium, Video) else (medium.size, 0)
        sent = medium.sent_size if isinstance(medium, Image) else None
        return Attachment(file, size, frames, await asyncio.to_thread(_save_view, still), sent=sent)


def sheet(points: Points) -> PIL.Image.Image:
    """All views of a point cloud or 3D model, three in a row."""
    side, count = points.views[0].camera.side, len(points.views)
    columns, rows = grid(count)
    made = PIL.Image.new("RGB", (side * columns, side * rows), "white")
    for index, view in enumerate(points.views):
        made.paste(view.image.pixels, corner_of(side, count, index))
    return made


def grid(count: int) -> tuple[int, int]:
    """Columns and rows of a sheet of so many views."""
    columns = min(3, count)
    return columns, -(-count // columns)


def corner_of(side: int, count: int, view: int) -> tuple[int, int]:
    """Where a view, counted from 0, begins on a sheet: x and y in pixels."""
    columns, _ = grid(count)
    return view % columns * side, view // columns * side


def _still_there(view: str) -> bool:
    return not view or Path(view).exists()


def _save_view(still: PIL.Image.Image) -> str:
    view = still.copy()
    view.thumbnail((MAX_VIEW_SIDE, MAX_VIEW_SIDE))
    return save_jpeg(view, "view.jpg")


def save_jpeg(image: PIL.Image.Image, name: str) -> str:
    """Path of the image as a file that the page may show."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=92, subsampling=0)
    return gradio_internals.save_upload(file.getvalue(), name)


def save_png(image: PIL.Image.Image, name: str) -> str:
    """Path of the image as a file that the page may give out or attach."""
    file = io.BytesIO()
    image.save(file, "PNG")
    return gradio_internals.save_upload(file.getvalue(), name)


def save_text(text: str, name: str) -> str:
    """Path of a text as a file that the page may give out."""
    return gradio_internals.save_upload(text.encode(), name)
