"""One request on its way to servers that know different things: what each is told, and in which pixels.

The rule of sizes, by which the page and the API scale boxes, is ours for every server. One that takes bounds
(`mm_processor_kwargs`, as vLLM and this program do) gets them with each request. Any other works with the model's own,
which are wider; it gets images that already have the size in which the model is to see them, which it then keeps.
"""

import asyncio
import re
from collections.abc import Collection

import openai
import PIL.Image

from qwen_demo.engines.remote.request import chat_body
from qwen_demo.engines.remote.tools import Json
from qwen_demo.models.pixels import PixelBounds
from qwen_demo.types import ChatRequest, Image, ModelInfo

# What the model's own processor does unless told otherwise (Qwen2.5-VL's preprocessor_config.json).
MODEL_BOUNDS = PixelBounds(4 * 28 * 28, 16384 * 28 * 28)
BOUNDS_FIELD = "mm_processor_kwargs"
# Sent always, so that no default of the server's own (its generation_config) changes an answer; a strict server that
# refuses such a name loses nothing where the value asks for nothing.
_ASKING_NOTHING: Json = {"top_k": -1, "min_p": 0.0, "top_p": 1.0, "repetition_penalty": 1.0}
_NEEDLESS = (BOUNDS_FIELD, "stream_options")


class Outgoing:
    """Makes the body for a server, once for each kind of server.

    Args:
        info: of the model, whose bounds hold where the request has none.
    """

    def __init__(self, request: ChatRequest, info: ModelInfo):
        self._request, self._model_id = request, info.model_id
        self._bounds = PixelBounds.of(info, request)
        self._made: dict[bool, Json] = {}

    async def body(self, takes_bounds: bool, without: Collection[str] = ()) -> Json:
        """
        Args:
            takes_bounds: the server knows `mm_processor_kwargs`.
            without: names of fields that it refuses.
        """
        takes_bounds = takes_bounds and BOUNDS_FIELD not in without
        if takes_bounds not in self._made:
            self._made[takes_bounds] = await asyncio.to_thread(self._make, takes_bounds)
        return {name: value for name, value in self._made[takes_bounds].items() if name not in without}

    def _make(self, takes_bounds: bool) -> Json:
        def pixels(image: Image) -> PIL.Image.Image:
            return sent_pixels(image, self._bounds, self._bounds if takes_bounds else MODEL_BOUNDS)

        body = chat_body(self._request, self._model_id, pixels)
        if takes_bounds and any(part for message in self._request.messages for part in message.parts if _is_seen(part)):
            body[BOUNDS_FIELD] = {"min_pixels": self._bounds.min_pixels, "max_pixels": self._bounds.max_pixels}
        return body


def _is_seen(part: object) -> bool:
    return hasattr(part, "raster")


def sent_pixels(image: Image, wanted: PixelBounds, theirs: PixelBounds) -> PIL.Image.Image:
    """The pixels of `image`, in the size of `wanted` unless a server that works with `theirs` makes it of them itself."""
    seen = wanted.seen(*image.size)
    if theirs.seen(*image.raster.size) == seen:
        return image.pixels
    return image.pixels.resize(seen, PIL.Image.Resampling.BICUBIC)


def refused_fields(error: openai.APIError, body: Json) -> frozenset[str]:
    """Names of fields that a server does not know, says so, and need not have had."""
    status = getattr(error, "status_code", None) or (400 if error.type == "invalid_request_error" else 0)
    if status not in (400, 422):
        return frozenset()
    needless = {name for name in _NEEDLESS if name in body}
    needless |= {name for name, nothing in _ASKING_NOTHING.items() if body.get(name) == nothing}
    told = f"{error.param or ''} {error.message} {error.body}"
    return frozenset(name for name in needless if re.search(rf"\b{name}\b", told))
