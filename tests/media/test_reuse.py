"""Decoders that serve a caller again: never anybody else, not for long, and within the limits of each job."""

import asyncio
import contextlib
import os
import select
import signal

import PIL.Image
import pytest

from qwen_demo import media
from qwen_demo.errors import MediaRefused
from qwen_demo.media import decoders, jobs, resting
from qwen_demo.media.callers import current_caller
from qwen_demo.media.content import content_of
from qwen_demo.media.jobs import DecoderFailed, Task
from qwen_demo.settings import MIB, Settings
from tests import hostile
from tests.conftest import until
from tests.media.site import PNG
from tests.media.test_decoders import DONE, IMAGE

WHO = "answer = {'id': os.getpid(), 'left': state.get('left')}"
FILL = "memory = exchange.memory_for({}); os.pwrite(memory, b'xyz', 0)\n"


@contextlib.contextmanager
def caller(name: str):
    token = current_caller.set(name)
    yield
    current_caller.reset(token)


async def serve(pool: media.DecoderPool, name: str, code: str = WHO, memory_bytes: int = 1024 * MIB) -> dict:
    """The last answer of a decoder whose pixels were taken."""
    task = Task("probe", {"code": FILL + code}, 60, memory_bytes, again=True)
    with caller(name), await content_of(b"content") as file:
        async with pool.job(task, file.fd) as job:
            await job.answer()
            async with job.granted(3):
                answer = await job.answer()
                await job.raster(1, 1, 1)
    return answer


# Who


async def test_the_same_caller_is_served_by_the_same_process(pool):
    found = [await serve(pool, "Ann") for _ in range(5)]
    assert len({each["id"] for each in found}) == 1
    assert not pool.running


async def test_another_caller_never_is(pool):
    first = await serve(pool, "Ann", f"state['left'] = 'a secret'; {WHO}")
    others = [await serve(pool, name) for name in ("Bob", "", "Ann Smith", "")]
    assert first["id"] not in {each["id"] for each in others}
    assert len({each["id"] for each in others}) == 4
    assert {each["left"] for each in others} == {None}


async def test_who_is_not_known_gets_a_new_process_for_each_file(pool):
    assert len({(await serve(pool, ""))["id"] for _ in range(3)}) == 3


async def test_processes_at_rest_give_way_to_other_callers(pool):
    for number in range(8):
        await serve(pool, f"caller {number}")
        assert len(pool._resting["probe"]) <= 2
    await until(lambda: len(pool._zygotes["probe"].decoders) <= 2)


async def test_of_one_caller_as_many_rest_as_may_work(pool):
    found = await asyncio.gather(*(serve(pool, "Ann") for _ in range(12)))
    assert len({each["id"] for each in found}) <= 2
    assert len(pool._resting["probe"]) <= 2


async def test_a_file_with_other_limits_gets_another_process(pool):
    first = await serve(pool, "Ann")
    assert (await serve(pool, "Ann", memory_bytes=900 * MIB))["id"] != first["id"]


# What ends one

ENDS = {
    "dies": "os._exit(3)",
    "crashes": "ctypes.string_at(0)",
    "refuses": "exchange.say({'refused': 'damaged', 'values': []}); answer = {}",
    "raises": "1 / 0",
    "goes on after its answer": "exchange.say({}); time.sleep(600)",
    "says too much": "exchange._line.sendall(b'{\"again\": true}\\n{}\\n')",
}


@pytest.mark.parametrize("code", ENDS.values(), ids=ENDS)
async def test_one_that_did_not_do_as_it_should_is_replaced(pool, code, monkeypatch):
    monkeypatch.setattr(jobs, "GRACE_S", 0.1)
    first = await serve(pool, "Ann")
    with contextlib.suppress(DecoderFailed):
        await serve(pool, "Ann", code)
    after = await serve(pool, "Ann")
    assert after["id"] != first["id"]


async def test_one_whose_caller_left_in_the_middle_is_killed_and_replaced(pool):
    first = await serve(pool, "Ann")
    loading = asyncio.create_task(serve(pool, "Ann", "time.sleep(600)"))
    await until(lambda: pool.running)
    loading.cancel()
    await asyncio.wait([loading])
    assert not pool._zygotes["probe"].decoders
    assert (await serve(pool, "Ann"))["id"] != first["id"]


async def test_a_job_that_is_late_ends_it(pool):
    first = await serve(pool, "Ann")
    with caller("Ann"), await content_of(b"x") as file:
        late = Task("probe", {"code": "time.sleep(600)"}, 60, 1024 * MIB, again=True)
        with pytest.raises(TimeoutError):
            async with pool.job(late, file.fd) as job:
                assert job.decoder.jobs == 2
                job._left_s = 0.1
                await job.answer()
    assert not pool._zygotes["probe"].decoders
    assert (await serve(pool, "Ann"))["id"] != first["id"]


async def test_one_that_was_killed_at_rest_is_replaced(pool):
    first = await serve(pool, "Ann")
    os.kill(first["id"], signal.SIGKILL)
    await until(lambda: not pool._resting["probe"])
    assert (await serve(pool, "Ann"))["id"] != first["id"]


async def test_one_that_speaks_at_rest_is_replaced(pool):
    until_sealed = "while attempt(lambda: os.pwrite(memory, b'x', 0)).startswith('done'): pass\n"
    first = await serve(pool, "Ann", f"exchange.say({{'again': True, 'id': os.getpid()}})\n{until_sealed}{WHO}")
    line = next(iter(pool._resting["probe"]._timers)).line
    await until(lambda: select.select([line], [], [], 0)[0])
    assert (await serve(pool, "Ann"))["id"] != first["id"]


async def test_one_that_rests_for_long_ends(pool, monkeypatch):
    monkeypatch.setattr(resting, "IDLE_S", 0.01)
    await serve(pool, "Ann")
    await until(lambda: not pool._zygotes["probe"].decoders)


async def test_one_that_holds_on_to_its_end_is_killed(pool, monkeypatch):
    monkeypatch.setattr(resting, "IDLE_S", 0.01)
    monkeypatch.setattr(jobs, "GRACE_S", 0.1)
    await serve(pool, "Ann", "exchange.say({'again': True}); time.sleep(600)")
    await until(lambda: not pool._zygotes["probe"].decoders)


async def test_it_does_few_jobs(pool, monkeypatch):
    monkeypatch.setattr(decoders, "MAX_JOBS", 2)
    first, second, third = [(await serve(pool, "Ann"))["id"] for _ in range(3)]
    assert first == second != third


async def test_one_that_has_grown_is_replaced(pool):
    grows = f"state['kept'] = b'x' * (200 << 20); {WHO}"
    first = await serve(pool, "Ann", grows)
    assert (await serve(pool, "Ann"))["id"] != first["id"]


async def test_they_end_with_the_zygote_that_is_renewed(pool, monkeypatch):
    await serve(pool, "Ann")
    old = pool._zygotes["probe"]
    monkeypatch.setattr(decoders, "JOBS_OF_A_ZYGOTE", 1)
    await serve(pool, "Bob")
    await old.gone
    assert pool._zygotes["probe"] is not old


# Its limits


async def test_it_has_the_limits_and_rights_of_a_new_one(pool):
    look = """
answer = {
    "memory": attempt(lambda: bytearray(6 << 30)),
    "open": attempt(lambda: os.open("/etc/hostname", os.O_RDONLY)),
    "fork": attempt(os.fork),
    "descriptors": [],
    "id": os.getpid(),
}
for fd in range(64):
    try:
        os.lseek(fd, 0, os.SEEK_CUR)
        answer["descriptors"].append(fd)
    except OSError as error:
        if error.errno != 9:
            answer["descriptors"].append(fd)
"""
    first, second = [await serve(pool, "Ann", look) for _ in range(2)]
    assert first["id"] == second["id"] and {**first, "again": 0} == {**second, "again": 0}
    assert second["memory"] == "MemoryError" and second["open"] == second["fork"] == "PermissionError"


async def test_processor_time_is_bounded_for_each_job(pool):
    task = Task("probe", {}, 60, 1024 * MIB, again=True)
    assert task.limits["CPU"] == 61 + jobs.SPENT_S
    # Who has spent what was added for earlier jobs gets no other, so each has its 61 seconds and at most those 5 more.
    first = await serve(pool, "Ann")
    decoder = next(iter(pool._resting["probe"]._timers))
    decoder.spent_s = jobs.SPENT_S - 0.001
    assert (await serve(pool, "Ann", f"time.sleep(0.01); {WHO}"))["id"] == first["id"]
    assert (await serve(pool, "Ann"))["id"] != first["id"]


@pytest.mark.slow
async def test_one_that_burns_its_processor_time_dies_without_its_server(pool):
    with caller("Ann"), await content_of(b"x") as file:
        burns = Task("probe", {"code": "while True: pass"}, 1, 1024 * MIB)
        async with pool.job(burns, file.fd) as job:
            job._left_s = 600  # the server has forgotten it
            with pytest.raises(DecoderFailed):
                await job.answer()


# Images


async def test_images_of_one_caller_are_each_their_own(loader):
    images = [PIL.Image.new("RGB", (30 + 7 * number, 90 - number), (number, 200, 0)) for number in range(12)]
    reader = loader(cache_seconds=0)
    with caller("Ann"):
        for image in images:
            found = await reader.load_bytes(hostile.saved(image, "PNG"))
            assert found.pixels.tobytes() == image.tobytes()
    assert not reader.decoders.running


async def test_a_refused_image_does_not_spoil_the_next(loader):
    reader = loader(cache_seconds=0)
    with caller("Ann"):
        for _ in range(2):
            await reader.load_bytes(PNG)
            with pytest.raises(MediaRefused):
                await reader.load_bytes(PNG[:60])


async def test_what_is_kept_for_one_caller_is_not_given_to_another():
    """A decoder that Ann took over may have made it."""
    loader = media.MediaLoader.of(Settings(_env_file=None))
    given, run = [], loader.decoders.job

    def job(task, file):
        given.append(current_caller.get())
        return run(task, file)

    loader.decoders.job = job
    for name in ("Ann", "Ann", "Bob", "", "Bob"):
        with caller(name):
            await loader.load_bytes(PNG)
    assert given == ["Ann", "Bob", ""]
    await loader.aclose()


async def test_a_file_whose_decoder_was_spoilt_by_an_earlier_one_gets_a_new_one(standing_in):
    loader = standing_in(
        f"""
if state["who"] == "spoilt":
    os._exit(3)
state["who"] = "spoilt"
memory = exchange.memory_for({IMAGE})
os.pwrite(memory, b"x" * 28 * 28 * 3, 0)
answer = {DONE}
"""
    )
    with caller("Ann"):
        for number in range(3):
            await loader.load_bytes(PNG + b"x" * number)
