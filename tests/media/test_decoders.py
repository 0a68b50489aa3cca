"""The processes that decode: warm, killed in time, replaced, not believed, and each new for each file."""

import asyncio
import gc
import os
import signal

import pytest

from qwen_demo import media
from qwen_demo.errors import MediaRefused, NotReady, Overloaded
from qwen_demo.fairness import current_account
from qwen_demo.media import decoders as module
from qwen_demo.media import jobs
from qwen_demo.media.content import content_of
from qwen_demo.media.jobs import DecoderFailed, Task
from qwen_demo.settings import MIB, Settings
from tests.conftest import until
from tests.hostile_clips import clip
from tests.media.site import PNG

PROGRAMS = {"probe": "tests.media.probe"}


@pytest.fixture(scope="module", autouse=True)
def only_new_garbage():
    """What other tests left in use is not looked through at each `gc.collect` here: that takes most of a second."""
    gc.collect()
    gc.freeze()


def task(code: str, timeout_s: float = 60) -> Task:
    return Task("probe", {"code": code}, timeout_s, 1024 * MIB)


async def ask(pool: media.DecoderPool, code: str, timeout_s: float = 60) -> dict:
    """The answer of code that runs in a decoder."""
    with await content_of(b"content") as file:
        async with pool.job(task(code, timeout_s), file.fd) as job:
            return await job.answer()


# Its life


async def test_processes_are_forked_from_one_that_stays_warm(pool):
    found = [await ask(pool, "answer = {'id': os.getpid(), 'parent': os.getppid()}") for _ in range(3)]
    assert len({each["parent"] for each in found}) == 1
    assert len({each["id"] for each in found}) == 3


async def test_nothing_of_one_file_reaches_the_next(pool):
    look = "answer = {'who': state['who'], 'name': getattr(sys, 'left', None)}"
    leave = "state['who'] = 'a stranger'; sys.left = 'a secret'; ctypes.memset(id(None) + 64, 0, 0); answer = {}"
    await ask(pool, leave)
    assert await ask(pool, look) == {"who": "nobody", "name": None}


async def test_a_process_sees_only_its_own_file_and_the_server_only_its_answer(pool):
    read = "answer = {'read': os.pread(file, 100, 0).decode()}"
    contents = [f"file of caller {number}" for number in range(6)]

    async def one(content: str) -> str:
        with await content_of(content.encode()) as file:
            async with pool.job(task(read), file.fd) as job:
                return (await job.answer())["read"]

    assert await asyncio.gather(*map(one, contents)) == contents


async def test_a_process_that_hangs_is_killed_at_the_time_out(pool):
    with pytest.raises(TimeoutError):
        await ask(pool, "time.sleep(600)", timeout_s=0.2)
    assert not pool.running


async def test_a_process_that_goes_on_after_its_answer_is_killed(pool, monkeypatch):
    monkeypatch.setattr(jobs, "GRACE_S", 0.2)
    code = "exchange.memory_for({}); exchange.say({}); time.sleep(600)"
    with await content_of(b"x") as file:
        async with pool.job(task(code), file.fd) as job:
            await job.answer()
            async with job.granted(3):
                await job.answer()
                await job.raster(1, 1, 1)
    await until(lambda: not pool.running)
    assert job.ended.result() == -signal.SIGKILL


async def test_a_process_dies_with_the_caller_who_waits_for_it(pool):
    task = asyncio.create_task(ask(pool, "time.sleep(600)"))
    await until(lambda: pool.running)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not pool.running


async def test_a_killed_process_is_a_clear_error_and_the_next_works(pool):
    with pytest.raises(DecoderFailed):
        await ask(pool, "ctypes.string_at(0)")
    with pytest.raises(DecoderFailed):
        await ask(pool, "os._exit(3)")
    assert await ask(pool, "answer = {'well': True}") == {"well": True}


async def test_with_the_zygote_gone_callers_are_told_to_come_back_and_the_next_works(pool):
    task = asyncio.create_task(ask(pool, "time.sleep(600)"))
    await until(lambda: pool.running)
    first = pool._zygotes["probe"]._process.pid
    os.kill(first, signal.SIGKILL)
    with pytest.raises(Overloaded) as told:
        await task
    assert told.value.retry_after_s
    assert (await ask(pool, "answer = {'parent': os.getppid()}"))["parent"] != first


async def test_a_stuck_zygote_is_killed_and_replaced(pool, monkeypatch):
    monkeypatch.setattr(jobs, "GRACE_S", 0.2)
    await pool.start("probe")
    first = pool._zygotes["probe"]._process.pid
    os.kill(first, signal.SIGSTOP)
    with pytest.raises(TimeoutError):
        await ask(pool, "answer = {}", timeout_s=0.2)
    assert (await ask(pool, "answer = {'parent': os.getppid()}"))["parent"] != first


async def test_a_zygote_is_renewed_after_many_jobs_and_the_old_one_ends_with_its_last(pool, monkeypatch):
    await pool.start("probe")
    monkeypatch.setattr(module, "JOBS_OF_A_ZYGOTE", pool._zygotes["probe"].begun + 2)
    slow = asyncio.create_task(ask(pool, "sys.stdin; time.sleep(600)"))
    await until(lambda: pool.running)
    first = pool._zygotes["probe"]
    assert (await ask(pool, "answer = {'parent': os.getppid()}"))["parent"] == first._process.pid
    assert (await ask(pool, "answer = {'parent': os.getppid()}"))["parent"] != first._process.pid
    assert not first.gone.done()
    slow.cancel()
    await asyncio.wait([slow])
    await first.gone


async def test_a_program_that_cannot_start_is_told(capfd):
    pool = media.DecoderPool(1, programs={"image": "tests.media.nowhere"})
    with pytest.raises(NotReady, match="log"):
        await pool.start()
    assert "No module named" in capfd.readouterr().err
    await pool.close()
    with pytest.raises(NotReady):
        await pool.start()


def test_a_pool_serves_one_event_loop_after_the_other():
    pool = media.DecoderPool(1, programs=PROGRAMS)

    async def again() -> None:
        assert await ask(pool, "answer = {'well': True}") == {"well": True}
        with pytest.raises(RuntimeError, match="another event loop"):
            await asyncio.to_thread(asyncio.run, ask(pool, "answer = {}"))
        pool._zygotes["probe"].kill()
        await pool._zygotes["probe"].gone

    asyncio.run(again())
    asyncio.run(again())


# Turns


async def test_few_work_at_once_in_the_order_of_calls(pool):
    begun, most = [], 0

    async def one(number: int) -> None:
        nonlocal most
        with await content_of(b"x") as file:
            async with pool.job(task("answer = {}"), file.fd) as job:
                begun.append(number)
                most = max(most, pool.running)
                await job.answer()

    await asyncio.gather(*map(one, range(10)))
    assert begun == list(range(10)) and most == 2


async def test_who_leaves_the_queue_holds_up_nobody(pool):
    hanging = [asyncio.create_task(ask(pool, "time.sleep(600)")) for _ in range(2)]
    await until(lambda: pool.running == 2)
    left, last = (asyncio.create_task(ask(pool, "answer = {'last': 1}")) for _ in range(2))
    await asyncio.sleep(0)
    left.cancel()
    hanging[0].cancel()
    assert await last == {"last": 1}
    hanging[1].cancel()
    await asyncio.wait([left, *hanging])


async def test_who_keeps_all_decoders_busy_holds_up_nobody_else(pool):
    async def of(account: tuple[str, ...], code: str) -> dict:
        current_account.set(account)
        return await ask(pool, code)

    hanging = [asyncio.create_task(of(("flood",), "time.sleep(600)")) for _ in range(9)]
    await until(lambda: pool.working("probe") == 2 and pool.waiting("probe") == 7)
    assert await asyncio.create_task(of(("other",), "answer = {'well': 1}")) == {"well": 1}
    assert pool.waiting("probe") == 7
    for each in hanging:
        each.cancel()
    await asyncio.wait(hanging)
    assert (pool.working("probe"), pool.waiting("probe")) == (0, 0)


async def test_waiting_for_a_decoder_is_counted_and_told_also_where_it_was_in_vain(pool, monkeypatch):
    told = []
    monkeypatch.setattr(pool, "waited", lambda kind, seconds: told.append((kind, seconds)))
    hanging = [asyncio.create_task(ask(pool, "time.sleep(600)")) for _ in range(2)]
    await until(lambda: pool.running == 2)
    begun = asyncio.get_running_loop().time()
    left, served = (asyncio.create_task(ask(pool, "answer = {'well': 1}")) for _ in range(2))
    await until(lambda: pool.waiting("probe") == 2)
    assert (pool.working("probe"), len(told)) == (2, 2)
    left.cancel()
    await until(lambda: pool.waiting("probe") == 1)
    hanging[0].cancel()
    assert await served == {"well": 1}
    waited = asyncio.get_running_loop().time() - begun
    assert (pool.waiting("probe"), len(told)) == (0, 4)
    assert [kind for kind, _ in told] == ["probe"] * 4
    assert all(0 < seconds <= waited for _, seconds in told[2:])
    hanging[1].cancel()
    await asyncio.wait([left, *hanging])


async def test_videos_do_not_hold_up_images():
    pool = media.DecoderPool(1, programs={"probe": "tests.media.probe", "image": "qwen_demo.media.image_decoder"})
    loader = media.MediaLoader(Settings(_env_file=None), media.MemoryBudget(MIB << 10), pool)
    hanging = [asyncio.create_task(ask(pool, "time.sleep(600)")) for _ in range(9)]
    await until(lambda: pool.running == 2)
    assert (await loader.load_bytes(PNG)).size == (40, 30)
    for task in hanging:
        task.cancel()
    await asyncio.wait(hanging)
    await pool.close()


async def test_without_a_free_process_for_long_the_caller_is_told(monkeypatch):
    monkeypatch.setattr(module, "WAIT_S", 0.05)
    pool = media.DecoderPool(2, programs=PROGRAMS)
    hanging = [asyncio.create_task(ask(pool, "time.sleep(600)")) for _ in range(2)]
    await until(lambda: pool.running == 2)
    with pytest.raises(Overloaded, match="decoders are busy"):
        await ask(pool, "answer = {}")
    await pool.close()
    for task in hanging:
        with pytest.raises(Overloaded):
            await task


# What it gives is not believed

IMAGE = {"width": 28, "height": 28, "peak_bytes": 100}
CLIP = {**IMAGE, "count": 2, "times_s": [0, 1], "fps": 1, "duration_s": 2}
DONE = {"width": 28, "height": 28, "original": [28, 28]}
WRITE = "os.pwrite(memory, b'x' * job.get('bytes', 28 * 28 * 3 * 2), 0)\n"


def says(*answers: dict) -> str:
    first, *rest = map(repr, answers)
    return f"nan = float('nan'); memory = exchange.memory_for({first})\n" + "\n".join(
        f"exchange.say({answer})" for answer in rest
    )


LIES = {
    "dies": "os._exit(3)",
    "crashes": "ctypes.string_at(0)",
    "says no JSON": "exchange._line.sendall(b'not json\\n')",
    "says no object": "exchange._line.sendall(b'[1, 2]\\n')",
    "says nothing": "exchange.say({})",
    "says much": "exchange._line.sendall(b'x' * 5_000_000)",
    "nests": "exchange._line.sendall(b'[' * 100_000 + b'\\n')",
    "many pixels": says({**CLIP, "width": 10**9}),
    "more pixels than allowed": says({**CLIP, "width": 2000, "height": 2000}),
    "no pixels": says({**CLIP, "width": 0}),
    "negative pixels": says({**CLIP, "width": -28, "height": -28}),
    "pixels in words": says({**CLIP, "width": "a"}),
    "true pixels": "exchange.memory_for({'width': True, 'height': True, 'peak_bytes': True})",
    "much memory": says({**CLIP, "peak_bytes": 1 << 50}),
    "pixels of another size": says(CLIP, {**DONE, "width": 27}),
    "refuses in no words": "exchange.say({'refused': 'damaged', 'values': ['a']})",
    "refuses strangely": "exchange.say({'refused': [1], 'values': [float('inf'), float('nan')]})",
    "refuses a size that it has": "exchange.say({'refused': 'size', 'values': [5, 5]})",
    "a line that is closed": "os.close(3); time.sleep(600)",
}
LIES_OF_CLIPS = {
    "many frames": says({**CLIP, "count": 1000, "times_s": [0] * 1000}),
    "fewer times than frames": says({**CLIP, "times_s": [0]}),
    "no number of frames": says({**CLIP, "fps": float("nan")}),
}
LIES_OF_IMAGES = {
    "an original without size": says(IMAGE, {**DONE, "original": None}),
    "an original too large": says(IMAGE, {**DONE, "original": [10**6, 10**6]}),
}


@pytest.mark.parametrize(
    ("kind", "program"),
    [pytest.param("image", program, id=f"image {name}") for name, program in {**LIES, **LIES_OF_IMAGES}.items()]
    + [pytest.param("video", program, id=f"video {name}") for name, program in LIES_OF_CLIPS.items()]
    # The same lies about another kind of file.
    + [pytest.param("video", program, id=f"video {name}", marks=pytest.mark.slow) for name, program in LIES.items()],
)
async def test_a_decoder_that_was_taken_over_is_not_believed(standing_in, kind, program, monkeypatch):
    monkeypatch.setattr(jobs, "GRACE_S", 0.5)
    loader = standing_in(program)
    with pytest.raises(MediaRefused, match=r"damaged|limit"):
        await loader.load_bytes(PNG if kind == "image" else clip(4), kind=kind)
    await until(lambda: not loader.decoders.running)
    # Given back with the refusal that holds it, which may be a moment after its process has gone.
    await until(lambda: gc.collect() >= 0 and not loader.budget.held_bytes)


async def test_a_decoder_that_still_maps_its_memory_for_writing_gets_nothing_through(standing_in):
    loader = standing_in(
        says(IMAGE).replace("28", "64")
        + """
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.POINTER(ctypes.c_ubyte)
kept = libc.mmap(None, ctypes.c_size_t(64 * 64 * 3), 3, 1, memory, ctypes.c_long(0))
exchange.say({"width": 64, "height": 64, "original": [64, 64]})
while True:
    kept[0] = (kept[0] + 1) % 256
"""
    )
    with pytest.raises(MediaRefused, match="damaged"):
        await loader.load_bytes(PNG)


async def test_a_decoder_cannot_change_the_size_of_its_memory_nor_its_pixels_later(standing_in):
    loader = standing_in(
        says(IMAGE)
        + """
libc = ctypes.CDLL(None)
os.pwrite(memory, b"x" * 28 * 28 * 3, 0)
answer = {
    "width": 28, "height": 28, "original": [28, 28],
    "cut": attempt(lambda: os.ftruncate(memory, 0)), "grown": attempt(lambda: os.pwrite(memory, b"x", 10**7)),
}
"""
    )
    image = await loader.load_bytes(PNG)
    assert set(image.pixels.getdata()) == {(120, 120, 120)}
    with pytest.raises(OSError):
        os.ftruncate(image.raster.fd, 0)
    with pytest.raises(OSError):
        os.pwrite(image.raster.fd, b"y", 0)


async def test_a_decoder_that_is_late_is_named_in_words(standing_in):
    loader = standing_in("time.sleep(600)", image_timeout_s=0.2, video_timeout_s=0.2)
    with pytest.raises(MediaRefused, match=r"longer than 0.2 s .--image-timeout-s"):
        await loader.load_bytes(PNG)
    with pytest.raises(MediaRefused, match=r"longer than 0.2 s .--video-timeout-s"):
        await loader.load_bytes(clip(4), kind="video")
    assert not loader.decoders.running
