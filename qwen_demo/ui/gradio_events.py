"""What events of the page hold, and what they cost. With `gradio_internals.py` the address of an upgrade of Gradio.

Gradio takes events of any size and number, and keeps a result until somebody reads it. Here what an event was sent
with counts in the memory budget until its result was read, and a caller has a part of the queue; results that nobody
reads go after a while, and events that skip the queue take turns.
"""

import asyncio
import os
import sys
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import gradio as gr
from starlette.requests import Request

from qwen_demo.fairness import ACCOUNT, Account, Tally, Turns, current_account, most_of
from qwen_demo.http.middleware import BODY_SHARE

if TYPE_CHECKING:
    from gradio.routes import App

# Gradio's own names are UUIDs, pages' some ten characters.
MAX_SESSION_NAME = 128
# Longer than any client takes between asking and reading.
UNREAD_KEPT_S = 60.0
SWEEP_EVERY_S = 10.0
# Events that skip the queue: all, and of one caller. A page that is opened sends some ten at once.
DIRECT, DIRECT_OF_ONE = 32, 4
UPLOADS_REMEMBERED = 10_000

NO_ROOM = "Too many of your events wait or were not read. Try again in a moment."
NO_SUCH_NAME = f"A session's name may have {MAX_SESSION_NAME} characters."


def hold_events(demo: gr.Blocks, caller_share: float) -> None:
    """Before the page is mounted, and after its queue was made."""
    queue = demo._queue
    assert hasattr(queue, "push") and hasattr(queue, "send_message"), "another Gradio: find where its events wait"
    push, send_message, process = queue.push, queue.send_message, demo.process_api
    held = Tally()
    direct = Turns(lambda: DIRECT, lambda: DIRECT_OF_ONE if caller_share < 1 else DIRECT)

    async def push_held(body, request, username):
        if len(body.session_hash or "") > MAX_SESSION_NAME:
            return False, NO_SUCH_NAME, "error"
        account = account_of(request, username)
        if queue.max_size and held.of(account) >= most_of(queue.max_size, caller_share):
            return False, NO_ROOM, "queue_full"
        pushed = await push(body, request, username)
        if pushed[0] and (event := queue.event_ids_to_events.get(str(pushed[1]))):
            held.add(account, 1)
            weakref.finalize(event, held.add, account, -1).atexit = False
            if share := request.scope.get(BODY_SHARE):
                share.keep(share.count, event)
        return pushed

    def send_held(event, event_message):
        # What the event was sent with stays counted until its last message was read: results are about as large.
        weakref.finalize(event_message, _let_go, event).atexit = False
        return send_message(event, event_message)

    async def process_in_turn(*args, **options):
        request = options.get("request")
        account = account_of(request, getattr(request, "username", None))
        current_account.set(account)
        block_fn = options.get("block_fn")
        if getattr(block_fn, "queue", True):
            return await process(*args, **options)
        await direct.take(account)
        try:
            return await process(*args, **options)
        finally:
            direct.give_back(account)

    queue.push, queue.send_message = push_held, send_held  # type: ignore[method-assign]  # Gradio leaves no other way
    demo.process_api = process_in_turn  # type: ignore[method-assign]
    # Gradio makes a table of its last 10,000 events at each one that fails, for a page that is not let in.
    queue.ANALYTICS_MAX_EVENTS, queue.ANAYLTICS_CACHE_FREQUENCY = 1, sys.maxsize


def account_of(request: Any, username: str | None = None) -> Account:
    """Whose event it is: a request of Gradio's, of FastAPI's, or a list of them."""
    if isinstance(request, list):
        request = request[0] if request else None
    inner = getattr(request, "request", None)
    scope = getattr(inner if hasattr(inner, "scope") else request, "scope", None) or {}
    account: Account = scope.get(ACCOUNT, ())
    return (*account, f"user:{username}") if username else account


def is_logged_in(app: "App", request: Request) -> bool:
    """Whether a request bears the cookie of somebody who has logged in to the page."""
    names = (f"access-token-{app.cookie_id}", f"access-token-unsecure-{app.cookie_id}")
    return any(app.tokens.get(request.cookies.get(name)) for name in names)


def _let_go(event: object) -> None:
    """Holding `event` until then was all."""


class Unread:
    """Results of one page's events that wait for a reader.

    Args:
        now: the time in seconds.
    """

    def __init__(self, demo: gr.Blocks, now: Callable[[], float]):
        self._queue, self._now = demo._queue, now
        self._since: dict[str, tuple[int, float]] = {}

    async def sweep(self) -> int:
        """Forget the sessions whose next message nobody has read for `UNREAD_KEPT_S`, and end their events.

        Gives how many.
        """
        queue, now, seen = self._queue, self._now(), {}
        for name, messages in list(queue.pending_messages_per_session.items()):
            waiting = messages._queue  # asyncio's own
            if waiting:
                first = id(waiting[0])
                known, since = self._since.get(name, (0, now))
                seen[name] = (first, since if known == first else now)
        self._since = seen
        late = [name for name, (_, since) in seen.items() if now - since >= UNREAD_KEPT_S]
        for name in late:
            del self._since[name]
            await queue.clean_events(session_hash=name)
            queue.pending_messages_per_session.pop(name, None)
            queue.pending_event_ids_session.pop(name, None)
        return len(late)


def forget_progress() -> None:
    """Uploads whose progress somebody asked for and that never came."""
    from gradio.routes import file_upload_statuses

    for name in list(file_upload_statuses._signals):
        signal = file_upload_statuses._signals[name]
        if name not in file_upload_statuses._statuses and not getattr(signal, "_waiters", ()):
            del file_upload_statuses._signals[name]


async def keep_read(demo: gr.Blocks) -> None:
    """Sweep now and then, until cancelled."""
    unread = Unread(demo, asyncio.get_running_loop().time)
    while True:
        await asyncio.sleep(SWEEP_EVERY_S)
        await unread.sweep()
        forget_progress()
        await asyncio.to_thread(_forget_deleted, demo.upload_file_set)


def _forget_deleted(paths: set[str]) -> None:
    """Gradio remembers every upload, so that it deletes the old ones. Many are gone before."""
    if len(paths) > UPLOADS_REMEMBERED:
        paths.difference_update([path for path in list(paths) if not os.path.exists(path)])
