"""Who is let in: counts of requests and of their prompt tokens against what engine and waiting room hold.

Nobody takes all of it: neither one caller, nor those whose files are still being opened, so that a question in words is
not turned away because videos are decoded.
"""

import time
from collections.abc import Callable

from qwen_demo.errors import Overloaded
from qwen_demo.fairness import Account, Tally, Turns, most_of
from qwen_demo.models.pixels import PixelBounds
from qwen_demo.models.tools.hermes import texts
from qwen_demo.sentences import Sentence
from qwen_demo.settings import Settings
from qwen_demo.types import ChatRequest, Engine, Text

# A token of English is some four characters; counting exactly would cost a tokenizer at the door.
CHARACTERS_PER_TOKEN = 3
# Of the room, for requests whose files are being opened.
OPENING_SHARE = 0.75
# After another caller was last seen, one that is alone may have all slots but this part, for whoever comes.
ALONE_AFTER_S, NEWCOMERS_SHARE = 60.0, 1 / 16
# Handed to the engine beyond its slots, so that it prepares some while others are written.
PREPARED_AHEAD = 2


class Visit:
    """One request between its arrival and its end.

    Attributes:
        account: whose it is.
        opening: whether it may still open files.
        tokens: of its prompt, about; 0 before `Admission.charge`.
    """

    def __init__(self, account: Account, opening: bool):
        self.account, self.opening, self.tokens = account, opening, 0


class Admission:
    """Requests between their arrival and their end.

    Args:
        eta_s: seconds after which a place is likely to be free.

    Attributes:
        turns: places in the engine, given to callers in turn.
    """

    def __init__(self, settings: Settings, engine: Engine, eta_s: Callable[[], float]):
        self._settings, self._engine, self._eta_s = settings, engine, eta_s
        self._by_caller, self._tokens_by_caller = Tally(), Tally()
        self._latest: Account = ()
        self._changed_at = -ALONE_AFTER_S
        self._opening = 0
        self.requests = 0
        self.prompt_tokens = 0
        self.turns = Turns(self._places, self._most_at_once)

    def _places(self) -> int:
        slots = self._slots()
        return slots + max(PREPARED_AHEAD, slots // 2)

    def _most_at_once(self) -> int:
        slots, share = self._slots(), self._settings.caller_share
        if share == 1:
            return self._places()
        is_alone = time.monotonic() - self._changed_at > ALONE_AFTER_S
        return most_of(slots, max(share, 1 - NEWCOMERS_SHARE) if is_alone else share)

    def _slots(self) -> int:
        return max(1, self._engine.health().slots)

    def enter(self, account: Account, opens_files: bool) -> Visit:
        """One request more. Raises `Overloaded` when the engine's slots and the waiting room are taken."""
        room = self._engine.health().slots + self._settings.max_waiting
        if self.requests >= room:
            one = Sentence("1 request is running or waiting")
            more = Sentence("{count} requests are running or waiting", count=self.requests)
            raise self._overloaded(one if self.requests == 1 else more)
        if (own := self._by_caller.of(account)) >= most_of(room, self._settings.caller_share):
            one = Sentence("1 request of yours is running or waiting")
            more = Sentence("{count} requests of yours are running or waiting", count=own)
            raise self._of_one_caller(one if own == 1 else more)
        if opens_files and self._opening >= most_of(room, OPENING_SHARE):
            one = Sentence("Files of 1 request are being opened")
            more = Sentence("Files of {count} requests are being opened", count=self._opening)
            raise self._overloaded(one if self._opening == 1 else more)
        if account != self._latest:
            # The first caller of all changes nothing.
            self._changed_at = time.monotonic() if self._latest else self._changed_at
            self._latest = account
        self.requests += 1
        self._opening += opens_files
        self._by_caller.add(account, 1)
        return Visit(account, opens_files)

    def opened(self, visit: Visit) -> None:
        """Its files are open, or it has none."""
        self._opening -= visit.opening
        visit.opening = False

    def charge(self, visit: Visit, request: ChatRequest) -> None:
        """Count the request's prompt against `max_waiting_tokens`; one alone always fits.

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
        limit, share = self._settings.max_waiting_tokens, self._settings.caller_share
        if self.prompt_tokens and self.prompt_tokens + tokens > limit:
            raise self._overloaded(
                Sentence("Prompts of {tokens} tokens are running or waiting", tokens=self.prompt_tokens)
            )
        own = self._tokens_by_caller.of(visit.account)
        if own and own + tokens > most_of(limit, share):
            raise self._of_one_caller(
                Sentence("Prompts of yours of {tokens} tokens are running or waiting", tokens=own)
            )
        self.prompt_tokens += tokens
        self._tokens_by_caller.add(visit.account, tokens)
        visit.tokens = tokens

    def leave(self, visit: Visit) -> None:
        """A request that entered has ended."""
        self.opened(visit)
        self.requests -= 1
        self.prompt_tokens -= visit.tokens
        self._by_caller.add(visit.account, -1)
        self._tokens_by_caller.add(visit.account, -visit.tokens)

    def _overloaded(self, what: Sentence) -> Overloaded:
        return self._refusal("{what}, which is all that this server takes. Try again in about {seconds:.0f} s.", what)

    def _of_one_caller(self, what: Sentence) -> Overloaded:
        return self._refusal(
            "{what}, which is all that one caller may have here. Try again in about {seconds:.0f} s (an operator can "
            "raise --caller-share).",
            what,
        )

    def _refusal(self, template: str, what: Sentence) -> Overloaded:
        retry_after_s = max(1.0, self._eta_s())
        return Overloaded(Sentence(template, what=what, seconds=retry_after_s), retry_after_s=retry_after_s)
