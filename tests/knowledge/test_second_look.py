"""The served model looks at the pages that were found: those that it says no to come last, or are no answer at all."""

import pytest

from qwen_demo.engines.scripted import Script
from qwen_demo.knowledge.answering import Evidence
from qwen_demo.knowledge.second_look import judgement, looked_at
from qwen_demo.types import ChatRequest, Image, Message, Sampling, Text, TextDelta
from tests.knowledge import files

pytestmark = pytest.mark.asyncio(loop_scope="session")
ME = "key:me"
TWINS = files.pdf(["Boiler log of 2023", "Its pressure is 2.5 bar"], ["Boiler log of 2024", "Its pressure is 3.5 bar"])


async def answered(knowledge, question: str):
    async def making():
        return ChatRequest((Message("user", (Text(question),)),), Sampling(64))

    events, cited = knowledge.answer(ME, "c", 5, making(), "api")
    text = "".join([event.text async for event in events if isinstance(event, TextDelta)])
    return text, cited


async def test_the_page_that_the_model_says_yes_to_comes_first(make):
    knowledge = await make(second_look=True)
    await knowledge.add(ME, "c", "log.pdf", TWINS)
    hits = await knowledge.search(ME, "c", "pressure of the boiler", 5)
    evidence = [Evidence(hit, (await knowledge.page_image(ME, "c", "log.pdf", hit.page.number)).image) for hit in hits]
    seen = []

    async def says(asked: ChatRequest) -> str:
        (image,) = (part for part in asked.messages[-1].parts if isinstance(part, Image))
        seen.append(image.name)
        return "Yes." if image is evidence[-1].image else "No."

    judged = await looked_at(says, "What is the pressure of the boiler?", evidence)
    assert judged.kept == evidence[::-1]
    assert (judged.said, len(seen)) == ([False, True], 2)


async def test_where_every_page_is_said_no_to_the_documents_do_not_have_it(make):
    knowledge = await make(Script(["No."]), second_look=True)
    await knowledge.add(ME, "c", "log.pdf", TWINS)
    text, cited = await answered(knowledge, "pressure of the boiler")
    assert (text, cited.citations) == ("This is not in your documents.", [])
    assert len(knowledge.engine.requests) == 2


async def test_what_is_neither_yes_nor_no_changes_nothing(make):
    knowledge = await make(Script(["Perhaps"]), second_look=True)
    await knowledge.add(ME, "c", "log.pdf", TWINS)
    before = [hit.page.number for hit in await knowledge.search(ME, "c", "pressure of the boiler", 5)]
    _, cited = await answered(knowledge, "pressure of the boiler")
    assert [hit.page.number for hit in cited.hits] == before


@pytest.mark.parametrize(
    ("said", "judged"),
    [
        ("Yes.", True),
        ("**yes**", True),
        ("No", False),
        ("不是", False),
        ("是的", True),
        ("Nobody knows", None),
        ("", None),
    ],
)
async def test_yes_and_no_are_read_as_they_are_said(said, judged):
    assert judgement(said) is judged
