"""The page takes a file by the ending of its name on every system, in either case."""

import mimetypes
import re

import pytest
from gradio_client.utils import is_valid_file
from playwright.sync_api import expect

from qwen_demo.types import Image, Video
from qwen_demo.ui.file_types import (
    DOCUMENT_FILES,
    IMAGE_FILES,
    IMAGES,
    MEDIA_FILES,
    MODELS,
    VIDEOS,
    media_type,
    shown_type,
)
from tests import hostile
from tests.hostile_clips import clip
from tests.ui.steps import answered, tab


@pytest.fixture
def bare_system(monkeypatch):
    """As a slim container: no table of types but one that knows nothing."""
    monkeypatch.setattr(mimetypes, "_db", mimetypes.MimeTypes(()))
    monkeypatch.setattr("mimetypes.guess_type", lambda *_, **__: (None, None))


@pytest.mark.parametrize("ending", [*IMAGES, *VIDEOS, *MODELS])
def test_each_ending_is_taken_in_either_case_without_the_systems_table(bare_system, ending):
    for name in (f"a{ending}", f"IMG_0001{ending.upper()}", f"a.b{ending.title()}"):
        assert is_valid_file(name, MEDIA_FILES)
        assert is_valid_file(name, IMAGE_FILES) == is_valid_file(name, DOCUMENT_FILES) == (ending in IMAGES)
        assert media_type(name) == (IMAGES | VIDEOS | MODELS)[ending]


def test_other_files_are_not(bare_system):
    assert not any(is_valid_file(name, MEDIA_FILES) for name in ("a.txt", "a.exe", "jpg", ".png", "a.png.zip"))
    assert media_type("a.txt") is None


@pytest.mark.slow
def test_files_of_phones_reach_the_model_and_the_panel(opened, app, tmp_path):
    names = {"IMG_0001.MOV": clip(6), "VID_0002.3gp": clip(6), "photo.jfif": hostile.saved(hostile.photo(), "JPEG")}
    for name, data in names.items():
        (tmp_path / name).write_bytes(data)
    page = opened(app)
    page.locator("#question input[type=file]").set_input_files([str(tmp_path / name) for name in names])
    expect(page.locator("#context .chip")).to_have_count(3)
    page.locator("#question textarea").fill("What is it?")
    page.locator("#question textarea").press("Enter")
    answered(page, 1)
    parts = app.engine.requests[-1].messages[0].parts
    assert [type(part) for part in parts[:3]] == [Video, Video, Image]
    tab(page, "Video")
    page.locator("#clip input[type=file]").set_input_files(str(tmp_path / "IMG_0001.MOV"))
    expect(page.locator(".frames .facts")).to_contain_text(re.compile(r"\d+ frames"))


def test_a_cloud_of_points_is_a_file_in_the_chat_and_a_model_is_turned_there():
    assert [shown_type(f"a{ending}") for ending in (".ply", ".laz")] == ["application/octet-stream"] * 2
    assert [shown_type(f"a{ending}") for ending in (".glb", ".OBJ", ".tif")] == [None] * 3
    assert shown_type("a.PNG") == "image/png"
