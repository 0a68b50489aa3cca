import asyncio
import os

from qwen_demo.http import uploads
from tests.conftest import until


def make(folder, name, size, age_s):
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"x" * size)
    os.utime(path, (1_000_000 - age_s, 1_000_000 - age_s))
    return path


def test_the_oldest_files_go_until_the_rest_fits(tmp_path):
    old, middle, new = (make(tmp_path, f"{n}/file", 100, age) for n, age in (("a", 30), ("b", 20), ("c", 10)))
    assert uploads.trim(tmp_path, 300) == 0
    assert uploads.trim(tmp_path, 199) == 2
    assert [p.exists() for p in (old, middle, new)] == [False, False, True]


def test_links_are_left_alone(tmp_path):
    outside = make(tmp_path, "outside", 1000, 0)
    folder = tmp_path / "uploads"
    folder.mkdir()
    (folder / "link").symlink_to(outside)
    assert uploads.trim(folder, 1) == 0
    assert outside.exists()


def test_remains_are_what_lies_in_the_folder_itself_under_a_temporary_name(tmp_path):
    whole, remains, other = (make(tmp_path, name, 1, 0) for name in ("whole/tmpfile", "tmpabc", "notes"))
    uploads.remove_remains(tmp_path)
    assert [path.exists() for path in (whole, remains, other)] == [True, False, True]


async def test_a_running_program_keeps_trimming(tmp_path, monkeypatch):
    monkeypatch.setattr(uploads, "CHECK_EVERY_S", 0.01)
    task = asyncio.create_task(uploads.keep_trimmed(tmp_path, 150))
    first = make(tmp_path, "first", 100, 10)
    make(tmp_path, "second", 100, 0)
    await until(lambda: not first.exists())
    task.cancel()
