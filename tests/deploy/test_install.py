"""The first installation: which build of PyTorch, and that an index which does not answer stops nothing."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from deploy import install
from tests.conftest import ROOT

DEV, RUN = ROOT / "requirements-dev.txt", ROOT / "requirements.txt"


@pytest.fixture
def ran(monkeypatch):
    """Commands that were run; those whose words hold one of `ran.failing` fail."""
    ran = SimpleNamespace(commands=[], failing=[])

    def run(command, check):
        ran.commands.append(command)
        return SimpleNamespace(returncode=int(any(word in command for word in ran.failing)))

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("TORCH", raising=False)
    monkeypatch.setattr(install, "has_nvidia_gpu", lambda: False)
    return ran


def test_without_a_gpu_the_cpu_build_comes_from_its_own_index_and_all_else_from_the_usual_one(ran):
    assert install.main(["-r", str(RUN), "--no-compile"]) == 0
    first, last = ran.commands
    assert first[first.index("--index-url") + 1] == install.CPU_INDEX and "--no-compile" in first
    packages = first[first.index(install.CPU_INDEX) + 1 :]
    assert [package.split("==")[0] for package in packages] == ["torch", "torchvision"]
    assert all(package in RUN.read_text() for package in packages)
    assert last[-2:] == ["-r", str(RUN)] and "--index-url" not in last


def test_an_index_that_does_not_answer_leaves_it_to_the_usual_one(ran, capsys):
    ran.failing.append("--index-url")
    assert install.main(["-r", str(RUN)]) == 0
    assert len(ran.commands) == 2 and "usual index" in capsys.readouterr().out


def test_what_the_usual_index_refuses_fails(ran):
    ran.failing.append(str(RUN))
    assert install.main(["-r", str(RUN)]) == 1


@pytest.mark.parametrize(
    ("asked", "platform", "gpu", "cpu"),
    [
        (None, "linux", False, True),
        (None, "linux", True, False),
        (None, "darwin", False, False),
        ("usual", "linux", False, False),
        ("cpu", "linux", True, True),
    ],
)
def test_the_build_follows_machine_and_wish(asked, platform, gpu, cpu):
    given = {} if asked is None else {"TORCH": asked}
    assert install.wants_cpu_build(given, platform, gpu=gpu) is cpu


def test_an_unknown_wish_is_refused_with_those_that_are_known():
    with pytest.raises(SystemExit, match="auto, cpu or usual"):
        install.wants_cpu_build({"TORCH": "rocm"}, "linux", gpu=False)


def test_the_pins_are_found_through_the_file_that_includes_them():
    assert install.pins(DEV) == install.pins(RUN) and len(install.pins(RUN)) == 2


@pytest.mark.parametrize("found", [*install.DRIVER_FILES, "nvidia-smi"])
def test_a_driver_is_seen_natively_in_wsl_and_in_containers(monkeypatch, found):
    monkeypatch.setattr(install.shutil, "which", lambda name: name if name == found else None)
    monkeypatch.setattr(install.Path, "exists", lambda path: str(path) == found)
    assert install.has_nvidia_gpu()


def test_an_environment_that_could_not_be_made_is_made_anew(tmp_path):
    python, venv = tmp_path / "python", tmp_path / "venv"
    python.write_text('#!/bin/sh\n[ "$1" = -c ] && exit 0\nmkdir -p "$3/bin"; touch "$3/bin/python"; exit 1\n')
    python.chmod(0o755)
    asked = ["make", "-C", ROOT, f"PYTHON={python}", f"VENV={venv}", f"{venv}/bin/python"]
    assert subprocess.run(asked, capture_output=True).returncode and not venv.exists()
