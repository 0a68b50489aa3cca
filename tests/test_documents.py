"""The documents are true where a program can tell: files, tests, flags and commands that they name are there."""

import ast
import functools
import json
import re
import shlex
from pathlib import Path

import pytest

from qwen_demo.media.decoders import PROGRAMS
from qwen_demo.server.cli import COMMANDS
from qwen_demo.service.telemetry import FRONTS
from qwen_demo.settings import Settings, load_settings
from tests.conftest import ROOT

DOCUMENTS = sorted(
    path
    for place in (".", "docs", "examples", "training", "training/assets", "qwen_demo/models/embedded")
    for path in (ROOT / place).glob("*.md")
)
NAMES = [str(path.relative_to(ROOT)) for path in DOCUMENTS]
FOLDERS = ("benchmarks", "deploy", "docs", "examples", "qwen_demo", "tests", "training")
WIDTH = 120
# Its tables are printed by training/collect_fonts.py, a licence's fonts in one row.
WIDE_TABLES = "training/assets/ATTRIBUTIONS.md"
# Names of the past, which only the changelog may hold.
PAST = {"--held-mib", "--picture-cache-mib", "--max-im"}
# Of Docker, curl, pip, vLLM, Helm and the hub's `hf`.
FOREIGN = {"--api-key", "--build-arg", "--gpus", "--insecure", "--no-deps", "--time"}
FOREIGN |= {"--exclude", "--flavor", "--include", "--model-repository", "--repo-type", "--sdk", "--type"}

each_document = pytest.mark.parametrize("path", DOCUMENTS, ids=NAMES)


@functools.cache
def files() -> dict[str, Path]:
    """What lies in the repository, by its path in it."""
    found = (path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if "__pycache__" not in path.parts)
    return {str(path.relative_to(ROOT)): path for path in (*found, *ROOT.glob("*"), *ROOT.glob(".github/**/*"))}


@functools.cache
def functions_of_tests() -> frozenset[str]:
    sources = (path.read_text(encoding="utf-8") for name, path in files().items() if re.match(r"tests/.*\.py$", name))
    return frozenset(name for source in sources for name in re.findall(r"def (test_\w+)", source))


@functools.cache
def flags_of_settings() -> frozenset[str]:
    flags = {f"--{name.replace('_', '-')}": field for name, field in Settings.model_fields.items()}
    return frozenset(flags) | {f"--no-{flag[2:]}" for flag, field in flags.items() if field.annotation is bool}


@functools.cache
def flags_in(*folders: str) -> frozenset[str]:
    """Flags of the parsers in these folders' programs, and those that scripts and recipes there give to others."""
    wanted = (path for name, path in files().items() if name.startswith(folders) and path.is_file())
    sources = (path.read_text(encoding="utf-8") for path in wanted if path.suffix in (".py", ".sh", ".yml", ".yaml"))
    return frozenset(flag for source in sources for flag in re.findall(r"--[a-z][a-z0-9-]*", source))


def flags_of(module: str) -> frozenset[str]:
    """Flags of the program that `python -m MODULE` runs."""
    source = files()[module.replace(".", "/") + ".py"].read_text(encoding="utf-8")
    return frozenset(re.findall(r"\"(--[a-z][a-z0-9-]*)\"", source))


def blocks_of(text: str) -> list[tuple[str, str]]:
    """Blocks of code, each with its language."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def commands(text: str) -> list[list[str]]:
    """What starts a program of ours, in blocks of code and in backticks, as words, without comments behind it."""
    blocks = [block for language, block in blocks_of(text) if not language]
    lines = [*"\n".join(blocks).replace("\\\n", " ").splitlines(), *spans(text)]
    return [shlex.split(line, comments=True) for line in lines if line.startswith(("python ", "qwen-demo "))]


def spans(text: str) -> list[str]:
    """What stands in backticks, blocks of code left out."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose)]


def anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_there_are_documents():
    assert {"README.md", "CHANGELOG.md", "docs/design.md", "qwen_demo/models/embedded/README.md"} <= set(NAMES)


@each_document
def test_no_line_is_too_long_to_read(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    if str(path.relative_to(ROOT)) == WIDE_TABLES:
        lines = [line for line in lines if not line.startswith("|")]
    assert [line for line in lines if len(line) > WIDTH] == []


@each_document
def test_every_link_leads_somewhere(path):
    text = path.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`]*`", "", text)):
        if link.startswith("https:"):
            continue
        name, _, anchor = link.partition("#")
        there = path.parent / name if name else path
        assert there.exists(), link
        assert not anchor or anchor in anchors(there), link


@each_document
def test_every_file_that_is_named_is_there(path):
    known = files()
    if path.name == "CHANGELOG.md":
        return  # it names files of the past
    for span in spans(path.read_text(encoding="utf-8")):
        if re.search(r"[^\w./-]|NAME", span):
            continue
        if span.split("/")[0] in FOLDERS and "/" in span:
            assert span.rstrip("/") in known, span
        elif re.fullmatch(r"[\w/-]+\.(py|js|css|sh|conf|yaml)", span) and "compose" not in span:
            assert any(f"/{name}".endswith(f"/{span}") for name in known), span


@each_document
def test_every_test_that_is_named_is_there(path):
    named = {span for span in spans(path.read_text(encoding="utf-8")) if re.fullmatch(r"test_\w+", span)}
    assert named - functions_of_tests() == set()


@each_document
def test_every_flag_that_is_named_is_one(path):
    text = path.read_text(encoding="utf-8")
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*[a-z0-9]", text))
    known = flags_of_settings() | flags_in("benchmarks", "training", "deploy", "qwen_demo/server") | FOREIGN
    if path.name == "CHANGELOG.md":
        known |= PAST
    assert named - known == set()


def test_every_command_of_ours_takes_the_flags_that_it_is_given(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    seen = 0
    for path in DOCUMENTS:
        for words in commands(path.read_text(encoding="utf-8")):
            if words[:1] == ["qwen-demo"] and len(words) > 1:
                assert words[1] in COMMANDS or words[1].startswith("--"), words
            if "--help" in words:
                continue
            if words[:2] in (["python", "app.py"], ["qwen-demo", "serve"]):
                load_settings(words[2:])
            elif words[:2] == ["python", "-m"] and words[2].startswith(("benchmarks.", "training.")):
                given = {word for word in words[3:] if word.startswith("--")}
                assert given <= flags_of(words[2]), words
            else:
                continue
            seen += 1
    assert seen > 30


def test_every_front_of_the_metrics_is_told_and_no_other():
    words = " ".join((ROOT / "docs" / "operations.md").read_text().split())
    (told,) = re.findall(r"`front` is (.*?)\. `outcome`", words)
    assert set(re.findall("`([a-z_]+)`", told)) - {"gradio_client"} == set(FRONTS) - {"cli"}


def test_every_kind_of_decoder_is_among_those_of_the_metrics():
    words = " ".join((ROOT / "docs" / "operations.md").read_text().split())
    (told,) = re.findall(r"`kind` of a decoder is (.*?)\. ", words)
    assert set(re.findall("`([a-z ]+)`", told)) == set(PROGRAMS)


def test_python_in_the_readme_is_python():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = [block for language, block in blocks_of(text) if language == "python"]
    assert len(blocks) == 2
    for block in blocks:
        ast.parse(block)


@pytest.mark.parametrize("name", [name for name in NAMES if name == "README.md" or name.startswith("docs/")])
def test_the_word_is_image(name):
    assert not re.search("picture", (ROOT / name).read_text(encoding="utf-8"), re.IGNORECASE)


def test_capacity_was_computed_from_the_result_that_is_here_and_its_page_says_the_same():
    results, page = ROOT / "benchmarks" / "results", (ROOT / "docs" / "capacity.md").read_text(encoding="utf-8")
    for path in results.glob("capacity-*.json"):
        content = json.loads(path.read_text())
        measured = json.loads((results / content["asked"]["measured"]).read_text())
        rows = measured["rows"] if "rows" in measured else measured["parts"]["users"]
        found = {row["users"]: row["tokens_per_s"] for row in rows if row["engine"] == "batching"}
        for row in content["again"]:
            assert found[row["users"]] == row["tokens/s, measured"], path.name
    shown = json.loads((results / "capacity-embedded-fp32-amd-epyc-2-cores.json").read_text())
    for row in shown["again"]:
        numbers = (row["users"], row["tokens/s, measured"], row["tokens/s, simulated"])
        assert "| {} | {:.0f} | {:.0f} |".format(*numbers) in page
