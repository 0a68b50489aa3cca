"""A request -> the body of OpenAI's chat completions, in vLLM's spelling where OpenAI has none."""

import base64
import io
import json
import zlib
from collections.abc import Callable
from typing import Any

import PIL.Image

from qwen_demo.engines.remote.tools import Json, tool_fields
from qwen_demo.types import ChatRequest, Image, Message, Part, Text

Pixels = Callable[[Image], PIL.Image.Image]
ALL_TOKENS = -1  # a `top_k` that keeps all, for vLLM, SGLang and this program


def chat_body(request: ChatRequest, model_id: str, pixels: Pixels) -> Json:
    """All of it but the bounds of images. Blocking: it compresses images.

    Args:
        pixels: those of an image that are sent.
    """
    sampling = request.sampling
    # Said also where they ask for nothing: else a default of the server's own would hold.
    extra: Json = {
        "top_p": sampling.top_p,
        "top_k": sampling.top_k or ALL_TOKENS,
        "min_p": sampling.min_p,
        "repetition_penalty": sampling.repetition_penalty,
    }
    if request.continue_final_message:
        extra |= {"continue_final_message": True, "add_generation_prompt": False}
    arguments: Json = {
        "model": request.adapter.name if request.adapter else model_id,
        "messages": [_message(message, pixels) for message in request.messages],
        "max_tokens": sampling.max_new_tokens,
        "temperature": sampling.temperature,
        "stream": True,
        "stream_options": {"include_usage": True},
        **extra,
    }
    for name, value, unset in (
        ("presence_penalty", sampling.presence_penalty, 0.0),
        ("frequency_penalty", sampling.frequency_penalty, 0.0),
        ("seed", sampling.seed, None),
        ("stop", list(sampling.stop), []),
    ):
        if value != unset:
            arguments[name] = value
    if request.held and request.held.json_schema:
        schema = {"name": "answer", "schema": json.loads(request.held.json_schema), "strict": True}
        arguments["response_format"] = {"type": "json_schema", "json_schema": schema}
    if sampling.top_logprobs is not None:
        arguments |= {"logprobs": True, "top_logprobs": sampling.top_logprobs}
    return arguments | tool_fields(request)


def _message(message: Message, pixels: Pixels) -> Json:
    content: Any = [_part(part, pixels) for part in message.parts]
    if message.role == "tool" and all(isinstance(part, Text) for part in message.parts):
        content = message.text  # many servers read nothing else here
    body: Json = {"role": message.role, "content": content}
    if message.tool_calls:
        calls = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
        body |= {"content": content or None, "tool_calls": calls}
    if message.tool_call_id:
        body["tool_call_id"] = message.tool_call_id
    return body


def _part(part: Part, pixels: Pixels) -> Json:
    if isinstance(part, Text):
        return {"type": "text", "text": part.text}
    if isinstance(part, Image):
        # Lossless, so that the other side sees exactly these pixels.
        return {"type": "image_url", "image_url": {"url": "data:image/png;base64," + _encoded(pixels(part), "PNG")}}
    # vLLM's spelling of a clip that is already cut into frames.
    frames = ",".join(_encoded(frame, "JPEG") for frame in part.frames)
    return {"type": "video_url", "video_url": {"url": "data:video/jpeg;base64," + frames}}


# Runs of equal bytes only: a fifth faster than the default for a photograph, and no file is larger.
_SAVING: dict[str, Json] = {"PNG": {"compress_level": 1, "compress_type": zlib.Z_RLE}, "JPEG": {"quality": 95}}


def _encoded(image: PIL.Image.Image, kind: str) -> str:
    data = io.BytesIO()
    image.save(data, kind, **_SAVING[kind])
    return base64.b64encode(data.getvalue()).decode()
