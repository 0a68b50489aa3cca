"""Events of the page count until their results were read, wait in turn, and go when nobody reads them."""

import asyncio
import gc
from types import SimpleNamespace

import gradio as gr
import pytest
from gradio.data_classes import PredictBodyInternal
from gradio.server_messages import ProcessCompletedMessage

from qwen_demo.fairness import ACCOUNT, current_account
from qwen_demo.http.middleware import BODY_SHARE
from qwen_demo.media import MemoryBudget
from qwen_demo.ui import gradio_events
from qwen_demo.ui.gradio_events import MAX_SESSION_NAME, UNREAD_KEPT_S, Unread, account_of, hold_events
from qwen_demo.ui.gradio_internals import bound_queue


def page(caller_share: float = 0.5, max_waiting: int = 0) -> gr.Blocks:
    with gr.Blocks() as demo:
        box = gr.Textbox()
        box.submit(lambda text: text, box, box)
        box.change(lambda text: text, box, box, queue=False)
    bound_queue(demo, max_waiting)
    hold_events(demo, caller_share)
    return demo


def request(name: str = "alice", share=None) -> SimpleNamespace:
    return SimpleNamespace(scope={ACCOUNT: (name,), **({BODY_SHARE: share} if share else {})})


async def join(demo: gr.Blocks, session: str, asked=None, fn_index: int = 0):
    body = PredictBodyInternal(data=["x" * 100], fn_index=fn_index, session_hash=session)
    return await demo._queue.push(body, asked or request(), None)


async def test_an_event_counts_until_its_last_message_was_read():
    demo, budget = page(), MemoryBudget(1000)
    queue = demo._queue
    with budget.take(300) as share:
        _, name, _ = await join(demo, "s", request(share=share))
    assert budget.held_bytes == 300
    (event,) = queue.event_queue_per_concurrency_id[queue.event_ids_to_events[name].concurrency_id].queue
    queue.send_message(event, ProcessCompletedMessage(output={"data": ["x"]}, success=True))
    await queue.clean_events(session_hash="s")
    del event
    gc.collect()
    assert budget.held_bytes == 300
    messages = queue.pending_messages_per_session["s"]
    while not messages.empty():
        messages.get_nowait()
    gc.collect()
    assert budget.held_bytes == 0


async def test_one_caller_has_a_part_of_the_queue():
    demo = page()
    most = demo._queue.max_size // 2
    for number in range(most):
        assert (await join(demo, f"s{number}"))[0]
    assert await join(demo, "s") == (False, gradio_events.NO_ROOM, "queue_full")
    assert (await join(demo, "t", request("bob")))[0]
    await demo._queue.clean_events(session_hash="s0")
    demo._queue.pending_messages_per_session.pop("s0")
    gc.collect()
    assert (await join(demo, "s"))[0]


async def test_a_session_has_no_name_of_kilobytes():
    demo = page()
    assert (await join(demo, "s" * MAX_SESSION_NAME))[0]
    assert await join(demo, "s" * (MAX_SESSION_NAME + 1)) == (False, gradio_events.NO_SUCH_NAME, "error")


async def test_results_that_nobody_reads_go_and_those_that_are_read_stay():
    demo, now = page(), [0.0]
    queue = demo._queue
    unread = Unread(demo, lambda: now[0])
    for name in ("left", "read", "empty"):
        await join(demo, name)
    messages = queue.pending_messages_per_session
    while not messages["empty"].empty():
        messages["empty"].get_nowait()
    assert await unread.sweep() == 0
    for now[0] in (UNREAD_KEPT_S / 2, UNREAD_KEPT_S):
        event = next(event for event in queue.event_ids_to_events.values() if event.session_hash == "read")
        queue.send_message(event, ProcessCompletedMessage(output={}, success=True))
        messages["read"].get_nowait()
        gone = await unread.sweep()
    assert gone == 1
    assert list(messages) == ["read", "empty"]
    assert "left" not in queue.pending_event_ids_session
    assert {event.session_hash for event in queue.event_ids_to_events.values()} == {"read", "empty"}
    now[0] *= 2
    assert await unread.sweep() == 1


async def test_events_that_skip_the_queue_take_turns_on_the_account_of_who_sent_them(monkeypatch):
    began, going, seen = [], asyncio.Event(), []

    async def process(self, *args, request=None, **options):
        began.append(request.scope[ACCOUNT][0])
        seen.append(current_account.get())
        await going.wait()

    monkeypatch.setattr(gr.Blocks, "process_api", process)
    demo = page()
    fn = next(fn for fn in demo.fns.values() if not fn.queue)
    tasks = [asyncio.create_task(demo.process_api(block_fn=fn, request=request())) for _ in range(9)]
    tasks.append(asyncio.create_task(demo.process_api(block_fn=fn, request=request("bob"))))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert began == ["alice"] * gradio_events.DIRECT_OF_ONE + ["bob"]
    assert seen[-1] == ("bob",)
    going.set()
    await asyncio.gather(*tasks)
    assert len(began) == 10


def test_the_account_of_an_event_is_its_requests():
    plain = request()
    wrapped = SimpleNamespace(request=plain)
    assert account_of(plain) == account_of(wrapped) == account_of([wrapped]) == ("alice",)
    assert account_of(wrapped, "anna") == ("alice", "user:anna")
    assert account_of(None) == account_of([]) == ()


@pytest.mark.parametrize("path", ["/gradio_api/run/ask", "/gradio_api/api/chat"])
def test_no_answer_is_begun_past_the_queue(start, path):
    app = start()
    with app.client() as http:
        answer = http.post(path, json={"data": ["hello", None, 0, 20, 1, 1, None, None, ""]})
        assert answer.status_code == 404
    assert not app.engine.requests
