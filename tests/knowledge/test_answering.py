"""What an answer from a collection cites, by its words."""

import pytest

from qwen_demo.knowledge.answering import CitedAnswer
from qwen_demo.knowledge.entries import StoredPage
from qwen_demo.knowledge.finding import Hit
from qwen_demo.media import Passage
from qwen_demo.types import Finished, TextDelta, Timing, Usage

PASSAGE = Passage("The tenant is blind and cannot read the lease himself.")


async def answered(text: str) -> tuple[str, list[int]]:
    """The text that leaves, and the pages that it cites."""
    cited = CitedAnswer()
    cited.hits = [Hit(StoredPage(1, "lease.pdf", 1, 3, (PASSAGE,)), 1.0, 1.0, (PASSAGE,))]

    async def events():
        yield TextDelta(text)
        yield Finished("stop", Usage(1, 1, 0), Timing())

    told = [event async for event in cited.of(events())]
    return "".join(event.text for event in told if isinstance(event, TextDelta)), [one.page for one in cited.citations]


@pytest.mark.parametrize(
    ("text", "pages"),
    [
        ("The tenant is blind and cannot read it himself [lease.pdf, page 3].", [3]),
        ("The text is too small for me.", []),
        ("The tenant is blind and cannot read the lease himself.", [3]),
    ],
)
async def test_what_is_cited_counts_and_what_is_beyond_the_model_leans_on_nothing(text, pages):
    told, cited = await answered(text)
    assert cited == pages
    assert ("[lease.pdf, page 3]" in told) == bool(pages)
