"""The Knowledge panel's functions: two logins have nothing of each other, nor has a caller without one."""

from types import SimpleNamespace

import gradio as gr
import pytest

from qwen_demo.errors import NotFound
from qwen_demo.knowledge.knowledge import LOCAL
from qwen_demo.ui.endpoints import Endpoints
from qwen_demo.ui.panels.knowledge import knowledge as panel
from qwen_demo.ui.panels.knowledge.sources import FromCollection
from tests.knowledge import files
from tests.knowledge.conftest import decoders, make

__all__ = ["decoders", "make"]
pytestmark = pytest.mark.asyncio(loop_scope="session")


def visitor(name: str | None) -> SimpleNamespace:
    return SimpleNamespace(username=name)


async def test_two_logins_have_nothing_of_each_other(make):
    knowledge = await make()
    anna, ben, nobody = (panel.owner_of(visitor(name)) for name in ("anna", "ben", None))
    assert len({anna, ben, nobody, "key:anna"}) == 4 and nobody == LOCAL
    await knowledge.add(anna, "c", "a.pdf", files.pdf(["alpha words"]))
    assert [each["name"] for each in (await panel.listed(knowledge, anna))["collections"]] == ["c"]
    assert (await panel.page_value(knowledge, anna, ("c", "a.pdf", 1), []))["number"] == 1
    for owner in (ben, nobody):
        assert (await panel.listed(knowledge, owner))["collections"] == []
        with pytest.raises(NotFound):
            await panel.page_value(knowledge, owner, ("c", "a.pdf", 1), [])


async def test_the_tool_searches_what_is_its_callers_alone(make, tmp_path):
    knowledge = await make()
    await knowledge.add("user:anna", "c", "a.txt", b"alpha words")
    await knowledge.add(LOCAL, "l", "b.txt", b"alpha elsewhere")
    with_logins = SimpleNamespace(settings=SimpleNamespace(page_users_file=tmp_path / "users"))
    tool = Endpoints(with_logins, None, knowledge).search_documents
    (found,) = await tool(visitor("anna"), "c", "alpha")
    assert (found["file"], found["page"]) == ("a.txt", 1)
    for name, collection in (("anna", "l"), ("ben", "c"), (None, "c"), (None, "l")):
        with pytest.raises(gr.Error):
            await tool(visitor(name), collection, "alpha")


async def test_an_answer_of_the_chat_tells_its_sources(make):
    knowledge = await make()
    await knowledge.add(LOCAL, "c", "a.pdf", files.pdf(["alpha words"]))
    asked = FromCollection(knowledge._service, knowledge, LOCAL, "c")
    assert asked.sources() == {"collection": "c", "citations": []}
    assert asked.status().state == "ready"


@pytest.mark.parametrize(
    "data", [None, {}, {"page": "x"}, {"page": -1, "file": []}, {"boxes": [[1], "x", [1, 2, 3, "4"]]}]
)
async def test_whatever_a_browser_sends_is_a_place(data):
    event = SimpleNamespace(_data=data)
    assert panel.place_in(event, "c")[2] == 1
    assert panel.boxes_in(event) == []
