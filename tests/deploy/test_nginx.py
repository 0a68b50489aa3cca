"""nginx with the configuration of deploy/nginx, before three real processes on the scripted engine."""

import asyncio
import concurrent.futures
import contextlib
import http.client
import json
import re
import signal
import socket
import ssl
import time
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import expect, sync_playwright

from benchmarks import failover, proxy
from tests import tools
from tests.browser import ARGUMENTS, find
from tests.http.conftest import canary
from tests.servers import Server, running

__all__ = ["canary"]

ROOMY = [("rate=20r/s", "rate=9000r/s"), ("limit_conn open 64", "limit_conn open 900")]
# Some other address of this machine, that inner.conf does not name.
OUTSIDE = "127.0.0.2"


@pytest.fixture(scope="module")
def three():
    """Processes, started at once."""
    with contextlib.ExitStack() as stack, concurrent.futures.ThreadPoolExecutor(3) as pool:
        flags = ("--engine", "scripted", "--max-running", "64", "--canary-s", "0", "--trusted-proxies", "127.0.0.1")
        yield list(pool.map(lambda _: stack.enter_context(running(*flags)), range(3)))


@pytest.fixture(scope="module", autouse=True)
def nginx():
    tools.nginx()


@pytest.fixture(scope="module")
def front(three, tmp_path_factory):
    with proxy.running(tmp_path_factory.mktemp("nginx"), [server.url for server in three], changes=ROOMY) as running_:
        yield running_


def client(front: proxy.Proxy, **options) -> httpx.Client:
    return httpx.Client(base_url=front.url, verify=False, timeout=60, trust_env=False, **options)


def served_by(front: proxy.Proxy, marker: str) -> set[str]:
    """Which servers got the requests whose log lines have `marker`; of several tries the last."""
    lines, end = [], time.monotonic() + 60
    while not lines and time.monotonic() < end:  # nginx writes a line when the caller already has the answer
        lines = [line for line in front.log.splitlines() if marker in line]
        time.sleep(0.05)
    return {re.search(r"to=(?:\S+, )*(\S+)", line).group(1) for line in lines}


def test_the_configuration_as_deployed_is_valid(tmp_path):
    proxy.configure(tmp_path, ["http://127.0.0.1:7861", "http://127.0.0.1:7862"])
    assert "test is successful" in proxy.check(tmp_path)
    # Under systemd standard output is a socket, which no path opens.
    assert "/dev/std" not in (proxy.DEPLOYED / "nginx.conf").read_text()
    (tmp_path / "demo.conf").write_text((tmp_path / "demo.conf").read_text().replace("least_conn;", "most_conn;"))
    with pytest.raises(ValueError, match="most_conn"):
        proxy.check(tmp_path)


@pytest.mark.slow
def test_it_speaks_http2_over_tls_and_sends_plain_callers_there(front):
    context = ssl._create_unverified_context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    port = urlsplit(front.url).port
    with socket.create_connection(("127.0.0.1", port)) as plain, context.wrap_socket(plain) as secure:
        assert secure.selected_alpn_protocol() == "h2"
        assert secure.version() in ("TLSv1.2", "TLSv1.3")
    answer = httpx.get(front.plain_url + "/v1/models?a=1", follow_redirects=False, trust_env=False)
    assert (answer.status_code, answer.headers["location"]) == (308, "https://127.0.0.1/v1/models?a=1")


@pytest.mark.parametrize("path", ["/monitor", "/metrics", "/health", "/ready"])
@pytest.mark.slow
def test_what_is_for_operators_is_closed_to_others(front, path):
    with client(front) as inner:
        answer = inner.get(path)
        assert answer.status_code == 200
        assert "Active connections" in answer.text or path != "/monitor"
    with client(front, transport=httpx.HTTPTransport(verify=False, local_address=OUTSIDE)) as outer:
        assert outer.get(path).status_code == 403
        # Nobody is let in by what he says of himself.
        assert outer.get(path, headers={"X-Forwarded-For": "127.0.0.1", "X-Real-IP": "127.0.0.1"}).status_code == 403
        assert outer.get("/v1/models").status_code == 200


@pytest.mark.slow
def test_a_forged_host_or_address_gets_nothing_behind_it(front, canary):
    """Gradio would call back where the first caller of MCP says that the server is."""
    call = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "ask", "arguments": {"question": "a"}},
    }
    forged = {
        "host": canary.host,
        "x-forwarded-host": canary.host,
        "x-forwarded-for": "127.0.0.1",
        "x-gradio-server": canary.url,
    }
    with client(front) as http:
        accept = {"accept": "application/json, text/event-stream"}
        assert '"isError":false' in http.post("/gradio_api/mcp/", json=call, headers=forged | accept).text
        assert http.get("/config").json()["root"] == front.url
    assert canary.visits == []


@pytest.mark.slow
def test_tokens_come_through_while_the_answer_is_still_made(front, three):
    body = {"messages": [{"role": "user", "content": "word " * 400}], "stream": True, "max_tokens": 400}
    with client(front) as http, http.stream("POST", "/v1/chat/completions", json=body) as answer:
        lines = answer.iter_lines()
        next(line for line in lines if '"content":"word' in line)
        with client(front) as other:
            busy = [httpx.get(server.url + "/ready", trust_env=False).json()["running"] for server in three]
            assert sum(busy) == 1
            assert other.get("/v1/models").status_code == 200


@pytest.mark.slow
def test_a_body_over_the_limit_is_refused_in_the_apis_language(front):
    port = urlsplit(front.url).port
    with contextlib.closing(
        http.client.HTTPSConnection("127.0.0.1", port, context=ssl._create_unverified_context())
    ) as raw:
        raw.putrequest("POST", "/v1/chat/completions")
        raw.putheader("Content-Length", str(65 << 20))
        raw.endheaders()
        answer = raw.getresponse()
        assert answer.status == 413
        assert json.loads(answer.read())["error"]["code"] == "http_413"


@pytest.mark.slow
def test_a_visitor_stays_on_one_server_and_visitors_are_spread(front):
    homes = []
    for number in range(8):
        with client(front) as visitor:
            assert "visitor=" in visitor.get("/").headers["set-cookie"]
            assert "Secure" in visitor.get("/", params={"again": number}).headers.get("set-cookie", "Secure")
            for _ in range(4):
                visitor.get(f"/gradio_api/file=nothing-{number}")
            visitor.post(f"/gradio_api/call/nothing-{number}", json={"data": []})
        homes.append(served_by(front, f"nothing-{number} "))
    assert all(len(home) == 1 for home in homes)
    assert len(set.union(*homes)) >= 2


@pytest.mark.slow
async def test_a_program_without_cookies_finds_its_answer_again(front):
    from benchmarks.users import GradioUser, Question, connect

    for _ in range(4):
        async with connect(front.url) as http:
            outcome = await GradioUser(http, Question("one two three", 8)).ask()
        assert outcome.kind == "answered", outcome.detail


@pytest.mark.slow
def test_one_address_cannot_take_everything(three, tmp_path):
    with proxy.running(tmp_path, [server.url for server in three]) as strict, client(strict) as http:
        answers = [http.get("/v1/models") for _ in range(80)]
        refused = [answer for answer in answers if answer.status_code == 429]
        assert sum(answer.status_code == 200 for answer in answers) >= 40
        assert refused and refused[0].headers["retry-after"] == "1"
        assert refused[0].json()["error"]["code"] == "rate_limited"
        assert http.get("/").status_code == 200  # the page has its own allowance


@pytest.mark.slow
def test_the_page_works_through_it_within_the_limits_of_one_address(three, tmp_path):
    with contextlib.ExitStack() as stack:
        front = stack.enter_context(proxy.running(tmp_path, [server.url for server in three]))
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=find(), args=ARGUMENTS)
        page = browser.new_context(ignore_https_errors=True).new_page()
        page.goto(front.url)
        for words in ("through the proxy", "once again please"):
            page.locator("#question textarea").fill(words)
            page.locator("#question textarea").press("Enter")
            expect(page.locator("#chat .bot.message").last).to_contain_text(words, timeout=60_000)
            expect(page.locator("#question .submit-button")).to_be_visible(timeout=60_000)
        assert not [line for line in front.log.splitlines() if re.search(r" (4|5)\d\d \d+ to=", line)]
        browser.close()
        assert len(served_by(front, "/gradio_api/queue/join")) == 1


def test_where_no_server_answers_the_caller_is_told_when_to_come_back(tmp_path):
    ports = proxy.free_ports(2)
    with proxy.running(tmp_path, [f"http://127.0.0.1:{port}" for port in ports]) as alone, client(alone) as http:
        answer = http.post("/v1/chat/completions", json={})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert answer.json()["error"]["code"] == "not_ready"


@pytest.mark.slow
def test_servers_that_die_or_drain_lose_no_answer_that_had_not_begun(three, front):
    """The last of this file: it ends two of the servers."""
    crowd = failover.Crowd(users=20, words=40)
    events = [(1.0, 0, signal.SIGKILL), (2.0, 1, signal.SIGTERM)]
    asyncio.run(failover.run(front.url, three, crowd, 4.0, events))
    assert crowd.answered > 30
    assert crowd.lost_before_they_began == []
    assert crowd.sessions_moved == 0
    assert _exit_code(three[0]) == -signal.SIGKILL
    assert _exit_code(three[1]) == 0
    with client(front) as http:
        assert http.post("/inference", json={"prompt": "who is left", "max_tokens": 9}).status_code == 200
    assert served_by(front, "POST /inference") == {urlsplit(three[2].url).netloc}


def _exit_code(server: Server) -> int:
    return server.process.wait(timeout=60)
