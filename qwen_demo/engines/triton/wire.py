"""Requests and events between a front and an engine behind Triton: JSON, and pixels as raw bytes beside it.

Pixels are RGB of 8 bits, row by row, with their size in the JSON: nothing has to be decoded on the other side, and a
size that is not that of the bytes is refused before anything is kept. Unknown fields are refused by name.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any

import numpy as np
import PIL.Image
import pydantic

from qwen_demo.engines.process import codec
from qwen_demo.errors import InvalidRequest, QwenDemoError
from qwen_demo.media.images import built
from qwen_demo.raster import Raster
from qwen_demo.types import (
    ChatRequest,
    Event,
    Finished,
    Health,
    Image,
    Message,
    ModelInfo,
    Part,
    Sampling,
    Text,
    TextDelta,
    TokenLogprob,
    Tool,
    ToolCall,
    ToolChoice,
    Video,
)

Json = dict[str, Any]
MOST_PIXELS = 64 * 2**20  # of all images and frames of one request
_PLAIN = ("min_pixels", "max_pixels", "request_id", "repetition_guard", "continue_final_message", "parallel_tool_calls")
_REQUEST = {*_PLAIN, "messages", "sampling", "tools", "tool_choice", "account"}


def encode_request(request: ChatRequest) -> tuple[Json, list[bytes]]:
    """The JSON of a request, and the pixels that its images and videos name by their place."""
    pixels: list[bytes] = []
    body: Json = {name: getattr(request, name) for name in _PLAIN}
    body["messages"] = [
        {
            "role": message.role,
            "parts": [_part(part, pixels) for part in message.parts],
            "tool_calls": [asdict(call) for call in message.tool_calls],
            "tool_call_id": message.tool_call_id,
        }
        for message in request.messages
    ]
    body |= {"sampling": asdict(request.sampling), "tools": [asdict(tool) for tool in request.tools]}
    return body | {"tool_choice": asdict(request.tool_choice), "account": request.account}, pixels


def _part(part: Part, pixels: list[bytes]) -> Json:
    if isinstance(part, Text):
        return {"text": part.text}
    width, height = part.raster.size
    pixels.append(b"".join(image.tobytes() for image in part.raster.images()))
    body: Json = {"pixels": len(pixels) - 1, "width": width, "height": height, "name": part.name}
    if isinstance(part, Image):
        return body | {"original_size": part.original_size}
    return body | {"times_s": part.times_s, "fps": part.fps, "duration_s": part.duration_s}


async def decode_request(body: Json, pixels: Sequence[bytes]) -> ChatRequest:
    """
    Raises:
        InvalidRequest: a field that there is not, a value of another kind, or pixels of another size.
    """
    _known(body, _REQUEST, "the request")
    try:
        if sum(map(len, pixels)) > 3 * MOST_PIXELS:
            raise InvalidRequest(f"Images and frames of one request have at most {MOST_PIXELS} pixels.")
        messages = [await _message(message, pixels) for message in body["messages"]]
        return ChatRequest(
            tuple(messages),
            _value(Sampling, body.get("sampling", {})),
            **{name: body[name] for name in _PLAIN if name in body},
            tools=tuple(_value(Tool, tool) for tool in body.get("tools", ())),
            tool_choice=_value(ToolChoice, body.get("tool_choice", {})),
            account=tuple(body.get("account", ())),
        )
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise InvalidRequest(f"The request cannot be read: {type(error).__name__}: {error}") from error


def _known(body: Json, names: set[str], where: str) -> None:
    if unknown := set(body) - names:
        raise InvalidRequest(f"There is no field {', '.join(sorted(unknown))} in {where}.")


def _value(kind: Any, body: Json) -> Any:
    _known(body, {field.name for field in fields(kind)}, kind.__name__)
    return pydantic.TypeAdapter(kind).validate_python(body)


async def _message(body: Json, pixels: Sequence[bytes]) -> Message:
    _known(body, {"role", "parts", "tool_calls", "tool_call_id"}, "a message")
    if body["role"] not in ("system", "user", "assistant", "tool"):
        raise InvalidRequest(f"There is no role {body['role']!r}.")
    parts = [await _read_part(part, pixels) for part in body["parts"]]
    calls = tuple(_value(ToolCall, call) for call in body.get("tool_calls", ()))
    return Message(body["role"], tuple(parts), calls, body.get("tool_call_id", ""))


async def _read_part(body: Json, pixels: Sequence[bytes]) -> Part:
    if "text" in body:
        return _value(Text, body)
    times_s = tuple(float(time_s) for time_s in body.get("times_s", ()))
    data, width, height = pixels[body["pixels"]], int(body["width"]), int(body["height"])
    count = len(times_s) if "times_s" in body else 1
    if min(width, height, count) < 1 or len(data) != count * width * height * 3:
        raise InvalidRequest(f"{count} x {width} x {height} pixels of RGB are not {len(data)} bytes.")
    array = np.frombuffer(data, np.uint8).reshape(count, height, width, 3)
    raster = Raster.of(*(PIL.Image.fromarray(frame) for frame in array))
    size = tuple(body["original_size"]) if body.get("original_size") else None
    image = await built(raster, str(body.get("name", "image")), size)
    if "times_s" not in body:
        return image
    digest = f"{image.digest}-{times_s}"
    return Video(raster, times_s, float(body["fps"]), float(body["duration_s"]), digest, image.name)


def encode_event(event: Event | QwenDemoError) -> bytes:
    """One line of JSON: `text`, `finished` or `error`."""
    if isinstance(event, QwenDemoError):
        return json.dumps({"error": codec.pack_error(event)}).encode()
    if isinstance(event, TextDelta):
        body: Json = {"text": event.text}
        if event.logprobs:
            body["logprobs"] = [asdict(each) for each in event.logprobs]
        return json.dumps(body).encode()
    assert isinstance(event, Finished), "the service reads calls of tools, behind every engine that has a model"
    return json.dumps({"finished": asdict(event)}).encode()


def decode_event(data: bytes) -> Event | QwenDemoError:
    body = json.loads(data)
    if "error" in body:
        name, args, attributes = body["error"]
        return codec.unpack_error((name, tuple(args), attributes))
    if "text" in body:
        told = tuple(
            TokenLogprob(each["token"], each["logprob"], tuple((token, p) for token, p in each["top"]))
            for each in body.get("logprobs", ())
        )
        return TextDelta(body["text"], told)
    finished: Finished = pydantic.TypeAdapter(Finished).validate_python(body["finished"])
    return finished


def encode_state(health: Health, info: ModelInfo) -> bytes:
    return json.dumps({"health": asdict(health), "info": asdict(info)}).encode()


def decode_state(data: bytes) -> tuple[Health, ModelInfo]:
    body = json.loads(data)
    return _value(Health, body["health"]), _value(ModelInfo, body["info"])
