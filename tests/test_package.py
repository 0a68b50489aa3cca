"""What `pip install .` installs, and that the files around it agree."""

import ast
import importlib.metadata
import itertools
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from hatchling.builders.wheel import WheelBuilder
from hatchling.metadata.core import ProjectMetadata
from hatchling.plugin.manager import PluginManager

import qwen_demo
from qwen_demo.ui.examples import EXAMPLES
from tests.conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PYTHONS = ("3.11", "3.12", "3.13")
# What comes with a requirement and goes by its version; `spaces` is there on Hugging Face Spaces alone.
BROUGHT = {
    "dotenv": "pydantic-settings",
    "gradio_client": "gradio",
    "httpx2": "openai",
    "pyarrow": "lancedb",
    "grpc": "tritonclient",
    "starlette": "fastapi",
    "pydantic_core": "pydantic",
    "triton": "torch",
    "spaces": "gradio",
}


@pytest.fixture(scope="module")
def wheel() -> set[str]:
    """Names of all files in the wheel, but those that describe it."""
    builder = WheelBuilder(str(ROOT))
    with builder.config.set_build_data({"force_include": {}, "artifacts": [], "build_hooks": ()}):
        return {file.distribution_path.replace("\\", "/") for file in builder.recurse_included_files()}


@pytest.fixture(scope="module")
def metadata():
    return ProjectMetadata(str(ROOT), PluginManager()).core


def pinned(path: Path) -> dict[str, str]:
    """Names of requirements and what is said of their versions."""
    lines = [line.partition(" #")[0].strip() for line in path.read_text().splitlines()]
    found = [
        re.fullmatch(r"([\w.-]+)(?:\[\w+\])?([^;]*)(;.*)?", line) for line in lines if line and line[0] not in "#-"
    ]
    assert all(found)
    return {each[1].lower().replace("_", "-"): each[2].strip() for each in found}


def test_the_wheel_has_every_file_of_the_package(wheel):
    listed = subprocess.check_output(["git", "ls-files", "qwen_demo"], cwd=ROOT, text=True).splitlines()
    assert any(name.endswith(".safetensors") for name in listed)
    assert any(name.endswith(".js") for name in listed)
    assert {name for name in listed if (ROOT / name).is_file()} <= wheel


def test_the_wheel_has_the_images_of_the_page(wheel):
    files = {name for example in EXAMPLES for name in example.files}
    assert len(files) >= len(EXAMPLES)
    assert {f"qwen_demo/examples/{name}" for name in files} <= wheel


def test_the_wheel_has_nothing_else(wheel):
    assert {name.split("/")[0] for name in wheel} == {"qwen_demo"}
    assert not [name for name in wheel if name.endswith(".pyc")]


def test_the_package_asks_for_the_pins_of_the_requirements(metadata):
    asked = {re.match(r"[\w.-]+", line)[0].lower().replace("_", "-") for line in metadata.dependencies}
    assert asked == set(pinned(ROOT / "requirements.txt"))
    assert "torch==2.13.0" in metadata.dependencies


def test_the_version_is_the_programs_own():
    assert PROJECT["tool"]["hatch"]["version"]["path"] == "qwen_demo/__init__.py"
    assert re.fullmatch(r"\d+\.\d+\.\d+", qwen_demo.__version__)


def test_the_command_is_a_function_that_is_there(metadata):
    module, _, function = metadata.scripts["qwen-demo"].partition(":")
    assert callable(getattr(importlib.import_module(module), function))


def test_every_requirement_is_pinned():
    # CUDA builds of torch name the version of triton themselves.
    files = (pinned(ROOT / "requirements.txt"), pinned(ROOT / "requirements-dev.txt"))
    loose = {
        name for name, version in itertools.chain(*(each.items() for each in files)) if not version.startswith("==")
    }
    assert loose == {"triton"}


def extras() -> dict[str, str]:
    """Of all extras of the package: their pins by name."""
    listed = itertools.chain(*PROJECT["project"]["optional-dependencies"].values())
    return {name: f"=={version}" for name, version in (each.split("==") for each in listed)}


def test_extras_are_tested_in_the_versions_that_they_have():
    assert extras().items() <= pinned(ROOT / "requirements-dev.txt").items()


def test_whatever_the_program_imports_is_a_requirement():
    distributions = importlib.metadata.packages_distributions()
    asked = pinned(ROOT / "requirements.txt") | extras()
    imported = {
        name.partition(".")[0]
        for path in (ROOT / "qwen_demo").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names])
    } - {*sys.stdlib_module_names, "qwen_demo"}
    assert len(imported) > 20
    for name in imported:
        given = {each.lower().replace("_", "-") for each in distributions.get(name, [])}
        assert given & asked.keys() or BROUGHT.get(name) in asked, f"{name} is imported, but no requirement"


def test_the_page_and_gradio_are_of_one_version():
    front = (ROOT / "README.md").read_text().split("---")[1]
    assert f"sdk_version: {pinned(ROOT / 'requirements.txt')['gradio'].removeprefix('==')}\n" in front


def test_the_workflow_runs_all_tests_on_every_python_that_the_package_admits():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text())
    job = workflow["jobs"]["test"]
    assert tuple(job["strategy"]["matrix"]["python"]) == PYTHONS
    assert PROJECT["project"]["requires-python"] == f">={PYTHONS[0]}"
    assert [step["run"] for step in job["steps"] if "run" in step] == ["make test", "make test-slow"]
    assert workflow["concurrency"]["cancel-in-progress"] is True


def test_every_test_is_run_in_one_stage_and_none_in_two():
    recipes = re.findall(
        r"^(test\S*):.*\n(?:\t.*\n)*?\t\$\(PYTEST\) (.*)", (ROOT / "Makefile").read_text(), re.MULTILINE
    )
    assert recipes == [("test", '-m "not slow" $(ARGS)'), ("test-slow", "-m slow $(ARGS)")]
    assert re.findall(r"^stage (.*)", (ROOT / ".ci" / "run").read_text(), re.MULTILINE) == ["test", "test-slow"]


def test_the_hooks_before_a_commit_need_nothing_but_the_environment():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert {repository["repo"] for repository in hooks} == {"local"}
    assert all(hook["entry"].startswith(".venv/bin/") for repository in hooks for hook in repository["hooks"])
