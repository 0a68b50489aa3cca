"""The words in which the rooms of this package talk to each other.

Small immutable values and the `Engine` protocol. An `Image`, `Video` or `Points` is built by
`qwen_demo.media` alone, so holding one proves that it passed every limit.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Literal, Protocol, runtime_checkable

import PIL.Image

from qwen_demo.raster import Raster

Role = Literal["system", "user", "assistant", "tool"]
FinishReason = Literal["stop", "length", "repetition", "content_filter", "tool_calls"]

# Of one answer, where they are asked for: a small model would call for ever.
MOST_CALLS = 16
NO_PARAMETERS = '{"type": "object", "properties": {}}'


@dataclass(frozen=True, slots=True)
class Text:
    """Words. They are never read as special tokens of the model."""

    text: str


@dataclass(frozen=True, slots=True)
class Image:
    """One decoded still image.

    Attributes:
        raster: RGB, upright (EXIF applied), transparency on white; of a very large image, scaled down.
        digest: SHA-256 (hex) of size and pixel bytes; equal images have equal digests.
        name: what the sender called it, for messages only.
        original_size: width and height before it was scaled down, if it was.
        sent_size: width and height before it was scaled up, as both sides must hold one visual token.
    """

    raster: Raster
    digest: str
    name: str = "image"
    original_size: tuple[int, int] | None = None
    sent_size: tuple[int, int] | None = None

    @property
    def pixels(self) -> PIL.Image.Image:
        """A copy in Pillow's own layout."""
        return self.raster.image()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height as it was sent: what the model's own resizing goes by."""
        return self.original_size or self.raster.size


@dataclass(frozen=True, slots=True)
class Video:
    """Frames sampled from a clip.

    Attributes:
        raster: RGB frames of one size, in time order, an even number of them.
        times_s: time of each frame in the clip, in seconds.
        fps: sampled frames per second (not the clip's own rate).
        duration_s: length of the clip in seconds.
        digest: SHA-256 (hex) of all frames and times.
        name: what the sender called it, for messages only.
    """

    raster: Raster
    times_s: tuple[float, ...]
    fps: float
    duration_s: float
    digest: str
    name: str = "video"

    @property
    def frames(self) -> tuple[PIL.Image.Image, ...]:
        """Copies in Pillow's own layout."""
        return tuple(self.raster.images())


Vector = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Camera:
    """A view's place in space, without perspective: its pixels are parallel lines.

    Attributes:
        origin: the place in the middle of the view at depth 0, in the data's coordinates.
        right, down, forward: unit vectors in the data's axes.
        unit_per_pixel: length of a pixel in the data's unit.
        reach: depths go from minus this to this, in the data's unit.
        side: width and height of the view in pixels.
    """

    origin: Vector
    right: Vector
    down: Vector
    forward: Vector
    unit_per_pixel: float
    reach: float
    side: int


@dataclass(frozen=True, slots=True)
class View:
    """One side of a point cloud or 3D model.

    Attributes:
        image: as it is drawn for the model.
        azimuth, elevation: degrees: where the camera stands around up and above level; 90 is from above.
    """

    image: Image
    camera: Camera
    azimuth: float
    elevation: float


@dataclass(frozen=True, slots=True)
class Points:
    """A point cloud or 3D model, by views of it. The model sees these, and they know the way back into space.

    Attributes:
        views: from above first, then around.
        depths: an image for each view whose three bytes are the depth of a pixel, 0 to 2^24 - 2 over the camera's
            reach, first the upper byte; 2^24 - 1 where nothing is.
        frame: two level axes and up, unit vectors in the data's axes.
        low, high: bounds of what is drawn, along the frame's axes in the data's unit.
        points, triangles: how many there are.
        left_out: points that were no numbers or lay absurdly far away.
        digest: SHA-256 (hex) of all views and depths.
        name: what the sender called it, for messages only.
    """

    views: tuple[View, ...]
    depths: Raster
    frame: tuple[Vector, Vector, Vector]
    low: Vector
    high: Vector
    points: int
    triangles: int
    left_out: int
    digest: str
    name: str = "model"


Part = Text | Image | Video


@dataclass(frozen=True, slots=True)
class Tool:
    """A function of the caller's that the model may ask to be called.

    Attributes:
        parameters: JSON schema of its arguments, as text; always that of an object.
        strict: the caller wants arguments that fit `parameters` and nothing beside them.
    """

    name: str
    description: str = ""
    parameters: str = NO_PARAMETERS
    strict: bool = False


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """Whether tools are called, and which.

    Attributes:
        required: the answer consists of calls, which follow the tools' schemas; otherwise the model decides.
        names: only these tools may be called; empty is all of them.
    """

    required: bool = False
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that the model made.

    Attributes:
        id: names the call to the tool's answer, see `Message.tool_call_id`.
        arguments: JSON of an object, as text. The model wrote it, so it may lack what the schema asks for.
    """

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation.

    Attributes:
        tool_calls: of an assistant; they follow the parts.
        tool_call_id: of a tool's answer, the call that it answers; empty where the sender did not say.
    """

    role: Role
    parts: tuple[Part, ...]
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""

    @property
    def text(self) -> str:
        """All words of the message, joined."""
        return "".join(part.text for part in self.parts if isinstance(part, Text))


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen. Defaults are greedy decoding.

    Attributes:
        max_new_tokens: at most this many tokens are generated.
        temperature: 0 takes the likeliest token; above, softmax(logits / temperature).
        top_p: smallest set of tokens whose probability reaches this; 1 keeps all.
        top_k: keep this many likeliest tokens; 0 keeps all.
        min_p: drop tokens below this share of the likeliest one's probability; 0 keeps all.
        repetition_penalty: divides (positive) or multiplies (negative) the logit of every
            token seen in prompt or answer (Keskar et al. 2019); 1 is off.
        presence_penalty, frequency_penalty: subtracted from the logits of tokens in the
            answer, once and per occurrence (OpenAI's definition); 0 is off.
        seed: makes sampling repeatable; None draws a fresh one.
        stop: the answer ends before the first of these strings.
        top_logprobs: None, or how many alternatives to report for each token.
        json_schema: None, or the JSON schema (as text) that the answer must follow.
    """

    max_new_tokens: int = 512
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    top_logprobs: int | None = None
    json_schema: str | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """What an answer must be: JSON that follows a schema, or calls that follow their tools' schemas.

    Attributes:
        json_schema: as text; None where only calls will do.
        tools: what may be called; empty where only JSON will do.
        most_calls: so many at most.
        repetition_guard: calls that run in a loop are brought to their end.
    """

    json_schema: str | None
    tools: tuple[Tool, ...] = ()
    most_calls: int = MOST_CALLS
    repetition_guard: bool = True


@dataclass(frozen=True, slots=True)
class Adapter:
    """A low-rank adapter that a request is answered with, see `qwen_demo.models.adapters`.

    Attributes:
        name: what requests call it.
        folder: where it lies, for engines of this machine; empty where another server has it.
        digest: SHA-256 (hex) of all that it is; equal adapters have equal digests.
    """

    name: str
    folder: str = ""
    digest: str = ""


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One question with everything that leads to its answer.

    Attributes:
        messages: the conversation; the last message is answered.
        min_pixels, max_pixels: bounds of each image's area as the model sees it; None
            takes the model's own.
        request_id: appears in logs and errors.
        repetition_guard: end the answer when it runs in a loop.
        continue_final_message: the last message is the assistant's, and the answer goes on from its end.
        tools: what the model may call; with `tool_choice` none they are left out.
        parallel_tool_calls: whether one answer may hold several calls.
        account: whose request it is, see `qwen_demo.fairness`; for sharing the engine's time.
        adapter: answers with the model; None for the model alone. From a front it has no more than its name, which may
            be the model's own; the service looks it up.
    """

    messages: tuple[Message, ...]
    sampling: Sampling = Sampling()
    min_pixels: int | None = None
    max_pixels: int | None = None
    request_id: str = ""
    repetition_guard: bool = True
    continue_final_message: bool = False
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice = ToolChoice()
    parallel_tool_calls: bool = True
    account: tuple[str, ...] = field(default=(), repr=False)
    adapter: Adapter | None = None

    @property
    def callable_tools(self) -> tuple[Tool, ...]:
        """Those of `tools` that `tool_choice` allows."""
        names = self.tool_choice.names
        return tuple(tool for tool in self.tools if not names or tool.name in names)

    @property
    def held(self) -> Held | None:
        """What the answer must be; None where it is free."""
        schema = None if self.tools and self.tool_choice.required else self.sampling.json_schema
        if schema is None and not (self.tools and self.tool_choice.required):
            return None
        most = MOST_CALLS if self.parallel_tool_calls else 1
        return Held(schema, self.callable_tools, most, self.repetition_guard)


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """Natural logarithms of probabilities, before any sampling filter."""

    token: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class TextDelta:
    """The next piece of the answer; whole characters, never an empty string."""

    text: str
    logprobs: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """The next piece of a call.

    Attributes:
        index: counts the calls of an answer from 0.
        id, name: of the call; in its first piece only, empty in the others.
        arguments: the next piece of its arguments' JSON, perhaps empty.
    """

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""
    logprobs: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """Counts of tokens as the model saw them.

    Attributes:
        prompt_tokens: the whole prompt, images included.
        image_tokens: the part of it that stands for images and video frames.
        cached_tokens: the part of it that was taken from a cache.
        completion_tokens: generated, the end token included.
    """

    prompt_tokens: int
    image_tokens: int
    completion_tokens: int
    cached_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds spent in each stage of one request; `ttft_s` counts from its arrival.

    Attributes:
        media_s: receiving and decoding images and clips, before the request reached the engine;
            in none of the sums below.
        queue_s: waiting for a place.
        preprocess_s: resizing images and building the prompt.
        vision_s: vision encoder; 0 where a cache had the result.
        prefill_s: reading the prompt until the first token.
        ttft_s: arrival to first token.
        decode_s: first token to last.
        total_s: arrival to end.
        encoder_hits: images whose encoding came from the cache.
        encoder_hit: the same for each image and clip, in the order of the prompt; empty where
            the engine does not tell.
    """

    media_s: float = 0.0
    queue_s: float = 0.0
    preprocess_s: float = 0.0
    vision_s: float = 0.0
    prefill_s: float = 0.0
    ttft_s: float = 0.0
    decode_s: float = 0.0
    total_s: float = 0.0
    encoder_hits: int = 0
    encoder_hit: tuple[bool, ...] = ()


@dataclass(frozen=True, slots=True)
class Finished:
    """The last event of a successful stream."""

    reason: FinishReason
    usage: Usage
    timing: Timing


Event = TextDelta | ToolCallDelta | Finished


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What answers: shown in the page, the API and the log.

    Attributes:
        model_id: hub id, folder or `embedded`.
        reason: why this model was chosen, for people.
        merged: the adapter that is merged into its weights; empty if none is.
        context_tokens: prompt and answer together may have this many tokens.
        min_pixels, max_pixels: the model's own bounds of an image's area.
        patch_pixels: an image's sides are multiples of this (28 for Qwen2.5-VL); a square
            of that side is one token.
        kv_bytes_per_token: memory that a token of the prompt or the answer takes in the cache; 0 where
            the engine does not tell.
        logprobs: whether the engine reports log probabilities.
        json_schema: whether it can hold an answer to a JSON schema.
    """

    model_id: str
    revision: str | None = None
    reason: str = ""
    engine: str = ""
    device: str = ""
    dtype: str = ""
    quantization: str = "none"
    merged: str = ""
    attention: str = ""
    context_tokens: int = 0
    min_pixels: int = 0
    max_pixels: int = 0
    patch_pixels: int = 28
    embedded: bool = False
    kv_bytes_per_token: int = 0
    logprobs: bool = False
    json_schema: bool = False


@dataclass(frozen=True, slots=True)
class Health:
    """A snapshot. `ready` means that a request sent now would be worked on.

    Attributes:
        detail: why it is not ready, or how far loading got, for people.
        slots: requests that it can work on at once.
        failed: it will not recover by itself.
        loading: it has worked, and reads another model now.
        restarting: it has ended, and is started again by itself until it answers or has failed.
        stats: numbers that only this engine knows, by name, for the metrics.
    """

    ready: bool
    running: int = 0
    waiting: int = 0
    detail: str = ""
    slots: int = 1
    stats: Mapping[str, float] = field(default_factory=dict)
    failed: bool = False
    loading: bool = False
    restarting: bool = False


@runtime_checkable
class Engine(Protocol):
    """Something that answers requests.

    `stream` yields `TextDelta` any number of times, then exactly one `Finished`, or raises a
    `QwenDemoError`. Calls of tools are text there, in the model's own form, which the service
    reads; what another server has read comes as `ToolCallDelta`. Closing the generator cancels
    the request and returns once its slot is free. `info` is complete after `start`. All methods
    belong to one event loop.
    """

    @property
    def info(self) -> ModelInfo: ...

    async def start(self) -> None: ...

    def stream(self, request: ChatRequest) -> AsyncGenerator[Event, None]: ...

    def health(self) -> Health: ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer, collected from a stream."""

    text: str
    finished: Finished
    logprobs: tuple[TokenLogprob, ...] = field(default=())
    tool_calls: tuple[ToolCall, ...] = field(default=())


def joined(deltas: Sequence[TextDelta | ToolCallDelta]) -> list[TextDelta | ToolCallDelta]:
    """The same with what belongs together in one: text, and pieces of one call."""
    made: list[TextDelta | ToolCallDelta] = []
    for index, run in groupby(deltas, lambda delta: -1 if isinstance(delta, TextDelta) else delta.index):
        pieces = list(run)
        logprobs = tuple([token for piece in pieces for token in piece.logprobs])
        if index < 0:
            made.append(TextDelta("".join([p.text for p in pieces if isinstance(p, TextDelta)]), logprobs))
        else:
            of_call = [piece for piece in pieces if isinstance(piece, ToolCallDelta)]
            arguments = "".join(piece.arguments for piece in of_call)
            made.append(ToolCallDelta(index, of_call[0].id, of_call[0].name, arguments, logprobs))
    return made


async def collect(events: AsyncGenerator[Event, None]) -> Answer:
    """Read a stream to its end. The stream is closed whatever happens."""
    pieces: list[str] = []
    logprobs: list[TokenLogprob] = []
    calls: dict[int, ToolCall] = {}
    try:
        async for event in events:
            if isinstance(event, Finished):
                return Answer("".join(pieces), event, tuple(logprobs), tuple(calls.values()))
            logprobs.extend(event.logprobs)
            if isinstance(event, TextDelta):
                pieces.append(event.text)
            else:
                begun = calls.get(event.index, ToolCall("", "", ""))
                calls[event.index] = ToolCall(
                    begun.id or event.id, begun.name or event.name, begun.arguments + event.arguments
                )
    finally:
        await events.aclose()
    raise AssertionError("an engine's stream ended without Finished")
