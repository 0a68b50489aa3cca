"""Imports go one way between the rooms; torch and Gradio stay in theirs."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "qwen_demo"

# Each room may import from itself and from rooms of a lower rank.
RANKS = {
    "errors": 0,
    "fairness": 0,
    "sentences": 0,
    "types": 0,
    "raster": 0,
    "spreadsheets": 0,
    "points": 1,
    "settings": 1,
    "media": 2,
    "answers": 2,
    "models": 2,
    "engines": 3,
    "service": 4,
    "knowledge": 5,
    "finetune": 5,
    "http": 6,
    "api": 7,
    "ui": 7,
    "server": 8,
    "__main__": 9,
}
ONLY_IN = {
    "torch": {"models", "engines", "finetune"},
    "transformers": {"models", "engines", "finetune"},
    "gradio": {"ui", "server"},
    "fastapi": {"http", "api", "server"},
    "openai": {"engines"},
    "prometheus_client": {"service"},
    "os.environ": {"settings"},
}


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Attribute) and ast.unparse(node) in ONLY_IN:
            names.add(ast.unparse(node))
    return names


MODULES = sorted(p for p in PACKAGE.rglob("*.py") if room_of(p) != "__init__")


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_one_way(path):
    room = room_of(path)
    for name in imported(path):
        top, _, rest = name.partition(".")
        if top == "qwen_demo" and rest:
            other = rest.split(".")[0]
            if other in RANKS and other != room:
                assert RANKS[other] < RANKS[room] or not RANKS[room], f"{room} imports {other}"
        for package, rooms in ONLY_IN.items():
            if name == package or name.startswith(package + "."):
                assert room in rooms, f"{room} imports {package}"


def test_every_room_has_a_rank():
    assert {room_of(path) for path in MODULES} <= set(RANKS)


def loaded_at_import(path: Path) -> set[str]:
    """What importing this module imports: neither what its functions do later nor what only type checkers see."""
    names, nodes = set(), [ast.parse(path.read_text(encoding="utf-8"))]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.ImportFrom):
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and "TYPE_CHECKING" not in ast.unparse(
            getattr(node, "test", ast.Constant(None))
        ):
            nodes += ast.iter_child_nodes(node)
    return names


def test_a_front_without_a_model_loads_no_torch():
    """Nothing that the page, the API, or the scripted and the remote engine import: torch takes seconds."""
    modules = {str(path.relative_to(PACKAGE.parent).with_suffix("")).replace("/", "."): path for path in MODULES}
    modules |= {name.removesuffix(".__init__"): path for name, path in modules.items()}
    rooms = (
        "qwen_demo.server.app",
        "qwen_demo.ui.",
        "qwen_demo.api.",
        "qwen_demo.http.",
        "qwen_demo.service.",
        "qwen_demo.engines.scripted",
        "qwen_demo.engines.remote",
    )
    waiting, seen = [name for name in modules if name.startswith(rooms)], set()
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            found = loaded_at_import(modules[name])
            assert not {each.partition(".")[0] for each in found} & {"torch", "transformers"}, name
            waiting += found & modules.keys()
    assert "qwen_demo.engines.zerogpu" in seen
