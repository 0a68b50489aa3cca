"""Which replicas serve. An operator takes one out: it gets no more requests, and ends when those that it has are
answered. It comes back as a new one. Imports no torch.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

from qwen_demo.engines.replicas.routing import Ledger
from qwen_demo.errors import InvalidRequest, ModelLoadError, NotFound, QwenDemoError
from qwen_demo.sentences import Sentence
from qwen_demo.types import Engine, Health

log = logging.getLogger(__name__)

Stage = Literal["serving", "draining", "ending", "out", "loading"]


@dataclass(eq=False, slots=True)
class Seat:
    """The place of one replica.

    Attributes:
        engine: who sits there; another one each time that it comes back.
        stage: `draining` still answers what it was given, `ending` gives its GPU free.
        detail: why it did not come back, where it was to.
    """

    number: int
    engine: Engine
    ledger: Ledger
    stage: Stage = "serving"
    detail: str = ""
    was_ready: bool = False
    change: asyncio.Task[None] | None = field(default=None, repr=False)

    def look(self) -> Health:
        """Of its engine; one that has gone has forgotten what it had read."""
        health = self.engine.health()
        if self.was_ready and not health.ready:
            self.ledger.forget()
        self.was_ready = health.ready
        return health

    @property
    def takes_requests(self) -> bool:
        return self.stage == "serving" and self.look().ready


class Roster:
    """All seats. Methods belong to one event loop.

    Args:
        anew: makes the engine that comes back to a seat; None brings nobody back.
    """

    def __init__(self, replicas: Sequence[Engine], remembered_s: float, anew: Callable[[int], Engine] | None = None):
        self.seats = [Seat(number, engine, Ledger(remembered_s)) for number, engine in enumerate(replicas)]
        self._anew = anew

    def seat(self, number: int) -> Seat:
        """Raises `NotFound`."""
        if not 0 <= number < len(self.seats):
            raise NotFound(f"There is no replica {number}: they are numbered from 0 to {len(self.seats) - 1}.")
        return self.seats[number]

    def take_out(self, number: int) -> Seat:
        """Give it nothing more, and end it once it has answered; twice is once.

        Raises:
            NotFound: there is none of that number.
            InvalidRequest: nobody else would answer.
        """
        seat = self.seat(number)
        if seat.stage == "serving":
            if not any(other.takes_requests for other in self.seats if other is not seat):
                raise InvalidRequest(f"Replica {number} is the only one that answers.")
            self._begin(seat, "draining", self._leave(seat))
        elif seat.stage == "loading" and seat.change:
            seat.stage = "ending"
            seat.change.cancel()
        return seat

    def bring_back(self, number: int) -> Seat:
        """Load it anew, or keep it if it has not ended; twice is once.

        Raises:
            NotFound: there is none of that number.
            InvalidRequest: it is just ending.
        """
        seat = self.seat(number)
        if seat.stage == "ending":
            raise InvalidRequest(f"Replica {number} is just ending. Ask again when it is out.")
        if seat.stage == "draining" and seat.change:
            seat.change.cancel()
            seat.stage = "serving"
        elif seat.stage == "out":
            self._begin(seat, "loading", self._return(seat))
        return seat

    def _begin(self, seat: Seat, stage: Stage, work: Coroutine[None, None, None]) -> None:
        log.info("replica %d: %s", seat.number, stage)
        seat.stage, seat.detail = stage, ""
        seat.change = asyncio.create_task(work)

    async def _leave(self, seat: Seat) -> None:
        await seat.ledger.idle()
        seat.stage = "ending"
        await self._end(seat)

    async def _return(self, seat: Seat) -> None:
        assert self._anew, "nobody comes back"
        seat.engine = engine = self._anew(seat.number)
        try:
            await engine.start()
            if not engine.health().ready:
                raise ModelLoadError(Sentence("It was loaded and is not ready: {why}", why=engine.health().detail))
        except asyncio.CancelledError:
            await self._end(seat)
            raise
        except QwenDemoError as error:
            log.error("replica %d did not come back: %s", seat.number, error)
            await self._end(seat, str(error))
        except Exception as error:  # the others go on, and the operator is told
            log.exception("replica %d did not come back", seat.number)
            await self._end(seat, f"{type(error).__name__}: {error}")
        else:
            seat.stage = "serving"
            log.info("replica %d serves again", seat.number)

    async def _end(self, seat: Seat, detail: str = "") -> None:
        try:
            await seat.engine.close()
        finally:
            seat.ledger.forget()
            seat.stage, seat.detail = "out", detail
            log.info("replica %d is out", seat.number)

    async def close(self) -> None:
        """End what changes, and every engine."""
        for seat in self.seats:
            if seat.change:
                seat.change.cancel()
                with suppress(asyncio.CancelledError):
                    await seat.change
        await asyncio.gather(*(seat.engine.close() for seat in self.seats))
