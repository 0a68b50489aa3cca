"""How many connections there may be, of one address and before no file descriptor is left."""

import asyncio
import json
import resource
import socket
import subprocess
import sys
from contextlib import ExitStack

import pytest
import uvicorn

from qwen_demo.fairness import current_account
from qwen_demo.http import accounts
from qwen_demo.http.accounts import Accounts
from qwen_demo.http.connections import Connections, quiet_at_the_limit
from qwen_demo.http.timeout_protocol import bounded
from qwen_demo.settings import Settings
from tests.api.conftest import PLAIN, TWO_WORDS, App
from tests.conftest import until
from tests.http.test_bounds import address, eventually

ONE, OTHER, PROXY = ("10.0.0.1", 1), ("10.0.0.2", 1), ("10.0.0.9", 1)


async def test_one_address_has_so_many_connections_and_others_have_theirs(caplog):
    connections = Connections(2, proxies=("10.0.0.9",), limit=1000)
    assert [connections.enter(ONE, 5) for _ in range(3)] == [0, 0, 429]
    assert connections.enter(OTHER, 5) == 0
    assert [connections.enter(PROXY, 5) for _ in range(9)] == [0] * 9
    connections.leave(PROXY)
    connections.leave(ONE)
    assert connections.enter(ONE, 5) == 0
    assert [record.getMessage() for record in caplog.records] == ["10.0.0.1 has 2 connections: more of it are refused"]


async def test_a_network_of_ipv6_is_one_address():
    connections = Connections(1, limit=1000)
    assert connections.enter(("2001:db8::1", 1), 5) == 0
    assert connections.enter(("2001:db8::2", 1), 5) == 429
    assert connections.enter(("2001:db8:0:1::2", 1), 5) == 0


async def test_the_last_descriptors_are_kept_for_files_and_decoders(caplog):
    connections = Connections(10_000, share=0.5, limit=160)
    assert connections.enter(ONE, 139) == 0
    assert connections.enter(OTHER, 140) == 503
    assert connections.enter(PROXY, 159) == 503
    assert "140 file descriptors are open" in caplog.text
    assert [connections.enter(ONE, 5) for _ in range(70)].count(429) == 1


@pytest.fixture
def few(monkeypatch):
    """An application behind the protocol of the server, for eight connections of one address."""
    config = uvicorn.Config
    monkeypatch.setattr(uvicorn, "Config", lambda app, **more: config(app, http=bounded(Connections(8)), **more))
    app = App(Settings(**PLAIN), TWO_WORDS)
    yield app
    app.stop()


def answer(raw: socket.socket) -> tuple[int, dict]:
    got = b""
    while piece := raw.recv(65536):
        got += piece
    head, _, body = got.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


def test_who_connects_too_often_is_told_so_and_others_are_served(few):
    with ExitStack() as held:
        for _ in range(8):
            held.enter_context(socket.create_connection(address(few), timeout=60))
        with socket.create_connection(address(few), timeout=60) as refused:
            status, body = answer(refused)
        assert status == 429
        assert "--caller-connections" in body["error"]["message"]
        other = socket.create_connection(address(few), timeout=60, source_address=("127.0.0.2", 0))
        with other:
            other.sendall(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            assert answer(other)[0] == 200
    eventually(lambda: not few.server.server_state.connections, "connections stayed")
    with few.client() as http:
        assert http.get("/health").status_code == 200


STARVED = """
import asyncio, resource, socket, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
import uvicorn
from qwen_demo.http.connections import Connections, quiet_at_the_limit
from qwen_demo.http.timeout_protocol import bounded

async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"well"})

async def main():
    quiet_at_the_limit(asyncio.get_running_loop())
    protocol = bounded(Connections(1000))
    config = uvicorn.Config(app, port=0, log_config=None, lifespan="off", ws="none", http=protocol)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    print(server.servers[0].sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    times = resource.getrusage(resource.RUSAGE_SELF)
    print(times.ru_utime + times.ru_stime, flush=True)
    server.should_exit = True
    await serving

if sys.argv[1] == "uvloop":
    import uvloop
    uvloop.run(main())
else:
    asyncio.run(main())
"""


def answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=60) as raw:
            raw.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            got = b""
            while piece := raw.recv(65536):
                got += piece
    except OSError:
        return False
    return b"well" in got


@pytest.mark.slow
@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_without_a_descriptor_left_the_server_says_so_and_recovers(loop):
    command = [sys.executable, "-c", STARVED, loop]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as server, ExitStack() as ending:
        ending.callback(server.kill)
        port = int(server.stdout.readline())
        with ExitStack() as held:
            opened = [held.enter_context(socket.create_connection(("127.0.0.1", port), timeout=60)) for _ in range(120)]
            # Those beyond the limit are told so, or closed; nobody is left hanging.
            assert opened[-1].recv(100)[:12] in (b"HTTP/1.1 503", b"")
        eventually(lambda: answers(port), "it did not recover")
        _, told = server.communicate("end\n", timeout=60)
    assert "file descriptor" in told
    assert told.count("\n") < 50, told[:2000]


async def test_other_failures_of_the_loop_are_told_as_ever(caplog):
    class Loop:
        def __init__(self):
            self.told = []

        def set_exception_handler(self, handler):
            self.handle = handler

        def default_exception_handler(self, context):
            self.told.append(context)

        def time(self):
            return 0.0

    loop = Loop()
    quiet_at_the_limit(loop)
    loop.handle(loop, {"message": "something else"})
    for _ in range(1000):
        loop.handle(loop, {"message": "socket.accept() out of system resource", "exception": OSError(24, "Too many")})
    assert len(loop.told) == len(caplog.records) == 1


async def test_requests_of_one_address_are_bounded_and_bear_its_account():
    seen, going, sent = [], [], []

    async def app(scope, receive, send):
        seen.append(current_account.get())
        going.append(asyncio.Event())
        await going[-1].wait()

    class State:
        state = type("", (), {"service": type("", (), {"metrics": type("", (), {"rejected": lambda self, _: None})()})})

    async def send(message):
        sent.append(message)

    guard = Accounts(app, at_once=3)
    scope = {"type": "http", "client": ONE, "app": State}
    running = [asyncio.create_task(guard(dict(scope), None, send)) for _ in range(3)]
    await until(lambda: len(going) == 3)
    await guard(dict(scope), None, send)
    assert sent[0]["status"] == 429
    running.append(asyncio.create_task(guard({**scope, "client": OTHER}, None, send)))
    await until(lambda: len(going) == 4)
    assert seen == [("10.0.0.1",)] * 3 + [("10.0.0.2",)]
    for event in going:
        event.set()
    await asyncio.gather(*running)
    running = [asyncio.create_task(guard(dict(scope), None, send))]
    await until(lambda: len(going) == 5)
    going[-1].set()
    await asyncio.gather(*running)


async def test_many_requests_of_one_address_do_not_begin_in_one_turn_of_the_loop():
    begun = 0

    async def app(scope, receive, send):
        nonlocal begun
        begun += 1

    guard = Accounts(app, at_once=1000)
    running = [asyncio.create_task(guard({"type": "http", "client": ONE}, None, None)) for _ in range(100)]
    await asyncio.sleep(0)
    assert begun == accounts.BEGIN_AT_ONCE
    await guard({"type": "http", "client": OTHER}, None, None)
    assert begun == accounts.BEGIN_AT_ONCE + 1
    await asyncio.gather(*running)
    assert begun == 101


def test_the_limit_of_the_system_is_what_counts():
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert Connections(1)._last < soft
