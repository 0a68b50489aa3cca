"""Several engines of one model as one `Engine`: each request goes to one of them, and those that answer go on when
another one ends. It imports no torch.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace

from qwen_demo.engines.replicas.roster import Roster, Seat
from qwen_demo.engines.replicas.routing import Demand, Ledger, Router
from qwen_demo.errors import EngineRestarting, NotReady
from qwen_demo.sentences import Sentence
from qwen_demo.types import ChatRequest, Engine, Event, Health, TextDelta

log = logging.getLogger(__name__)

# Of the numbers that engines tell, those that have no sum.
LARGEST_COUNTS = ("step_seconds",)


class ReplicatedEngine:
    """Owns its replicas from start to close.

    Args:
        replicas: engines that give the same answers, at least one.
        remembered_s: for how long they keep what they have read, see `Ledger`.
        anew: makes another one for the place of that number, where an operator brings one back.

    Attributes:
        roster: who serves, and who was taken out.
    """

    def __init__(
        self,
        replicas: Sequence[Engine],
        *,
        remembered_s: float = 600.0,
        anew: Callable[[int], Engine] | None = None,
    ):
        self.roster = Roster(replicas, remembered_s, anew)
        self._seats = self.roster.seats
        self._router = Router()
        self._closed = False
        self.info = self._one_info = replicas[0].info  # complete after `start`

    async def start(self) -> None:
        """Start all of them at once.

        Raises:
            ModelLoadError, SettingsError: of the first one that does not start; then none runs.
        """
        starts = [asyncio.create_task(seat.engine.start()) for seat in self._seats]
        try:
            await asyncio.gather(*starts)
            self._look()
        except BaseException:
            for start in starts:
                start.cancel()
            await asyncio.gather(*starts, return_exceptions=True)
            await self.close()
            raise

    def health(self) -> Health:
        """Ready while one of them is; room and numbers are those of all together."""
        each = self._look()
        taking = [health for seat, health in each if seat.stage == "serving" and health.ready]
        return Health(
            ready=bool(taking),
            running=sum(health.running for _, health in each),
            waiting=sum(health.waiting for _, health in each),
            detail=self._describe(each),
            slots=sum(health.slots for health in taking or [health for _, health in each]),
            stats=self._stats(each),
            failed=all(health.failed for seat, health in each if seat.stage in ("serving", "loading")),
            restarting=any(health.restarting for seat, health in each if seat.stage == "serving"),
        )

    def _look(self) -> list[tuple[Seat, Health]]:
        each = [(seat, seat.look()) for seat in self._seats]
        info = next((seat.engine.info for seat, health in each if health.ready), self._one_info)
        if info != self._one_info:
            self._one_info = info
            self.info = replace(info, device=f"{len(each)} × {info.device}") if info.device else info
        return each

    def _describe(self, each: Sequence[tuple[Seat, Health]]) -> str:
        down = [(seat, health) for seat, health in each if seat.stage != "serving" or not health.ready]
        if not down:
            return each[0][1].detail
        seat, health = down[0]
        return Sentence(
            "{ready} of {count} replicas answer (number {number}: {detail})",
            ready=len(each) - len(down),
            count=len(each),
            number=seat.number,
            detail=health.detail if seat.stage in ("serving", "loading") else Sentence("taken out"),
        )

    def _stats(self, each: Sequence[tuple[Seat, Health]]) -> dict[str, float]:
        stats: dict[str, float] = {}
        for _, health in each:
            for name, value in health.stats.items():
                both = (stats.get(name, 0.0), float(value))
                stats[name] = max(both) if name in LARGEST_COUNTS else sum(both)
        ready = [seat.stage == "serving" and health.ready for seat, health in each]
        out = [seat.stage != "serving" for seat, _ in each]
        stats |= {"replicas": len(each), "replicas_ready": sum(ready), "replicas_out": sum(out)}
        for number, seat in enumerate(self._seats):
            about = {"ready": ready[number], "out": out[number], "requests": seat.ledger.requests}
            about["outstanding_tokens"] = seat.ledger.tokens
            stats |= {f"replica_{number}_{name}": float(value) for name, value in about.items()}
        return stats

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        """As `Engine.stream`. Where a replica could not take it, another one does.

        What a replica was working on when it ended is not asked of another one: it may be what ended it.
        """
        self._look()
        demand = Demand.of(request, self._one_info)
        tried: set[int] = set()
        while True:
            seat = self._choose(demand, tried)
            tried.add(seat.number)
            given = seat.ledger.take(demand)
            try:
                async with aclosing(seat.engine.stream(request)) as events:
                    async for event in events:
                        given.answered(len(event.logprobs) or 1 if isinstance(event, TextDelta) else 1)
                        yield event
                return
            except EngineRestarting:
                seat.ledger.forget()
                raise
            except NotReady as error:
                if self._closed or not self._ready(tried):
                    raise
                log.warning("request %s goes from replica %d to another: %s", request.request_id, seat.number, error)
            finally:
                given.end()

    def _ready(self, without: set[int]) -> dict[int, Ledger]:
        return {seat.number: seat.ledger for seat in self._seats if seat.number not in without and seat.takes_requests}

    def _choose(self, demand: Demand, tried: set[int]) -> Seat:
        ready = self._ready(tried)
        if not ready:
            raise NotReady(Sentence("The model is not ready: {detail}.", detail=self.health().detail))
        return self._seats[self._router.choose(ready, demand)]

    async def close(self) -> None:
        self._closed = True
        await self.roster.close()
