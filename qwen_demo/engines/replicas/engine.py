"""Several engines of one model as one `Engine`: each request goes to one of them, and those that answer go on when
another one ends. It imports no torch.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace

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
    """

    def __init__(self, replicas: Sequence[Engine], *, remembered_s: float = 600.0):
        self._replicas = tuple(replicas)
        self._ledgers = [Ledger(remembered_s) for _ in replicas]
        self._router = Router()
        self._was_ready = [False] * len(self._replicas)
        self._closed = False
        self.info = self._first_info = self._replicas[0].info  # complete after `start`

    async def start(self) -> None:
        """Start all of them at once.

        Raises:
            ModelLoadError, SettingsError: of the first one that does not start; then none runs.
        """
        starts = [asyncio.create_task(replica.start()) for replica in self._replicas]
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
        ready = [health for health in each if health.ready]
        return Health(
            ready=bool(ready),
            running=sum(health.running for health in each),
            waiting=sum(health.waiting for health in each),
            detail=self._describe(each),
            slots=sum(health.slots for health in ready or each),
            stats=self._stats(each),
            failed=all(health.failed for health in each),
        )

    def _look(self) -> list[Health]:
        each = [replica.health() for replica in self._replicas]
        for number, health in enumerate(each):
            if self._was_ready[number] and not health.ready:
                self._ledgers[number].forget()
            self._was_ready[number] = health.ready
        if (info := self._replicas[0].info) is not self._first_info:
            self._first_info = info
            self.info = replace(info, device=f"{len(each)} × {info.device}") if info.device else info
        return each

    def _describe(self, each: Sequence[Health]) -> str:
        down = [(number, health) for number, health in enumerate(each) if not health.ready]
        if not down:
            return each[0].detail
        number, health = down[0]
        return Sentence(
            "{ready} of {count} replicas answer (number {number}: {detail})",
            ready=len(each) - len(down),
            count=len(each),
            number=number,
            detail=health.detail,
        )

    def _stats(self, each: Sequence[Health]) -> dict[str, float]:
        stats: dict[str, float] = {}
        for health in each:
            for name, value in health.stats.items():
                both = (stats.get(name, 0.0), float(value))
                stats[name] = max(both) if name in LARGEST_COUNTS else sum(both)
        stats |= {"replicas": len(each), "replicas_ready": sum(health.ready for health in each)}
        for number, (health, ledger) in enumerate(zip(each, self._ledgers, strict=True)):
            about = {"ready": health.ready, "requests": ledger.requests, "outstanding_tokens": ledger.tokens}
            stats |= {f"replica_{number}_{name}": float(value) for name, value in about.items()}
        return stats

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        """As `Engine.stream`. Where a replica could not take it, another one does.

        What a replica was working on when it ended is not asked of another one: it may be what ended it.
        """
        demand = Demand.of(request, self._replicas[0].info)
        tried: set[int] = set()
        while True:
            number = self._choose(demand, tried)
            tried.add(number)
            given = self._ledgers[number].take(demand)
            try:
                async with aclosing(self._replicas[number].stream(request)) as events:
                    async for event in events:
                        given.answered(len(event.logprobs) or 1 if isinstance(event, TextDelta) else 1)
                        yield event
                return
            except EngineRestarting:
                self._ledgers[number].forget()
                raise
            except NotReady as error:
                if self._closed or not self._ready(tried):
                    raise
                log.warning("request %s goes from replica %d to another: %s", request.request_id, number, error)
            finally:
                given.end()

    def _ready(self, without: set[int]) -> list[int]:
        return [number for number, health in enumerate(self._look()) if health.ready and number not in without]

    def _choose(self, demand: Demand, tried: set[int]) -> int:
        ready = self._ready(tried)
        if not ready:
            raise NotReady(Sentence("The model is not ready: {detail}.", detail=self.health().detail))
        return self._router.choose({number: self._ledgers[number] for number in ready}, demand)

    async def close(self) -> None:
        self._closed = True
        await asyncio.gather(*(replica.close() for replica in self._replicas))
