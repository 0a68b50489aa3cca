"""What docs/deploy-spaces.md uploads is a Space that starts, and no more."""

import itertools
import os
import re
import shlex
import subprocess
import sys

import yaml
from huggingface_hub.utils import filter_repo_objects

from tests.conftest import ROOT

GUIDE = (ROOT / "docs" / "deploy-spaces.md").read_text(encoding="utf-8")
LARGEST_PUSHED = 10 << 20


def commands() -> list[list[str]]:
    """The `hf` commands of the first block, as a shell splits them."""
    block = re.findall(r"```\n(.*?)```", GUIDE, re.DOTALL)[0].replace("\\\n", " ")
    return [shlex.split(line) for line in block.splitlines() if line.strip()]


def values(command: list[str], flag: str) -> list[str]:
    return [value for name, value in itertools.pairwise(command) if name == flag]


def test_the_commands_are_those_of_the_pinned_tool():
    for command in commands():
        assert command[0] == "hf"
        words = list(itertools.takewhile(re.compile(r"[a-z]+$").match, command[1:]))
        asked = [sys.executable, "-m", "huggingface_hub.cli.hf", *words, "--help"]
        told = subprocess.run(
            asked, capture_output=True, text=True, check=True, env={**os.environ, "NO_COLOR": "1"}
        ).stdout
        known = set(re.findall(r"--[a-z][a-z-]+", told))
        assert {word for word in command if word.startswith("--")} <= known, words


def test_what_is_uploaded_is_what_the_program_needs_and_no_more():
    upload = next(command for command in commands() if command[1] == "upload")
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    sent = set(
        filter_repo_objects(
            [*tracked, "qwen_demo/__pycache__/types.pyc"],
            allow_patterns=values(upload, "--include"),
            ignore_patterns=values(upload, "--exclude"),
        )
    )
    needed = {name for name in tracked if name.startswith(("qwen_demo/", "examples/"))}
    assert sent == needed | {"app.py", "README.md", "LICENSE", "requirements.txt"}
    assert upload[upload.index("--repo-type") + 1] == "space"


def test_the_front_matter_asks_for_what_zerogpu_has():
    front = yaml.safe_load((ROOT / "README.md").read_text(encoding="utf-8").split("---")[1])
    assert (front["sdk"], front["app_file"], front["python_version"]) == ("gradio", "app.py", "3.12")
    requirements = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    assert not re.search(r"^spaces\b", requirements, re.MULTILINE), "the platform brings its own"


def test_a_push_would_be_refused_as_the_guide_says():
    files = (ROOT / "qwen_demo" / "models" / "embedded").glob("*.safetensors")
    assert max(path.stat().st_size for path in files) > LARGEST_PUSHED
