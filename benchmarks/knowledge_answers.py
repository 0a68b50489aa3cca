"""Answers and readings of a served model: pages it cites, questions it refuses, scans it reads so that they are found.

    python -m benchmarks.knowledge_answers --questions 24 --scans 24 --model embedded --out FOLDER

Questions have one right page each, or none: about what is nowhere, and about what their page does not say. Scans are
images of a line, without any text; whether they are found depends on what the model read.
"""

import argparse
import asyncio
import io
import logging
import random
import statistics
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import PIL.Image
import PIL.ImageDraw

from benchmarks.machine import write
from qwen_demo.answers.beyond import is_beyond
from qwen_demo.knowledge import citations
from qwen_demo.knowledge.knowledge import LOCAL, Knowledge
from qwen_demo.media import MediaLoader
from qwen_demo.server.engines import build_engine
from qwen_demo.service.service import Service
from qwen_demo.settings import Settings, apply_environment, process_environment
from qwen_demo.types import ChatRequest, Message, Sampling, Text, TextDelta

TOP_K = 3
PLACES = ("Oslo", "Porto", "Dublin", "Geneva", "Krakow", "Nantes")
THINGS = ("boiler", "ladder", "piano", "tractor", "camera", "kettle", "violin", "anchor")


def facts(count: int) -> list[tuple[str, str, str, str]]:
    """Text of a page, a question that it answers, the answer, and a question about it that it does not answer."""
    made, found = random.Random(23), []
    for number in range(count):
        thing, place, price = THINGS[number % len(THINGS)], PLACES[number // len(THINGS) % len(PLACES)], 100 + number
        text = f"Order {4000 + number}\nOne {thing} for {place}.\nThe price is {price} EUR.\nPaid in {made.randint(2, 9)} parts."
        ask = f"What is the price of the {thing} for {place} in order {4000 + number}?"
        found.append((text, ask, str(price), f"What colour is the {thing} for {place} in order {4000 + number}?"))
    return found


def scan(line: str) -> bytes:
    image = PIL.Image.new("RGB", (448, 112), "white")
    PIL.ImageDraw.Draw(image).text((20, 40), line, fill="black", font_size=24)
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


@asynccontextmanager
async def opened(settings: Settings) -> AsyncGenerator[Knowledge, None]:
    service = Service(settings.model_copy(update={"warmup": False}), build_engine(settings))
    async with aclosing(MediaLoader.of(settings)) as loader:
        knowledge = Knowledge(settings, loader, service)
        service.start()
        await service.loaded()
        try:
            yield knowledge
        finally:
            await knowledge.close()
            await service.close()


async def asked(knowledge: Knowledge, name: str, question: str) -> tuple[str, list[citations.Citation]]:
    async def making() -> ChatRequest:
        return ChatRequest((Message("user", (Text(question),)),), Sampling(64))

    events, cited = knowledge.answer(LOCAL, name, TOP_K, making(), "api")
    text = "".join([event.text async for event in events if isinstance(event, TextDelta)])
    return text, cited.citations


async def answers(knowledge: Knowledge, count: int) -> dict[str, Any]:
    known = facts(count)
    for number, (text, *_) in enumerate(known):
        await knowledge.add(LOCAL, "orders", f"order {number}.txt", text.encode())
    right, named, correct, beyond, seconds = [], [], [], [], []
    for number, (_, question, answer, _) in enumerate(known):
        began = time.perf_counter()
        said, cited = await asked(knowledge, "orders", question)
        seconds.append(time.perf_counter() - began)
        right.append(any(each.file == f"order {number}.txt" for each in cited))
        # What was added at the end is not the model's own.
        own = said.removesuffix(citations.written(cited[-1].file, cited[-1].page)) if cited else said
        named.append("[order " in own)
        correct.append(answer in own)
        beyond.append(is_beyond(said))
    nowhere = [await asked(knowledge, "orders", f"Who sang in {place} at the wedding of 1987?") for place in PLACES]
    beside = [await asked(knowledge, "orders", each[3]) for each in known]
    return {
        "questions": count,
        "cites_the_right_page": statistics.fmean(right),
        "names_it_itself": statistics.fmean(named),
        "says_it_cannot": statistics.fmean(beyond),
        "answers_right": statistics.fmean(correct),
        "refused_nowhere": statistics.fmean(citations.is_refusal(said) for said, _ in nowhere),
        "refused_beside": statistics.fmean(citations.is_refusal(said) for said, _ in beside),
        "refused_or_cannot_beside": statistics.fmean(
            citations.is_refusal(said) or is_beyond(said) for said, _ in beside
        ),
        "s_median": statistics.median(seconds),
        "examples": [(await asked(knowledge, "orders", known[0][1]))[0], beside[0][0]],
    }


async def readings(knowledge: Knowledge, count: int) -> dict[str, Any]:
    """Scans that are found by two words of theirs, at 1 and 3, and whose words were all read."""
    made = random.Random(29)
    lines = [f"{made.choice(THINGS)} {made.choice(PLACES)} {number}" for number in made.sample(range(100, 999), count)]
    began = time.perf_counter()
    for number, line in enumerate(lines):
        await knowledge.add(LOCAL, "scans", f"{number}.png", scan(line))
    seconds = time.perf_counter() - began
    ranks, whole = [], []
    for number, line in enumerate(lines):
        hits = await knowledge.search(LOCAL, "scans", line, 3)
        files = [hit.page.file for hit in hits]
        ranks.append(files.index(f"{number}.png") + 1 if f"{number}.png" in files else 0)
        page = await knowledge.page(LOCAL, "scans", f"{number}.png", 1)
        read = " ".join(passage.text for passage in page.passages)
        whole.append(all(word in read for word in line.split()))
    return {
        "scans": count,
        "read_whole": statistics.fmean(whole),
        "recall_at_1": statistics.fmean(rank == 1 for rank in ranks),
        "recall_at_3": statistics.fmean(rank > 0 for rank in ranks),
        "pages_per_s": count / seconds,
    }


async def measured(settings: Settings, questions: int, scans: int) -> dict[str, Any]:
    async with opened(settings) as knowledge:
        return {
            "model": knowledge.model.model_id,
            "second_look": settings.second_look,
            "readings": await readings(knowledge, scans),
            "answers": await answers(knowledge, questions),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=24)
    parser.add_argument("--scans", type=int, default=24)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--second-look", action="store_true")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    apply_environment(process_environment())
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(model=given.model, knowledge_dir=Path(folder), second_look=given.second_look, canary_s=0)
        result = asyncio.run(measured(settings, given.questions, given.scans))
    print(result)
    if given.out:
        write("knowledge-answers", result, given.out)


if __name__ == "__main__":
    main()
