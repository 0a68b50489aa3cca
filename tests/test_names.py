"""One name for one class, modules that can be read in one go, and nobody taken for a man."""

import ast
import re
from collections import defaultdict
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "qwen_demo"
MODULES = sorted(PACKAGE.rglob("*.py"))

LINES = 300
LONGER = {
    "types.py": "the words that all rooms share, small values one after the other",
    "ui/gradio_internals.py": "an upgrade of Gradio has one address",
    "ui/i18n/texts.py": "a table of what the page says",
}


def test_no_two_classes_have_one_name():
    places = defaultdict(list)
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(f"{path.relative_to(PACKAGE)}:{node.lineno}")
    assert places
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_a_module_ends_where_a_second_noun_begins():
    """Only those of the list are longer, and none stands there that is not."""
    lines = {path.relative_to(PACKAGE).as_posix(): len(path.read_text("utf-8").splitlines()) for path in MODULES}
    assert {name: count for name, count in lines.items() if count > LINES and name not in LONGER} == {}
    assert [name for name in LONGER if lines.get(name, 0) <= LINES] == []


def test_nobody_is_taken_for_a_man():
    """Requests, callers and visitors are "it" or "they"."""
    sources = [path for ending in ("py", "js", "css") for path in sorted(PACKAGE.rglob(f"*.{ending}"))]
    found = [
        f"{path.relative_to(PACKAGE)}:{number}"
        for path in sources
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        # "he" in quotes is Hebrew.
        if re.search(r"\b(?:he(?!\")|his|him|himself)\b", line, re.IGNORECASE)
    ]
    assert found == []
