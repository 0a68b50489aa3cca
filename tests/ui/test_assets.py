"""A script and a style need only lie beside their Python to reach the page."""

import re

from qwen_demo.ui import assets

PYTHON = "\n".join(path.read_text(encoding="utf-8") for path in assets.FOLDER.rglob("*.py"))


def test_each_script_has_a_name_of_its_own_and_is_used():
    names = sorted(path.stem for path in assets.FOLDER.rglob("*.js"))
    views = set(re.findall(r'assets\.view\(\s*"(\w+)"', PYTHON))
    assert names == sorted({"views", *assets.EARLY_SCRIPTS, *assets.HEAD_SCRIPTS, *views})


def test_every_style_reaches_the_page_and_a_panels_own_comes_after_what_panels_share():
    whole = assets.styles() + assets.head() + assets.early()
    places = {path: whole.find(path.read_text(encoding="utf-8")) for path in assets.FOLDER.rglob("*.css")}
    assert len(places) > 10 and min(places.values()) >= 0
    shared = places[assets.FOLDER / "panels" / "panels.css"]
    assert all(shared < place for path, place in places.items() if path.parent.parent.name == "panels")


def test_the_page_chooses_the_language_before_anything_else():
    scripts = re.findall(r"<script>(.*?)</script>", assets.early() + assets.head(), re.DOTALL)
    assert len(scripts) == len(assets.EARLY_SCRIPTS) + len(assets.HEAD_SCRIPTS)
    assert "navigator" in scripts[0] and "MutationObserver" in scripts[2]
