"""The program on the embedded model when one of its processes is killed, stopped, starved or told to end.

What is promised: whoever waits is told, the page and its visitors stay, the next question is answered, and nothing is
left behind. `python -m benchmarks.faults` measures how fast.
"""

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from benchmarks.harm import Program, alive, ask_and_kill_its_decoder, drawn, eventually, without_memory
from benchmarks.streams import End, Streams
from tests.servers import Server, running

pytestmark = pytest.mark.slow

FLAGS = ("--model", "embedded", "--no-repetition-guard", "--max-running", "16", "--grace-s", "90")


@contextlib.contextmanager
def served(uploads: Path, *flags: str) -> Iterator[Server]:
    with running(*FLAGS, "--upload-dir", str(uploads), *flags, ready=False) as server:
        server.wait_for("^Ready after", timeout_s=180)
        yield server


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """For all faults that the program outlives, and for the last of them, which ends it."""
    with served(tmp_path_factory.mktemp("uploads")) as server:
        yield server


@pytest.fixture
def program(server):
    return program_of(server)


@pytest.fixture
def visitor(program):
    """A Gradio session that was open before the fault, and has been answered."""
    client = Client(program.url, verbose=False)
    assert asked_by(client)
    return client


def program_of(server: Server) -> Program:
    return Program(server.url, server.process.pid)


def asked_by(visitor: Client) -> str:
    return visitor.predict(question="Who are you?", max_new_tokens=4, api_name="/ask")


def begun(program: Program, tokens: int = 900) -> Streams:
    streams = Streams(program.url, tokens=tokens)
    streams.wait_until_begun()
    return streams


def code_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def all_are_complete(ends: list[End]) -> bool:
    return [(end.code, end.done) for end in ends] == [("", True)] * 8


def the_page_stays(program: Program, ready: bool) -> None:
    """What does not need the engine is there; what says how it is tells the truth."""
    assert "gradio" in program.get("/").raise_for_status().text
    assert program.get("/ready").status_code == (200 if ready else 503)
    assert f"qwen_ready {ready:.1f}" in program.get("/metrics").text


@pytest.mark.parametrize(
    ("number", "how"), [(signal.SIGKILL, "killed by SIGKILL"), (signal.SIGSTOP, "stopped")], ids=["killed", "stopped"]
)
def test_an_engine_killed_or_stopped_under_eight_streams_is_told_to_all_and_comes_back(program, visitor, number, how):
    streams, before = begun(program), program.children()
    engine = program.engine()
    engine.send_signal(number)
    ends = streams.ends()
    assert [(end.code, end.done) for end in ends] == [("engine_restarting", False)] * 8
    assert all(how in end.message for end in ends)

    the_page_stays(program, ready=False)
    assert program.get("/ready").json()["state"] == "restarting"
    assert program.get("/health").raise_for_status().json()["state"] == "restarting"
    refused = program.ask()
    assert code_of(refused) == (503, "not_ready")
    assert refused.headers["retry-after"]
    with pytest.raises(AppError, match="being started again"):
        asked_by(visitor)

    eventually(lambda: program.is_ready, "it did not come back")
    assert asked_by(visitor)
    program.ask(image=drawn((448, 448))).raise_for_status()
    assert program.engine() != engine
    eventually(
        lambda: alive(before) == [each for each in before if each != engine], "the old engine stayed, or more went"
    )
    the_page_stays(program, ready=True)


def test_an_image_for_which_there_is_no_memory_is_refused_alone(program, visitor):
    streams, before = begun(program, tokens=100), program.children()
    with without_memory(program.engine()):
        assert code_of(program.ask(image=drawn())) == (500, "out_of_memory")
        the_page_stays(program, ready=True)
        assert all_are_complete(streams.ends())
    assert asked_by(visitor)
    program.ask(image=drawn()).raise_for_status()
    assert alive(before) == before


def test_a_decoder_killed_at_work_costs_its_image_alone(program, visitor):
    streams, before = begun(program, tokens=100), program.children()
    refused, _ = ask_and_kill_its_decoder(program)
    assert code_of(refused) == (400, "invalid_media")
    assert all_are_complete(streams.ends())
    program.ask(image=drawn((448, 448))).raise_for_status()
    assert asked_by(visitor)
    the_page_stays(program, ready=True)
    assert alive(before) == before


def test_when_what_forks_the_decoders_is_killed_there_is_another(program, visitor):
    streams, decoders = begun(program, tokens=100), program.decoders()
    decoders.kill()
    eventually(lambda: not alive([decoders]), "it stayed")
    assert program.ask(image=drawn((448, 448))).status_code in (200, 429)
    program.ask(image=drawn((448, 448))).raise_for_status()
    assert all_are_complete(streams.ends())
    assert asked_by(visitor)
    assert program.decoders() != decoders


def test_terminated_it_writes_all_answers_to_their_end_and_leaves_nothing(server, program):
    streams, family = begun(program, tokens=100), program.family()
    server.process.send_signal(signal.SIGTERM)
    assert all_are_complete(streams.ends())
    assert server.process.wait(timeout=60) == 0
    eventually(lambda: not alive(family), "a process was left behind")


def test_a_killed_front_leaves_no_process(tmp_path):
    with served(tmp_path) as server:
        program = program_of(server)
        streams, family = begun(program), program.family()
        assert program.engine() in family and program.decoders() in family
        server.process.kill()
        assert {end.code for end in streams.ends()} == {"broken"}
        eventually(lambda: not alive(family), "a process was left behind")
        with pytest.raises(httpx.NetworkError):
            program.get("/")


def test_an_engine_that_fails_too_often_fails_health_and_the_page_stays_until_the_end(tmp_path):
    with served(tmp_path, "--engine-tries", "1") as server:
        program = program_of(server)
        family = program.family()
        program.engine().kill()
        eventually(lambda: program.get("/health").status_code == 503, "health did not fail")
        health = program.get("/health").json()
        assert (health["status"], health["state"]) == ("failed", "failed")
        assert "Restart the program" in health["detail"]
        the_page_stays(program, ready=False)
        assert code_of(program.ask()) == (503, "not_ready")
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=60) == 0
        eventually(lambda: not alive(family), "a process was left behind")
