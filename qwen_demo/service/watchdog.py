"""Asks the model a one-token question when no answer has moved for a while: whatever an engine says of itself,
one that answers nothing is not ready.
"""

import asyncio
import logging
import time

from qwen_demo.engines.small_question import small_question
from qwen_demo.errors import EngineRestarting, NotReady, QwenDemoError
from qwen_demo.types import Engine, collect

log = logging.getLogger(__name__)

CANARY_TIMEOUT_S = 30.0


class Watchdog:
    """
    Args:
        idle_s: how long nothing may move before the question is asked.

    Attributes:
        trouble: what is wrong with the model, for people; empty while it answers.
    """

    def __init__(self, engine: Engine, idle_s: float):
        self._engine, self._idle_s = engine, idle_s
        self._last_sign = time.monotonic()
        self.trouble = ""

    def saw_event(self) -> None:
        """An answer has moved: whatever was wrong with the model, it answers."""
        self._last_sign, self.trouble = time.monotonic(), ""

    async def watch(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(min(1.0, self._idle_s / 4))
            if time.monotonic() - self._last_sign >= self._idle_s:
                await self._ask()
                self._last_sign = time.monotonic()

    async def _ask(self) -> None:
        try:
            async with asyncio.timeout(CANARY_TIMEOUT_S):
                await collect(self._engine.stream(small_question()))
            self.trouble = ""
        except TimeoutError:
            self.trouble = f"The model has given no token for {CANARY_TIMEOUT_S:g} s"
        except (NotReady, EngineRestarting):
            self.trouble = ""  # the engine itself knows and says why
        except QwenDemoError as error:
            self.trouble = f"The model fails: {error}"
        except Exception:  # the watch must outlast whatever an engine raises
            log.exception("the model's small question failed")
            self.trouble = "The model fails on a small question; the cause is in the server's log"
        if self.trouble:
            log.error("%s", self.trouble)
