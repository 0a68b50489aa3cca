"""Where a request comes from and where it was sent, as everything after the arrival sees it."""

import pytest
from starlette.requests import Request

from qwen_demo.errors import SettingsError
from qwen_demo.http import rates
from qwen_demo.http.access import ApiAccess
from qwen_demo.http.arrival import ON_BEHALF, RELAYED, Arrival, Hosts, OwnCalls, Proxies
from qwen_demo.http.credentials import hash_of_password, new_key
from qwen_demo.http.errors import ApiError
from qwen_demo.http.rates import Rate
from qwen_demo.settings import Settings

PEER = "192.0.2.1"


async def arrive(path="/", headers=(), *, client=(PEER, 1234), own_calls=None, **settings) -> tuple[dict | None, int]:
    """The scope that comes after, or None, and the status of a refusal, or 0."""
    found: list[dict] = []
    status = []

    async def app(scope, receive, send):
        found.append(scope)

    async def send(message):
        status.append(message.get("status"))

    given = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
    scope = {"type": "http", "client": client, "path": path, "scheme": "http", "method": "GET", "headers": given}
    arrival = Arrival(app, settings=Settings(**settings), own_calls=own_calls or OwnCalls())
    await arrival(scope, None, send)
    return (found[0], 0) if found else (None, status[0])


FORWARDED = [
    ("X-Forwarded-For", "198.51.100.7"),
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-Host", "demo.example.org"),
]


async def test_forwarded_addresses_are_believed_from_trusted_proxies_alone():
    scope, _ = await arrive(headers=FORWARDED, trusted_proxies=PEER, host="0.0.0.0")
    assert (scope["client"], scope["scheme"]) == (("198.51.100.7", 0), "https")
    assert Request(scope).url == "https://demo.example.org/"
    for trusted in ("", "127.0.0.1", "192.0.2.2,10.0.0.0/8"):
        scope, _ = await arrive(headers=[("Host", "own"), *FORWARDED], trusted_proxies=trusted, host="0.0.0.0")
        assert (scope["client"], scope["scheme"], scope[RELAYED]) == ((PEER, 1234), "http", True)
        assert scope["headers"] == [(b"host", b"own")]


async def test_loopback_is_a_proxy_only_if_it_is_named():
    scope, _ = await arrive(headers=FORWARDED, client=("127.0.0.1", 5))
    assert scope["client"] == ("127.0.0.1", 5)
    scope, _ = await arrive(headers=FORWARDED, client=("127.0.0.1", 5), trusted_proxies="127.0.0.1")
    assert scope["client"] == ("198.51.100.7", 0)


@pytest.mark.parametrize(
    ("chain", "caller"),
    [
        ("203.0.113.5, 198.51.100.7", "198.51.100.7"),  # the first is the caller's own word
        ("198.51.100.7, 10.1.1.1", "198.51.100.7"),
        ("198.51.100.7:99", "198.51.100.7"),
        ("[2001:db8::7]:99", "2001:db8::7"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("10.1.1.1, 10.2.2.2", "10.1.1.1"),
        ("unknown", PEER),
        ("198.51.100.7, x" * 2000, PEER),
        ("", PEER),
        (", ", PEER),
        ("\xff", PEER),
    ],
)
async def test_the_caller_is_the_last_that_is_no_proxy_of_ours(chain, caller):
    scope, _ = await arrive(headers=[("X-Forwarded-For", chain)], trusted_proxies=f"{PEER}, 10.0.0.0/8")
    assert scope["client"][0] == caller


async def test_several_headers_are_one_chain():
    chain = [("X-Forwarded-For", "198.51.100.7"), ("X-Forwarded-For", "10.1.1.1")]
    scope, _ = await arrive(headers=chain, trusted_proxies=f"{PEER}, 10.0.0.0/8")
    assert scope["client"][0] == "198.51.100.7"


@pytest.mark.parametrize("names", ["proxy.example", "10.0.0.0/99", "127.0.0.1;10.0.0.1"])
def test_a_proxy_without_an_address_is_told_at_start(names):
    with pytest.raises(SettingsError, match="--trusted-proxies"):
        Proxies(names)


@pytest.mark.parametrize(
    "host", ["", "localhost", "LOCALHOST:7860", "127.0.0.1:7860", "[::1]:7860", "192.0.2.9", "mypc", "a.localhost"]
)
async def test_on_loopback_its_own_names_are_let_in(host):
    scope, status = await arrive(headers=[("Host", host)] if host else [])
    assert status == 0
    assert scope["headers"] == ([(b"host", host.encode())] if host else [])


@pytest.mark.parametrize(
    "host", ["rebind.evil", "rebind.evil:7860", "localhost.evil.example", "127.0.0.1.evil.example", "evil.example."]
)
async def test_on_loopback_no_name_of_another_site_is(host):
    """The browser of a visitor of that site takes both for the same one, as its name server gave this address."""
    for headers in ([("Host", host)], [("Host", host), ("X-Forwarded-Host", "localhost")]):
        assert await arrive(headers=headers) == (None, 421)
    assert (await arrive(headers=[("Host", host)], host="0.0.0.0"))[1] == 0
    assert (await arrive(headers=[("Host", host)], host="0.0.0.0", allowed_hosts="demo.example.org"))[1] == 421


async def test_a_trusted_proxy_answers_for_the_name_unless_names_are_given():
    headers = [("Host", "demo.example.org")]
    assert (await arrive(headers=headers, trusted_proxies=PEER))[1] == 0
    assert (await arrive(headers=headers, trusted_proxies=PEER, allowed_hosts="other.example.org"))[1] == 421
    assert (await arrive(headers=headers, trusted_proxies=PEER, allowed_hosts="*.example.org"))[1] == 0


def test_a_star_is_every_name_under_it():
    hosts = Hosts(("*.example.org",), on_loopback=True)
    assert "a.example.org:80" in hosts and "a.b.example.org" in hosts
    assert "example.org" not in hosts and "evilexample.org" not in hosts


@pytest.mark.parametrize(
    "host", ['a"><script>', "a b", "a/b", "evil@localhost", "a:b", "a:99999999", "x" * 300, "[::1", "\xe9"]
)
async def test_what_is_no_host_is_refused(host):
    assert await arrive(headers=[("Host", host)], host="0.0.0.0") == (None, 400)


async def test_two_hosts_and_control_characters_are_refused():
    assert await arrive(headers=[("Host", "a"), ("Host", "b")]) == (None, 400)
    assert await arrive("/static/a\0b") == (None, 400)
    assert await arrive("/a\r\nX: y") == (None, 400)


@pytest.mark.parametrize(
    ("sent", "routed"),
    [
        ("/qwen/health", "/health"),
        ("/health", "/health"),
        ("/qwen", "/"),
        ("/qwen/", "/"),
        ("/qwen/qwen/health", "/qwen/health"),
        ("/qwenhealth", "/qwenhealth"),
        ("/QWEN/health", "/QWEN/health"),
        ("//qwen/health", "//qwen/health"),
    ],
)
async def test_the_prefix_is_taken_off_once(sent, routed):
    scope, _ = await arrive(sent, root_path="/qwen/")
    assert scope["path"] == routed


async def test_a_call_of_its_own_comes_from_who_made_it_and_nobody_else_can_say_so():
    own_calls = OwnCalls()
    name, value = own_calls.header({"client": ("198.51.100.7", 9)})
    scope, _ = await arrive(headers=[(name.decode(), value.decode())], own_calls=own_calls)
    assert scope["client"] == ("198.51.100.7", 0) and not scope["headers"]
    forged = [(ON_BEHALF.decode(), "0123456789abcdef 198.51.100.7")]
    scope, _ = await arrive(headers=forged, own_calls=own_calls)
    assert scope["client"][0] == PEER and not scope["headers"]


def test_on_spaces_the_platforms_own_proxies_are_trusted(monkeypatch):
    monkeypatch.setenv("SPACE_ID", "somebody/demo")
    proxies = Proxies(Settings().trusted_proxies)
    assert all(address in proxies for address in ("10.20.1.4", "172.17.0.1", "100.64.3.2", "fd00::1"))
    assert "198.51.100.7" not in proxies
    monkeypatch.delenv("SPACE_ID")
    assert "127.0.0.1" not in Proxies(Settings().trusted_proxies)


# ---- rates


@pytest.fixture
def clock(monkeypatch):
    """What the monotonic clock says, and a wall clock that nobody should look at."""
    now = [1000.0]
    monkeypatch.setattr(rates.time, "monotonic", lambda: now[0])
    return now


def test_so_many_in_so_long_and_then_again(clock):
    rate = Rate("3/minute")
    assert [rate.hit("a") for _ in range(3)] == [0, 0, 0]
    assert rate.hit("a") == rate.wait_s("a") == 60
    assert rate.hit("b") == 0
    clock[0] += 59
    assert rate.hit("a") == 1
    clock[0] += 1
    assert rate.hit("a") == 0


@pytest.mark.parametrize("jump_s", [-3600, 3600])
def test_a_clock_that_is_set_locks_nobody_and_opens_nothing(monkeypatch, jump_s):
    rate = Rate("3/minute")
    for _ in range(3):
        rate.hit("a")
    wall = rates.time.time
    monkeypatch.setattr(rates.time, "time", lambda: wall() + jump_s)
    assert 0 < rate.hit("a") <= 60


def test_what_is_forgiven_does_not_count(clock):
    rate = Rate("2/minute")
    for _ in range(5):
        assert rate.hit("a") == 0
        rate.forgive("a")
    rate.forgive("nobody")


def test_names_are_forgotten_the_oldest_first(monkeypatch):
    monkeypatch.setattr(rates, "KEPT_NAMES", 3)
    rate = Rate("1/day")
    for name in "abcd":
        rate.hit(name)
    assert [bool(rate.wait_s(name)) for name in "abcd"] == [False, True, True, True]


async def test_wrong_keys_lock_the_right_one_out_nowhere(tmp_path):
    key, hashed = new_key()
    (tmp_path / "keys").write_text(f"alice:{hashed}\n")
    access = ApiAccess(Settings(api_keys_file=tmp_path / "keys"))

    def request(key: str) -> Request:
        return Request({"type": "http", "client": (PEER, 1), "headers": [(b"x-api-key", key.encode())]})

    outcomes = []
    for number in range(15):
        with pytest.raises(Exception) as refused:
            await access.admit(request(f"guess {number}"))
        outcomes.append(isinstance(refused.value, ApiError))
    assert outcomes == [True] * 10 + [False] * 5
    assert (await access.admit(request(key))).name == "key:alice"


# ---- the whole application under a prefix

P = "/qwen"


@pytest.fixture
def guarded(start, tmp_path):
    (tmp_path / "users").write_text(f"alice:{hash_of_password('right horse')}\n")
    key, hashed = new_key()
    (tmp_path / "keys").write_text(f"program:{hashed}\n")
    app = start(
        page_users_file=tmp_path / "users", api_keys_file=tmp_path / "keys", root_path=P, max_request_bytes=100_000
    )
    app.key = key
    return app


def test_the_prefix_opens_no_second_door(guarded, canary):
    large = b'{"session_hash":"a","fn_index":0,"event_id":"' + b"x" * 300_000 + b'"}'
    call = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "ask", "arguments": {"question": "a"}},
    }
    accept = {"accept": "application/json, text/event-stream"}
    with guarded.client() as http:
        for prefix in (P, f"{P}{P}", "/QWEN", f"/{P}"):
            for path in (
                "monitoring",
                "gradio_api/vibe-code",
                "gradio_api/proxy=https://example.com/",
                "gradio_api/runs",
            ):
                assert http.get(f"{guarded.url}{prefix}/{path}").status_code == 404, (prefix, path)
        for prefix in ("", P):
            assert http.get(f"{prefix}/v1/models").status_code == 401
            assert http.get(f"{prefix}/gradio_api/mcp/schema").status_code == 401
            assert http.get(f"{prefix}/health").status_code == 200
            json = {"content-type": "application/json"}
            assert http.post(f"{prefix}/gradio_api/cancel", content=large, headers=json).status_code == 413
            assert http.post(f"{prefix}/v1/models", headers={"origin": "https://evil.example"}).status_code == 403
            for headers in (accept, accept | {"host": canary.host}):
                assert http.post(f"{prefix}/gradio_api/mcp/", json=call, headers=headers).status_code == 401
        guesses = [f"{P * (number % 2)}/login" for number in range(14)]
        wrong = {"username": "alice", "password": "x"}
        assert [http.post(path, data=wrong).status_code for path in guesses] == [400] * 10 + [429] * 4
        assert canary.visits == [] and not guarded.engine.requests
        # And who may come in is let in by both.
        for prefix in ("", P):
            told = accept | {"authorization": f"Bearer {guarded.key}", "host": canary.host}
            assert '"isError":false' in http.post(f"{prefix}/gradio_api/mcp/", json=call, headers=told).text
            assert http.get(f"{prefix}/v1/models", headers=told).status_code == 200
        assert canary.visits == [] and len(guarded.engine.requests) == 2


def test_links_have_the_prefix(start):
    with start(root_path=P).client() as http:
        for prefix in ("", P):
            assert http.get(f"{prefix}/config").json()["root"] == f"{str(http.base_url).rstrip('/')}{P}"
            assert f"'{P}/openapi.json'" in http.get(f"{prefix}/docs").text
            for script in ("theme.css", "favicon.ico", "gradio_api/info"):
                assert http.get(f"{prefix}/{script}").status_code == 200, script
