"""Figures and tables of PDF pages: where they are, and a line of the model's about each that is found and marked."""

import asyncio

import pypdfium2
import pytest

from qwen_demo.engines.scripted import Script
from qwen_demo.errors import EngineFailed, ModelLoadError
from qwen_demo.knowledge.figure_reader import FigureReader, is_quick
from qwen_demo.media import PageText, Passage
from qwen_demo.media.pdf_text_decoder import _read
from qwen_demo.types import ModelInfo
from tests.conftest import until
from tests.knowledge import files

ME = "key:me"
WORDS = files.words("Report of the year", 72, 760)
LINE = Script(["A bar chart of the ", "herring catch in Bergen."])
# Of 595 by 842 points: x1, y1, x2, y2 from the upper left, and whether it is a table.
AREAS = {
    "a grid": (files.GRID, [((100, 242, 300, 322), True)]),
    "a chart": (files.CHART, [((350, 292, 464, 442), False)]),
    "an image": (files.IMAGE, [((100, 392, 300, 542), False)]),
    "lines across": (files.RULES, [((72, 592, 500, 692), True)]),
    "all of them": (
        files.GRID + files.CHART + files.RULES,
        [((100, 242, 300, 322), True), ((350, 292, 464, 442), False), ((72, 592, 500, 692), True)],
    ),
    "an image cut in strips": (
        "".join(files.IMAGE.replace("200 0 0 150 100 300", f"200 0 0 30 100 {300 + 30 * n}") for n in range(5)),
        [((100, 392, 300, 542), False)],
    ),
    "what lies under the page": (files.GROUND, []),
    "underlines, frames and ornaments": (files.ORNAMENT, []),
    "shapes without end": ("0 0 500 700 re f\n" * 9_000, []),
}


@pytest.mark.parametrize("name", AREAS)
def test_figures_and_tables_are_found_where_they_are(name):
    content, expected = AREAS[name]
    (page,) = pypdfium2.PdfDocument(files.drawn_pdf(WORDS + content))
    found = _read(page)["figures"]
    assert [each["table"] for each in found] == [table for _, table in expected]
    for each, (box, _) in zip(found, expected, strict=True):
        x1, y1, x2, y2 = each["box"]
        assert (x1 * 595, y1 * 842, x2 * 595, y2 * 842) == pytest.approx(box, abs=2.5)


@pytest.mark.parametrize(
    ("page", "place"),
    [
        ("/Rotate 90", (520 / 842, 100 / 595)),
        ("/Rotate 180", (295 / 595, 520 / 842)),
        ("/CropBox [50 300 400 842]", (50 / 350, 242 / 542)),
    ],
)
def test_places_are_those_of_the_page_as_it_is_drawn(page, place):
    (drawn,) = pypdfium2.PdfDocument(files.drawn_pdf(files.words("Here", 110, 580) + files.GRID, page=page))
    read = _read(drawn)
    ((x1, y1, x2, y2),) = [each["box"] for each in read["figures"]]
    assert (x1, y1) == pytest.approx(place, abs=0.01)
    word = read["passages"][0]["box"]
    assert x1 < word[0] < word[2] < x2 and y1 < word[1] < word[3] < y2


def document(pages: int) -> bytes:
    return files.drawn_pdf(*(WORDS + files.words("tons", 360, 520) + files.CHART for _ in range(pages)))


@pytest.mark.asyncio(loop_scope="session")
async def test_a_figure_gets_a_line_that_is_found_cited_and_marked(make):
    knowledge = await make(LINE, knowledge_figures="always")
    entry = await knowledge.add(ME, "c", "report.pdf", document(1))
    assert (entry.state, entry.pages_done, entry.problem) == ("ready", 1, "")
    (request,) = knowledge.engine.requests
    image, text = request.messages[-1].parts
    assert image.size[0] < image.size[1] < 700 and "tons" in text.text and "Report" not in text.text
    (hit,) = await knowledge.search(ME, "c", "How large was the herring catch?", 3)
    (marked,) = [each for each in hit.marked if each.kind]
    assert (marked.text, marked.kind) == ("A bar chart of the herring catch in Bergen.", "figure")
    assert marked.box == pytest.approx((350 / 595, 292 / 842, 464 / 595, 442 / 842), abs=0.01)
    assert "(Figure: A bar chart" in hit.text
    (again,) = await knowledge.search(ME, "c", "report of the year", 3)
    assert again.page.id == hit.page.id and again.page.passages[0].text == "Report of the year"


@pytest.mark.asyncio(loop_scope="session")
async def test_the_embedded_model_and_none_are_not_asked_unless_told_to_and_later_they_are(make):
    first = await make(LINE)
    assert (await first.add(ME, "c", "report.pdf", document(2))).state == "ready"
    assert not first.engine.requests
    await first.close()
    second = await make(LINE, knowledge_figures="always")
    await second.go_on(ME, "c", to_the_end=True)
    assert len(second.engine.requests) == 2
    assert [hit.page.number for hit in await second.search(ME, "c", "herring", 3)] == [1, 2]
    assert (await second.collection(ME, "c")).files[0].pages_done == 2


@pytest.mark.asyncio(loop_scope="session")
async def test_a_file_that_is_gone_from_the_disk_stays_found_when_reading_goes_on(make, tmp_path):
    knowledge = await make(LINE)
    entry = await knowledge.add(ME, "c", "report.pdf", document(1))
    (path,) = tmp_path.rglob(entry.digest)
    path.unlink()
    again = await make(LINE, knowledge_figures="always")
    await again.go_on(ME, "c", to_the_end=True)
    assert (await again.file(ME, "c", "report.pdf")).state == "ready"
    assert len(await again.search(ME, "c", "report", 3)) == 1


@pytest.mark.asyncio(loop_scope="session")
async def test_a_model_that_is_away_costs_the_lines_and_not_the_words(make, monkeypatch):
    knowledge = await make(LINE, knowledge_figures="always")

    async def away(reader):
        raise ModelLoadError("there is none")

    monkeypatch.setattr(FigureReader, "wanted", away)
    assert (await knowledge.add(ME, "c", "report.pdf", document(1))).state == "ready"
    monkeypatch.undo()
    await knowledge.go_on(ME, "c", to_the_end=True)
    assert len(knowledge.engine.requests) == 1


def test_auto_is_a_full_model_on_a_gpu_or_another_server():
    assert is_quick(ModelInfo("m", engine="batching", device="cuda:0"))
    assert is_quick(ModelInfo("m", engine="remote", device="another server"))
    assert not is_quick(ModelInfo("embedded", engine="batching", device="cuda:0", embedded=True))
    assert not is_quick(ModelInfo("m", engine="batching", device="cpu"))
    assert not is_quick(ModelInfo("scripted", engine="scripted", device="none"))


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("way", ["restart", "stop"])
async def test_lines_stop_and_go_on_where_they_were(make, monkeypatch, way):
    first = await make(LINE, knowledge_figures="always")
    whole, stuck = FigureReader.lines, asyncio.Event()

    async def lines(reader, *given):
        if first.engine.requests:
            stuck.set()
            await asyncio.Event().wait()
        return await whole(reader, *given)

    monkeypatch.setattr(FigureReader, "lines", lines)
    adding = asyncio.create_task(first.add(ME, "c", "report.pdf", document(3)))
    await stuck.wait()
    assert [hit.page.number for hit in await first.search(ME, "c", "report of the year", 9)] == [2, 3, 1]
    if way == "stop":
        await first.stop(ME, "c")
        assert (await adding).state == "stopped"
    await first.close()
    adding.cancel()
    monkeypatch.undo()
    second = await make(LINE, knowledge_figures="always")
    if way == "stop":
        assert not second._adding._tasks
        await second.go_on(ME, "c", to_the_end=True)
    await until(lambda: not second._adding._tasks)
    (entry,) = (await second.collection(ME, "c")).files
    assert (entry.state, entry.pages_done) == ("ready", 3)
    assert len(second.engine.requests) == 2
    assert len(await second.search(ME, "c", "herring", 9)) == 3


@pytest.mark.asyncio(loop_scope="session")
async def test_a_page_whose_figure_fails_is_noted_and_the_rest_goes_on(make, monkeypatch):
    knowledge = await make(LINE, knowledge_figures="always")
    whole = FigureReader.lines

    async def lines(reader, page, passages, figures):
        if passages[0].text == "a cursed page":
            raise EngineFailed("it broke")
        return await whole(reader, page, passages, figures)

    monkeypatch.setattr(FigureReader, "lines", lines)
    bad = files.words("a cursed page", 72, 760)
    data = files.drawn_pdf(*(head + files.CHART for head in (WORDS, bad, WORDS)))
    entry = await knowledge.add(ME, "c", "report.pdf", data)
    assert entry.state == "ready" and entry.problem == "Page 2 has no lines about figures: it broke"
    assert {hit.page.number for hit in await knowledge.search(ME, "c", "herring", 9)} == {1, 3}
    for _ in range(4):
        await knowledge.go_on(ME, "c", to_the_end=True)
    collection = knowledge._shelf.open(ME, "c")
    assert collection.database.execute("SELECT tries FROM unmade").fetchall() == [(3,)]


@pytest.mark.asyncio(loop_scope="session")
async def test_what_is_no_line_is_kept_nowhere(make):
    knowledge = await make(Script(None), knowledge_figures="always")  # gives the question back
    entry = await knowledge.add(ME, "c", "report.pdf", document(1))
    assert (entry.state, entry.problem) == ("ready", "")
    page = await knowledge.page(ME, "c", "report.pdf", 1)
    assert page.passages and not any(passage.kind for passage in page.passages)
    await knowledge.go_on(ME, "c", to_the_end=True)
    assert len(knowledge.engine.requests) == 1


def test_a_line_is_told_from_what_stands_there():
    page = PageText(1, (Passage("Stands there"), Passage("Is said", None, "figure")))
    assert [passage.told for passage in page.passages] == ["Stands there", "(Figure: Is said)"]
