"""Through the page's own protocol: no file of the machine can be read, no address fetched."""

import itertools
import json
import os
import re

import pytest

from qwen_demo import media
from qwen_demo.media import fetch
from tests.conftest import ROOT
from tests.hostile import photo, saved
from tests.http.conftest import ADD_URL, CAMERA, EXAMPLE, TAKE, file_data


@pytest.fixture
def secret(tmp_path) -> str:
    """An image that was never uploaded; its name says what it is, so that `.png` rules do not save us."""
    (tmp_path / "secret.png").write_bytes(saved(photo(), "PNG"))
    return str(tmp_path / "secret.png")


def payloads(path: str):
    """Every way in which the page's payloads can name a file."""
    for file in (path, {"path": path}, file_data(path), file_data(path, url=path, orig_name="a.png")):
        yield TAKE, [{"text": "hi", "files": [file]}, []], None
        yield TAKE, [None, [{"role": "user", "content": [{"type": "file", "file": file}]}]], None
        yield TAKE, [None, [{"role": "user", "content": {"component": "image", "value": file, "props": {}}}]], None
        yield EXAMPLE, [[]], {"text": "hi", "files": [file]}
        yield EXAMPLE, [[{"role": "user", "content": [{"type": "file", "file": file}]}]], {"files": [file]}
        yield CAMERA, [{"text": "", "files": []}, file], None


def test_no_event_takes_a_file_that_was_not_uploaded(app, attack, secret):
    attacker = attack(app)
    for path in (secret, "/etc/passwd", str(ROOT / "app.py"), f"{app.uploads}/../../etc/passwd"):
        for target, data, value in payloads(path):
            answer = attacker.event(target, data, value)
            assert answer.status_code == 400 or ("passwd" not in answer.text and "secret" not in answer.text)
    # The images of the examples, which the server itself put there, and nothing else.
    assert {path.name for path in app.uploads.rglob("*") if path.is_file()} <= set(os.listdir(ROOT / "examples"))


def test_what_was_uploaded_is_taken(app, attack):
    """The same protocol works when nobody attacks: the test above can fail."""
    attacker = attack(app)
    path = attacker.upload(saved(photo(), "PNG"))
    answer = attacker.event(TAKE, [{"text": "hi", "files": [file_data(path)]}, []])
    assert answer.status_code == 200
    assert path in answer.text
    assert attacker.event(EXAMPLE, [[]], {}, index=0).status_code == 200


def test_an_example_that_is_not_there_is_no_file(app, attack):
    attacker = attack(app)
    for index in (-99, 99, "x", [99]):
        answer = attacker.event(EXAMPLE, [[]], {"files": ["/etc/passwd"]}, index=index)
        assert answer.status_code == 400
        assert "passwd" not in answer.text


def test_the_endpoints_read_no_file_that_was_not_uploaded(app, attack, secret):
    attacker = attack(app)
    for path in (secret, "file://" + secret, {"path": secret}, file_data(secret), file_data("file://" + secret)):
        assert "event: error" in attacker.call("ask", image=path)
        parts = [{"type": "file", "file": path}, {"type": "text", "text": "hi"}]
        assert "event: error" in attacker.call("chat", messages=[{"role": "user", "content": parts}])
    assert not app.engine.requests
    assert not any(app.uploads.rglob("*secret*"))


def test_mcp_reads_no_file_of_the_machine(app, attack, secret):
    answers = [attack(app).mcp({"question": "hi", "image": path}) for path in (secret, "file://" + secret)]
    assert all('"isError":true' in answer.text for answer in answers)
    assert not app.engine.requests
    assert '"isError":false' in attack(app).mcp({"question": "hi"}).text


def names_of(canary) -> list[str]:
    port = canary.host.rpartition(":")[2]
    return [
        f"http://{host}:{port}/x.png"
        for host in ("127.0.0.1", "localhost", "0.0.0.0", "2130706433", "[::ffff:127.0.0.1]", "a@127.0.0.1")
    ]


@pytest.mark.slow
def test_no_payload_makes_the_server_visit_a_local_address(app, attack, canary):
    attacker = attack(app)
    for url in names_of(canary):
        for target, data, value in payloads(url):
            attacker.event(target, data, value)
        attacker.event(ADD_URL, [url])
        for image in (file_data(url), {"path": url}, url, file_data("x.png", url=url)):
            attacker.call("ask", image=image)
        for part in ({"type": "file", "file": file_data(url)}, {"type": "image_url", "image_url": {"url": url}}):
            attacker.call("chat", messages=[{"role": "user", "content": [part]}])
        attacker.mcp({"question": "hi", "image": url})
        for route in ("file=", "proxy=", "file/"):
            attacker.http.get("/gradio_api/" + route + url)
    assert canary.visits == []


def test_gradio_downloads_nothing_and_our_own_fetch_is_asked_instead(app, attack, monkeypatch):
    """The seam is Gradio's own resolver and our own: the first must never be reached."""
    asked = []

    async def resolve(host):
        asked.append(host)
        raise OSError("no network in tests")

    async def forbidden(*_, **__):
        raise AssertionError("Gradio looked a host up")

    network = media.Network(resolve=resolve)
    monkeypatch.setattr(fetch, "Network", lambda: network)
    monkeypatch.setattr("safehttpx.async_validate_url", forbidden)
    attacker = attack(app)
    url = "https://images.example.org/x.png"
    assert "not known" in attacker.call("ask", image=file_data(url))
    assert '"isError":true' in attacker.mcp({"question": "hi", "image": url}).text
    assert attacker.http.get("/gradio_api/file=" + url).status_code == 404
    attacker.event(TAKE, [{"text": "hi", "files": [file_data(url)]}, []])
    assert asked == ["images.example.org"] * 2
    assert not app.engine.requests


def test_with_fetching_off_no_front_fetches(start, attack):
    attacker = attack(start(fetch_urls="off"))
    url = "https://example.org/x.png"
    assert "fetch" in attacker.call("ask", image=file_data(url))
    assert "--fetch-urls off" in attacker.mcp({"question": "hi", "image": url}).text


def test_mcp_calls_nobody_back_at_the_senders_word(app, attack, canary):
    attacker = attack(app)
    for headers in (
        {"host": canary.host},
        {"x-forwarded-host": canary.host, "x-forwarded-proto": "http"},
        {"forwarded": f"host={canary.host}"},
    ):
        assert '"isError":false' in attacker.mcp({"question": "hi"}, headers).text
    assert canary.visits == []
    assert len(app.engine.requests) == 3


ROUTES = (
    "file=/etc/passwd",
    f"file={ROOT}/app.py",
    f"file={ROOT}/qwen_demo/settings.py",
    "file=../../../../etc/passwd",
    "file=%2fetc%2fpasswd",
    "file=%2e%2e/%2e%2e/etc/passwd",
    "file=UPLOADS/../../etc/passwd",
    "file=UPLOADS/%2e%2e/%2e%2e/etc/passwd",
    "file=UPLOADS",
    "file=UPLOADS/",
    "file=/proc/self/environ",
    "file=file:///etc/passwd",
    "file=http://127.0.0.1/",
    "file=HTTPS:example.org/",
    "file=//etc/passwd",
    "file=\\etc\\passwd",
    "file=/etc/passwd%00.png",
    "file/etc/passwd",
    "proxy=https://example.org/",
    "../etc/passwd",
    "..%2f..%2fetc%2fpasswd",
    "deep_link?session_hash=attacker",
    "vibe-code",
    "dev/reload",
    "runs",
    "run-history/records",
    "monitoring/summary",
    "custom_component/x/client/../../../../app.py",
    "stream/a/b/1/playlist.m3u8",
    "component_server",
    "process_recording",
)


def test_no_route_of_the_page_gives_a_file_that_is_not_an_upload(app, attack):
    http = attack(app).http
    for method, path in itertools.product(("GET", "POST"), ROUTES):
        with http.stream(method, "/gradio_api/" + path.replace("UPLOADS", str(app.uploads)), timeout=60) as answer:
            assert answer.status_code in (400, 403, 404, 405), path
            text = answer.read().decode(errors="replace")
        assert not any(word in text for word in ("root:", "Traceback", "import ", "site-packages")), path


STATIC = (
    "/static/../../../../etc/passwd",
    "/assets/%2e%2e/%2e%2e/%2e%2e/app.py",
    "/static/%2fetc%2fpasswd",
    "/svelte/..%2f..%2fblocks.py",
    "/monitoring/summary",
    "/custom_component/x",
    "/pwa_icon/..%2f..%2fetc%2fpasswd",
)


def test_static_files_end_at_their_folder(app, attack):
    http = attack(app).http
    for path in STATIC:
        answer = http.get(path)
        assert answer.status_code in (400, 403, 404), path
        assert not any(word in answer.text for word in ("root:", "import ", "Traceback")), path


NAMES = (
    "../../evil.png", "..\\..\\evil.png", "/etc/evil.png", "a\x00b.png", "x" * 3000, "\u202egnp.exe",
    "<img src=x onerror=alert(1)>.png", ".", "..", "con.png\r\nX: y",
)  # fmt: skip


def test_an_upload_lands_in_the_folder_whatever_its_name(app, attack):
    http = attack(app).http
    for name in NAMES:
        answer = http.post("/gradio_api/upload", files={"files": (name, b"hello")})
        assert answer.status_code in (200, 400), name
        assert "x" not in answer.headers
        for path in json.loads(answer.text) if answer.status_code == 200 else ():
            assert path.startswith(f"{app.uploads}/")
            assert "/../" not in path


def test_uploads_cannot_be_listed_and_are_found_by_their_content_only(app, attack):
    attacker = attack(app)
    path = attacker.upload(b"private image", "private.png")
    folder = path.rpartition("/")[0]
    for place in (folder, f"{folder}/", str(app.uploads), f"{app.uploads}/private.png", f"{folder[:-1]}/private.png"):
        assert attacker.http.get(f"/gradio_api/file={place}").status_code in (403, 404)
    assert len(folder.rpartition("/")[2]) >= 64  # SHA-256: no guess finds it without knowing the image
    assert attacker.http.get(f"/gradio_api/file={path}").text == "private image"


def test_an_upload_is_never_served_as_a_page(app, attack):
    attacker = attack(app)
    for name in ("page.html", "image.svg", "script.js", "no-ending", "page.xhtml", "a.png.html"):
        path = attacker.upload(b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>", name)
        answer = attacker.http.get(f"/gradio_api/file={path}")
        assert answer.headers["content-disposition"].startswith("attachment"), name
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_images_that_are_bombs_are_refused_by_the_endpoint(app, attack):
    from tests.hostile import STILLS

    attacker = attack(app)
    for name in ("bomb.png", "bomb.gif", "bomb.tiff", "bomb.webp", "100000x1.png", "cut.png", "svg.png", "page.gif"):
        path = attacker.upload(STILLS[name](), name)
        assert "event: error" in attacker.call("ask", image=file_data(path)), name
    assert not app.engine.requests
    for name in ("1x1.png", "zip.png", "html.gif"):
        assert "event: complete" in attacker.call("ask", image=file_data(attacker.upload(STILLS[name](), name))), name


def test_the_configuration_says_nothing_of_secrets_or_sources(start, attack, tmp_path):
    (tmp_path / "keys").write_text("alice:" + "ab" * 32 + "\n")
    app = start(api_keys_file=tmp_path / "keys", hf_token="hf_secret_token")
    http = attack(app).http
    texts = {path: http.get(path).text for path in ("/config", "/gradio_api/info", "/", "/health", "/openapi.json")}
    for path, text in texts.items():
        assert "hf_secret_token" not in text, path
        assert "abababab" not in text, path
        assert str(tmp_path) not in text, path
        assert "site-packages" not in text, path
        # The example images are named by where they lie; nothing else of this machine is.
        assert str(ROOT) not in text.replace(f"{ROOT}/examples/", ""), path


@pytest.mark.slow
def test_no_answer_tells_whether_a_file_of_the_machine_exists(app, attack, secret):
    """A name that is there and one that is not get the same words, in every spelling of every event."""
    attacker = attack(app)
    pairs = [(secret, secret.replace("secret", "nobody")), ("/etc/passwd", "/etc/nobody"), ("/root/.ssh", "/root/.no")]
    for there, missing in pairs:
        for (target, data, value), (_, other_data, other_value) in zip(payloads(there), payloads(missing), strict=True):
            told, other = attacker.event(target, data, value), attacker.event(target, other_data, other_value)
            assert told.status_code == other.status_code, (target, data)
            # But for the seconds that it took.
            texts = [re.sub(r"\d+\.\d+(e-\d+)?", "", text) for text in (told.text.replace(there, missing), other.text)]
            assert texts[0] == texts[1], (target, data)
        for spelled in (str, lambda path: {"path": path}, file_data, lambda path: {"path": path, "url": path}):
            parts = [
                [{"type": kind, name: spelled(path)} for path in (there, missing)]
                for kind, name in (("file", "file"), ("image", "image"), ("path", "path"), ("video", "video"))
            ]
            for told, other in [[attacker.call("ask", image=spelled(path)) for path in (there, missing)]] + [
                [attacker.call("chat", messages=[{"role": "user", "content": [part]}]) for part in pair]
                for pair in parts
            ]:
                names = [path.rpartition("/")[2] for path in (there, missing)]
                assert told.replace(*names) == other, spelled
                assert "event: error" in told
