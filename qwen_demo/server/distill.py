"""`qwen-demo distill`: a larger model's answers about a folder of images, taught to a smaller one."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qwen_demo.errors import InvalidRequest
from qwen_demo.server.finetune import add_recipe_flags, asked_of, settings_of, taught, tell
from qwen_demo.settings import FlagParser, Settings, apply_environment, process_environment, read_settings

_USAGE = "IMAGES --teacher URL_OR_MODEL --student MODEL --out ADAPTER [settings]"
ANY_IMAGE = ("describe", "read", "find")  # of the page's tasks, those that can be asked of every image


def distill(argv: Sequence[str], prog: str) -> int:
    """Ask the teacher, then teach the student, then say how often the two agree."""
    parser = FlagParser(prog, "Teach a small model the answers of a larger one.", usage=_USAGE, listed=False)
    parser.add_argument("folder", type=Path, metavar="IMAGES", help="a folder of images")
    parser.add_argument("--teacher", required=True, metavar="URL_OR_MODEL", help="an address ending in /v1, or a model")
    parser.add_argument("--teacher-model", default="", metavar="NAME", help="what the address calls it")
    parser.add_argument("--student", required=True, metavar="MODEL", help="embedded, a folder or a hub id")
    parser.add_argument("--questions", type=Path, metavar="FILE", help="one a line; else some of the page's tasks")
    parser.add_argument("--schema", type=Path, metavar="FILE", help="JSON schema that every answer must follow")
    parser.add_argument("--answer-tokens", type=int, default=512, metavar="N", help="of an answer at most")
    parser.add_argument("--data", type=Path, metavar="FILE", help="where the answers are kept; used if it is there")
    parser.add_argument("--held-out", type=float, metavar="SHARE", help="of the images, 0.15 by default")
    add_recipe_flags(parser, remember=0)  # what the student says itself is what is to change
    given, options = parser.read(argv)
    if options.out is None:
        raise InvalidRequest("Where is the adapter to be written? Give --out FOLDER.")
    settings = settings_of(given, options.student)
    teacher = teacher_settings(options, given)
    apply_environment(process_environment())
    asyncio.run(_distilled(options, settings, teacher))
    return 0


def teacher_settings(options: Any, given: dict[str, Any]) -> Settings:
    """Of the engine that answers first; limits and keys as given for both."""
    given = {name: value for name, value in given.items() if name != "model"}
    if options.teacher.startswith(("http://", "https://")):
        of_teacher = {"engine": "remote", "base_url": options.teacher}
        if options.teacher_model:
            of_teacher["model"] = options.teacher_model
    else:
        of_teacher = {"model": options.teacher}
    return read_settings({**given, **of_teacher, "warmup": False})


async def _distilled(options: Any, settings: Settings, teacher: Settings) -> None:
    from qwen_demo.finetune import distill

    data = options.data or options.out.with_name(f"{options.out.name}.jsonl")
    images = distill.images_in(options.folder)
    if data.exists():
        tell(f"{data} is there already: its answers are taught, and the teacher is not asked.")
    else:
        await _ask(options, teacher, images, data)
    options.images, options.boxes, options.question, options.held_out_data = [options.folder], "original", "", None
    facts = await taught(asked_of(options, data), settings, options)
    if "after" in facts:
        before, after = facts["before"], facts["after"]
        tell(
            f"Of {after['rows']} held-out questions the student answers {after['exact']:.0%} word for word as the teacher "
            f"({before['exact']:.0%} before)."
        )


async def _ask(options: Any, teacher: Settings, images: list[Path], data: Path) -> None:
    from qwen_demo.finetune import distill
    from qwen_demo.server.engines import build_engine

    texts = distill.read_questions(options.questions) if options.questions else _of_the_page()
    schema = options.schema.read_text(encoding="utf-8") if options.schema else ""
    questions = distill.Questions(texts, schema, options.answer_tokens)
    engine = build_engine(teacher)
    try:
        await engine.start()
        await distill.write_answers(engine, images, questions, data, teacher, tell)
    finally:
        await engine.close()


def _of_the_page() -> tuple[str, ...]:
    from qwen_demo.ui.panels.tasks.tasks import TASKS

    return tuple(task.prompt for task in TASKS if task.key in ANY_IMAGE)
