"""The private folder of uploads: gone at the end, and after a kill at the next start; never while its program lives."""

import subprocess
import sys
import tempfile

import pytest

from qwen_demo.server import upload_folder
from qwen_demo.server.upload_folder import UploadFolder
from qwen_demo.settings import Settings
from tests.conftest import ROOT


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """The system's folder for temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("GRADIO_TEMP_DIR", "")
    return tmp_path


ANOTHER = (
    "import sys, tempfile; tempfile.tempdir = sys.argv[1]\n"
    "from qwen_demo.server.upload_folder import UploadFolder\n"
    "from qwen_demo.settings import Settings\n"
    "folder = UploadFolder(Settings())\n"
    "(folder.path / 'private.png').write_bytes(b'private')\n"
    "print(folder.path, flush=True)\n"
    "sys.stdin.read()\n"
)


@pytest.fixture
def another(temporary):
    """Another program with uploads, and where they lie."""
    process = subprocess.Popen(
        [sys.executable, "-c", ANOTHER, str(temporary)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        process.folder = process.stdout.readline().strip()
        assert process.folder.startswith(str(temporary))
        yield process
        process.kill()


def test_it_is_private_and_goes_at_the_end(temporary):
    folder = UploadFolder(Settings())
    assert folder.path.is_dir() and folder.path.parent.parent == temporary
    assert folder.path.parent.stat().st_mode & 0o077 == 0
    folder.close()
    assert list(temporary.iterdir()) == []


def test_what_a_killed_program_left_goes_at_the_next_start(another, temporary, caplog):
    another.kill()
    another.wait()
    assert len(list(temporary.glob("*/uploads/private.png"))) == 1
    folder = UploadFolder(Settings())
    assert list(temporary.iterdir()) == [folder.path.parent]
    assert "1 folders" in caplog.text
    folder.close()


def test_what_a_living_program_has_stays(another, temporary):
    folder = UploadFolder(Settings())
    assert len(list(temporary.glob("*/uploads/private.png"))) == 1
    folder.close()
    assert len(list(temporary.iterdir())) == 1


def test_nothing_else_is_touched(temporary):
    """Neither what begins nor what is another's, nor what a link leads to."""
    begun, other, linked = (temporary / name for name in ("qwen-demo-begun", "else", "target"))
    for folder in (begun, other, linked):
        folder.mkdir()
        (folder / "file").touch()
    (linked / upload_folder.LOCK).touch()
    (temporary / "qwen-demo-link").symlink_to(linked)
    (temporary / "qwen-demo-file").touch()
    assert upload_folder.remove_left_behind(temporary) == 0
    assert all((folder / "file").exists() for folder in (begun, other, linked))


def test_a_folder_that_was_given_is_kept(temporary):
    given = temporary / "given" / "uploads"
    folder = UploadFolder(Settings(upload_dir=given))
    (given / "a.png").touch()
    folder.close()
    assert (given / "a.png").exists()
