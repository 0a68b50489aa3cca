"""Requests, events and errors as bytes between the front and the process of its engine.

Pickle, of which a reader lets in nothing but values of this program's own words: a process that a model's
files or a stranger's words took over cannot run anything in the other. Pixels do not travel: a request takes
the descriptors of its rasters along, and both sides map the same memory. Pieces of text, which are nearly all
that is sent, go as bare tuples, seven times as fast as the dataclasses that they become.
"""

import io
import os
import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from qwen_demo import errors, sentences, types
from qwen_demo.errors import EngineFailed, QwenDemoError
from qwen_demo.raster import Raster
from qwen_demo.types import ChatRequest, Event, Health, ModelInfo, TextDelta, TokenLogprob

PROTOCOL = 5
PLAIN = (str, int, float, bool, type(None))


@dataclass(frozen=True, slots=True)
class Snapshot:
    """How the engine is.

    Attributes:
        info: only where it has changed.
    """

    health: Health
    info: ModelInfo | None = None


WORDS = {
    (module.__name__, name): value
    for module in (errors, sentences, types)
    for name, value in vars(module).items()
    if isinstance(value, type) and value.__module__ == module.__name__
} | {(__name__, Snapshot.__name__): Snapshot}


class _Pickler(pickle.Pickler):
    def __init__(self, file: io.BytesIO):
        super().__init__(file, PROTOCOL)
        self.rasters: dict[int, Raster] = {}

    def persistent_id(self, value: Any) -> tuple[int, int, int, int] | None:
        if not isinstance(value, Raster):
            return None
        self.rasters.setdefault(id(value), value)
        return list(self.rasters).index(id(value)), value.count, value.width, value.height


class _Unpickler(pickle.Unpickler):
    def __init__(self, data: bytes, descriptors: Sequence[int] = ()):
        super().__init__(io.BytesIO(data))
        self._descriptors = descriptors
        self.taken: set[int] = set()  # their rasters close them, also where one is refused
        self.rasters: dict[int, Raster] = {}

    def find_class(self, module: str, name: str) -> Any:
        try:
            return WORDS[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"{module}.{name} is no word between the front and an engine") from None

    def persistent_load(self, key: tuple[int, int, int, int]) -> Raster:
        index, *shape = key
        self.taken.add(index)
        if index not in self.rasters:
            self.rasters[index] = Raster(self._descriptors[index], *shape)
        return self.rasters[index]


def encode_request(request: ChatRequest) -> tuple[bytes, list[Raster]]:
    """Its bytes, and the rasters whose descriptors must go with them, each once."""
    file = io.BytesIO()
    pickler = _Pickler(file)
    pickler.dump(request)
    return file.getvalue(), list(pickler.rasters.values())


def decode_request(data: bytes, descriptors: Sequence[int]) -> ChatRequest:
    """The request; its rasters own the descriptors, which are closed where it cannot be read.

    Raises:
        pickle.UnpicklingError: it holds something else than a request does.
        ValueError: a raster has another size than its memory.
    """
    unpickler = _Unpickler(data, descriptors)
    try:
        request: ChatRequest = unpickler.load()
    finally:
        for index, descriptor in enumerate(descriptors):
            if index not in unpickler.taken:
                os.close(descriptor)
    return request


def encode(value: object) -> bytes:
    return pickle.dumps(value, PROTOCOL)


def decode(data: bytes) -> Any:
    """Raises `pickle.UnpicklingError` for what is no word of this program."""
    return _Unpickler(data).load()


# A piece of text with its log probabilities, as (token, logprob, top) each; anything else goes as it is.
PackedEvent = tuple[str, Sequence[tuple[str, float, tuple[tuple[str, float], ...]]]] | Event


def pack_event(event: Event) -> PackedEvent:
    if not isinstance(event, TextDelta):
        return event
    return event.text, [(each.token, each.logprob, each.top) for each in event.logprobs]


def unpack_event(packed: PackedEvent) -> Event:
    if not isinstance(packed, tuple):
        return packed
    text, logprobs = packed
    return TextDelta(text, tuple(TokenLogprob(*each) for each in logprobs) if logprobs else ())


PackedError = tuple[str, tuple[str, ...], dict[str, Any]]


def pack_error(error: QwenDemoError) -> PackedError:
    """As the nearest class that `qwen_demo.errors` has, with its message and attributes."""
    nearest = next(each for each in type(error).__mro__ if each.__module__ == errors.__name__)
    plain = {name: value for name, value in vars(error).items() if isinstance(value, PLAIN)}
    return nearest.__name__, tuple(each if isinstance(each, str) else str(each) for each in error.args), plain


def unpack_error(packed: PackedError) -> QwenDemoError:
    name, args, attributes = packed
    kind: type[QwenDemoError] = WORDS[errors.__name__, name]
    error = kind.__new__(kind, *args)
    error.__dict__.update(attributes)
    return error


def foreign(error: Exception) -> QwenDemoError:
    """What a caller is told of an error that an engine did not foresee: nothing of its inside."""
    if isinstance(error, QwenDemoError):
        return error
    if isinstance(error, MemoryError):
        return errors.OutOfMemory(
            sentences.Sentence("The engine had not enough memory for this request. Ask with fewer or smaller images.")
        )
    return EngineFailed(sentences.Sentence("The engine failed at this request. Its log has the cause."))
