"""Which replica takes a request: the one that has the fewest tokens before it and still to compute.

What a replica has read before it need not compute again, so a conversation goes back to where its earlier turns are, as
long as that one has not so much more to do that another would be done sooner. Imports no torch, knows no engine.
"""

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from qwen_demo.models.pixels import PixelBounds
from qwen_demo.types import ChatRequest, Message, ModelInfo, Text

CHARACTERS_PER_TOKEN = 3
# An image whose encoding is kept is still read as a part of the prompt; the encoder's work is about a quarter.
ENCODER_SHARE = 0.25
# Turns and images that are remembered of one replica, the most recent ones.
REMEMBERED = 4096


@dataclass(frozen=True, slots=True)
class Demand:
    """What a request costs, and by what a replica would know parts of it.

    Attributes:
        turns: for each message a name of the conversation up to its end, and the prompt's tokens up to there.
        images: a name of each image or clip, the turn that it stands in, and its tokens.
        answer_tokens: at most so many are written.
    """

    turns: tuple[tuple[bytes, int], ...]
    images: tuple[tuple[bytes, int, int], ...]
    answer_tokens: int

    @classmethod
    def of(cls, request: ChatRequest, model: ModelInfo) -> "Demand":
        bounds = PixelBounds.of(model, request)
        # Everything that stands before the first message or changes how images are seen.
        said = hashlib.sha256(repr((bounds, request.tools, request.tool_choice)).encode())
        turns, images, tokens = [], [], 0
        for number, message in enumerate(request.messages):
            for part in message.parts:
                if isinstance(part, Text):
                    tokens += len(part.text) // CHARACTERS_PER_TOKEN + 1
                else:
                    cost = bounds.cost(part)
                    images.append((hashlib.sha256(f"{part.digest} {bounds}".encode()).digest(), number, cost))
                    tokens += cost
            said.update(_words(message))
            turns.append((said.digest(), tokens))
        return cls(tuple(turns), tuple(images), request.sampling.max_new_tokens)

    @property
    def prompt_tokens(self) -> int:
        return self.turns[-1][1] if self.turns else 0

    def names(self) -> Iterator[bytes]:
        """Of everything that a replica knows once it has read the prompt."""
        yield from (name for name, _ in self.turns)
        yield from (name for name, _, _ in self.images)


def _words(message: Message) -> bytes:
    parts = [part.text if isinstance(part, Text) else (type(part).__name__, part.digest) for part in message.parts]
    return repr((message.role, parts, message.tool_calls, message.tool_call_id)).encode()


class Assignment:
    """One request's tokens on its replica: fewer with every piece of the answer, none at its end."""

    def __init__(self, ledger: "Ledger", prompt_tokens: int, answer_tokens: int):
        self._ledger, self._prompt, self._answer = ledger, prompt_tokens, answer_tokens
        ledger.began()
        ledger.tokens += prompt_tokens + answer_tokens

    def answered(self, tokens: int = 1) -> None:
        """The prompt has been read, and so many tokens of the answer are written."""
        tokens = min(tokens, self._answer)
        self._ledger.tokens -= self._prompt + tokens
        self._prompt, self._answer = 0, self._answer - tokens

    def end(self) -> None:
        self._ledger.tokens -= self._prompt + self._answer
        self._ledger.ended()
        self._prompt = self._answer = 0


class Ledger:
    """What one replica has to do, and what it has read.

    Args:
        max_age_s: after this time it is taken to have forgotten what nobody asked about; 0 remembers nothing.
        clock: monotonic, in seconds.

    Attributes:
        tokens: prompts' that are not read, and answers' that are not written.
        requests: that have not ended.
    """

    def __init__(self, max_age_s: float, clock: Callable[[], float] = time.monotonic):
        self.tokens = self.requests = 0
        self._max_age_s, self._clock = max_age_s, clock
        self._read: OrderedDict[bytes, float] = OrderedDict()
        self._idle = asyncio.Event()
        self._idle.set()

    def began(self) -> None:
        self.requests += 1
        self._idle.clear()

    def ended(self) -> None:
        self.requests -= 1
        if not self.requests:
            self._idle.set()

    async def idle(self) -> None:
        """Wait until all requests have ended."""
        await self._idle.wait()

    def known_tokens(self, demand: Demand) -> int:
        """Tokens of the prompt that need not be computed again, at most all."""
        known, last = 0, -1
        for number, (name, tokens) in enumerate(demand.turns):
            if not self._knows(name):
                break
            known, last = tokens, number
        encoded = sum(tokens for name, turn, tokens in demand.images if turn > last and self._knows(name))
        return known + int(ENCODER_SHARE * encoded)

    def take(self, demand: Demand) -> Assignment:
        """The replica gets it; `Assignment.end` must follow."""
        given = Assignment(self, demand.prompt_tokens - self.known_tokens(demand), demand.answer_tokens)
        for name in demand.names() if self._max_age_s else ():
            self._read[name] = self._clock()
            self._read.move_to_end(name)
        while len(self._read) > REMEMBERED:
            self._read.popitem(last=False)
        return given

    def forget(self) -> None:
        """The replica was started anew and has read nothing."""
        self._read.clear()

    def _knows(self, name: bytes) -> bool:
        return self._clock() - self._read.get(name, float("-inf")) < self._max_age_s


class Router:
    """Chooses among ledgers, in turn where they are equal."""

    def __init__(self) -> None:
        self._turn = 0
        self._last: dict[int, int] = {}

    def choose(self, ledgers: Mapping[int, Ledger], demand: Demand) -> int:
        """The key of the one that takes it; `ledgers` are those of replicas that answer, at least one."""
        assert ledgers, "nobody to choose from"

        def after(number: int) -> tuple[int, int, int]:
            ledger = ledgers[number]
            return ledger.tokens - ledger.known_tokens(demand), ledger.requests, self._last.get(number, 0)

        chosen = min(ledgers, key=after)
        self._turn += 1
        self._last[chosen] = self._turn
        return chosen
