"""Other sites' pages: the preflight and the request itself say the same."""

import pytest
from pydantic import ValidationError

from qwen_demo.settings import Settings
from tests.api.conftest import start  # noqa: F401 a fixture

HELLO = {"messages": [{"role": "user", "content": "hello"}]}


def answers(app, origin: str, path: str) -> tuple[bool, bool]:
    """Whether the preflight, and whether the request, lets a page of `origin` in."""
    with app.client() as client:
        ask = {"origin": origin, "access-control-request-method": "POST", "access-control-request-headers": "x-a"}
        asked = client.options(path, headers=ask).headers.get("access-control-allow-origin")
        sent = client.post(path, json=HELLO, headers={"origin": origin, "sec-fetch-site": "cross-site"})
    return asked in (origin, "*"), sent.status_code != 403


def test_a_star_lets_every_site_call_the_api_and_none_the_page(start):  # noqa: F811
    app = start(cors_origins="*")
    assert answers(app, "http://localhost:3000", "/v1/chat/completions") == (True, True)
    assert answers(app, "null", "/inference") == (True, True)
    assert answers(app, "http://localhost:3000", "/gradio_api/queue/join") == (False, False)
    assert answers(app, "http://localhost:3000", "/login") == (False, False)


def test_what_is_deleted_through_the_api_is_deleted_from_other_sites_as_well(start):  # noqa: F811
    ask = {"origin": "https://b.org", "access-control-request-method": "DELETE"}
    with start(cors_origins="https://b.org").client() as client:
        assert client.options("/v1/knowledge/a", headers=ask).status_code == 200


def test_a_named_site_may_call_however_it_was_written(start):  # noqa: F811
    app = start(cors_origins="http://Localhost:3000/, https://b.org")
    assert answers(app, "http://localhost:3000", "/v1/chat/completions") == (True, True)
    assert answers(app, "http://localhost:3000", "/gradio_api/queue/join") == (True, True)
    assert answers(app, "https://c.org", "/v1/chat/completions") == (False, False)


def test_a_star_beside_a_name_leaves_the_page_to_the_name(start):  # noqa: F811
    app = start(cors_origins="*,https://b.org")
    assert answers(app, "https://c.org", "/v1/chat/completions") == (True, True)
    assert answers(app, "https://c.org", "/gradio_api/queue/join") == (False, False)
    assert answers(app, "https://b.org", "/gradio_api/queue/join") == (True, True)


@pytest.mark.parametrize("origin", ["example.org", "https://a.org/app", "https://*/x", "https://"])
def test_an_origin_that_no_browser_sends_is_refused_at_start(origin):
    with pytest.raises(ValidationError, match="is no origin"):
        Settings(cors_origins=origin)
