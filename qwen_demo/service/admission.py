"""Who is let in: counts of requests and of their prompt tokens against what engine and waiting room hold."""

from collections.abc import Callable

from qwen_demo.errors import Overloaded
from qwen_demo.models.pixels import PixelBounds
from qwen_demo.models.tools.hermes import texts
from qwen_demo.sentences import Sentence
from qwen_demo.settings import Settings
from qwen_demo.types import ChatRequest, Engine, Text

# A token of English is some four characters; counting exactly would cost a tokenizer at the door.
CHARACTERS_PER_TOKEN = 3


class Admission:
    """Requests between their arrival and their end.

    Args:
        eta_s: seconds after which a place is likely to be free.
    """

    def __init__(self, settings: Settings, engine: Engine, eta_s: Callable[[], float]):
        self._settings, self._engine, self._eta_s = settings, engine, eta_s
        self.requests = 0
        self.prompt_tokens = 0

    def enter(self) -> None:
        """One request more. Raises `Overloaded` when the engine's slots and the waiting room are taken."""
        if self.requests >= self._engine.health().slots + self._settings.max_waiting:
            raise self._overloaded(Sentence("{count} requests are running or waiting", count=self.requests))
        self.requests += 1

    def charge(self, request: ChatRequest) -> int:
        """Count the request's prompt against `max_waiting_tokens`; one alone always fits. Gives its tokens, about.

        Raises:
            Overloaded: others' prompts leave no room for it.
        """
        bounds = PixelBounds.of(self._engine.info, request)
        parts = [part for message in request.messages for part in message.parts]
        tokens = sum(
            len(part.text) // CHARACTERS_PER_TOKEN + 1 if isinstance(part, Text) else bounds.cost(part)
            for part in parts
        )
        tokens += sum(map(len, texts(request.tools, request.messages))) // CHARACTERS_PER_TOKEN
        if self.prompt_tokens and self.prompt_tokens + tokens > self._settings.max_waiting_tokens:
            raise self._overloaded(
                Sentence("Prompts of {tokens} tokens are running or waiting", tokens=self.prompt_tokens)
            )
        self.prompt_tokens += tokens
        return tokens

    def leave(self, tokens: int) -> None:
        """A request that entered has ended; `tokens` are what `charge` gave."""
        self.requests -= 1
        self.prompt_tokens -= tokens

    def _overloaded(self, what: Sentence) -> Overloaded:
        retry_after_s = max(1.0, self._eta_s())
        return Overloaded(
            Sentence(
                "{what}, which is all that this server takes. Try again in about {seconds:.0f} s.",
                what=what,
                seconds=retry_after_s,
            ),
            retry_after_s=retry_after_s,
        )
