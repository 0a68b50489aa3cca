"""Keeps little of callers, and forgets those who do not come back.

Gradio makes a session for each open page and each call of its API, with a copy of the page's
configuration, and drops the oldest only when there are more than a fixed number; and it never drops
the names of sessions whose calls have ended. Nothing here touches a page that is open.
"""

import asyncio
import copy
import datetime
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import gradio as gr
    from gradio.blocks import BlocksConfig
    from gradio.routes import App

SWEEP_EVERY_S = 10.0
# A closed page may come back, as when a telephone wakes up.
CLOSED_PAGE_KEPT_S = 600.0
CALL_KEPT_S = 10.0
# Gradio names the session of a `/call/` after its event; pages and gradio_client choose names of other forms.
_BUSY = ("/gradio_api/call/", "/gradio_api/queue/")
_CALL = re.compile(r"[0-9a-f]{32}")


class _LeanConfig:
    """The page's configuration as sessions copy it: what a component looks like is not written down at each value."""

    def __init__(self, config: "BlocksConfig"):
        self._config = config

    def __copy__(self) -> "BlocksConfig":
        copied = copy.copy(self._config)
        # A static method there; what is rendered anew while the page runs needs all of it.
        whole = copied.config_for_block
        copied.config_for_block = lambda *block: whole(*block) if len(block) > 3 else {}
        return copied


class _LeanPage:
    """The page as Gradio makes sessions of it, without a copy of each component's configuration for every session.

    Each call of the API is a session of its own, and the copies were most of what it cost. They serve Gradio's deep
    links alone, which `http/route_guard.py` does not let in. What a session changes is still kept with it.
    """

    blocks = ()

    def __init__(self, demo: "gr.Blocks"):
        self._demo = demo

    @property
    def default_config(self) -> _LeanConfig:
        return _LeanConfig(self._demo.default_config)


def make_lean(demo: "gr.Blocks") -> None:
    """Sessions of this mounted page begin without copies, and make none."""
    assert demo.state_holder.blocks is demo, "another Gradio: see what its sessions copy"
    demo.state_holder.blocks = _LeanPage(demo)


def put_calls_first(app: "App") -> None:
    """The routes that every question takes are found first: FastAPI tries some eighty others before, three times."""
    (api,) = (route for route in app.router.routes if hasattr(route, "original_router"))
    app.router.routes.sort(key=lambda route: route is not api)
    routes = api.original_router.routes
    routes.sort(key=lambda route: not route.path.startswith(_BUSY))


class Sweeper:
    """Sweeps the sessions of one mounted page."""

    def __init__(self, demo: "gr.Blocks"):
        self._states, self._queue = demo.state_holder, demo._queue
        self._ended: set[str] = set()

    def sweep(self) -> int:
        """Forget what is over; gives how many sessions went."""
        now, gone = datetime.datetime.now(), 0
        busy = {event.session_hash for event in list(self._queue.event_ids_to_events.values())}
        for name, state in list(self._states.session_data.items()):
            idle_s = (now - self._states.time_last_used.get(name, now)).total_seconds()
            over = idle_s > CALL_KEPT_S if _CALL.fullmatch(name) else state.is_closed and idle_s > CLOSED_PAGE_KEPT_S
            if over and name not in busy:
                self._states.session_data.pop(name, None)
                self._states.time_last_used.pop(name, None)
                gone += 1
        pending = self._queue.pending_event_ids_session
        ended = {name for name, events in list(pending.items()) if not events and name not in busy}
        # Twice seen without an event: its last message is on its way no more.
        for name in ended & self._ended:
            pending.pop(name, None)
        self._ended = ended - self._ended
        return gone


async def keep_swept(demo: "gr.Blocks") -> None:
    """Sweep now and then, until cancelled."""
    sweeper = Sweeper(demo)
    while True:
        await asyncio.sleep(SWEEP_EVERY_S)
        sweeper.sweep()
