"""Point clouds and 3D models over REST: parts of a message, and where an answer's marks are in space."""

import base64
import csv
import io

import pytest

from qwen_demo.types import Image, Text
from tests.media import models3d


def address(data: bytes) -> str:
    return "data:application/octet-stream;base64," + base64.b64encode(data).decode()


BOX = address(models3d.exported("glb"))
SMALL = {"url": BOX, "views": 2, "pixels": 448 * 448}


def asked(http, *parts):
    content = [*parts, {"type": "text", "text": "what?"}]
    return http.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": content}]})


@pytest.mark.parametrize(
    ("part", "views"),
    [
        ({"type": "model_url", "model_url": BOX}, 6),
        ({"type": "model_url", "model_url": SMALL}, 2),
        ({"model_url": {**SMALL, "up": "z", "cut": "floor", "axes": False, "shading": False}}, 2),
        ({"type": "file", "file": {"file_data": BOX, "filename": "box.glb"}}, 6),
        ({"type": "input_file", "file_data": BOX, "filename": "box.glb"}, 6),
    ],
)
def test_a_model_is_its_views_and_words_about_them(app, part, views):
    with app.client() as http:
        answer = asked(http, part)
    assert answer.status_code == 200, answer.text
    parts = app.engine.requests[-1].messages[0].parts
    assert sum(isinstance(each, Image) for each in parts) == views
    assert "View 1, from above" in "".join(each.text for each in parts if isinstance(each, Text))


@pytest.mark.parametrize(
    ("part", "place"),
    [
        ({"type": "model_url"}, "model_url"),
        ({"type": "model_url", "model_url": {"url": BOX, "up": "w"}}, "model_url.up"),
        ({"type": "model_url", "model_url": {"url": BOX, "views": 99}}, "model_url.views"),
        ({"type": "model_url", "model_url": {"url": BOX, "pixels": 5}}, "model_url"),
        ({"type": "model_url", "model_url": {"url": BOX, "zoom": 5}}, "model_url.zoom"),
        ({"type": "model_url", "model_url": address(b"\x89PNG\r\n\x1a\n" + bytes(64))}, "model_url"),
        ({"type": "file"}, ""),
        ({"type": "file", "file": {"file_data": address(b"%PDF-1.7" + bytes(64))}}, "file.file_data"),
    ],
)
def test_what_is_wrong_is_named(app, part, place):
    with app.client() as http:
        answer = asked(http, part)
    error = answer.json()["error"]
    assert answer.status_code == 400, error
    assert error["param"].startswith(f"messages.0.content.0.{place}".rstrip(".")), error


def test_an_answer_leads_back_into_space(app):
    text = '[{"view": 1, "bbox_2d": [0, 0, 448, 448], "label": "all"}, {"view": 9, "point_2d": [224, 224]}]'
    with app.client() as http:
        found = http.post("/v1/points/places", json={"model_url": SMALL, "answer": text}).json()
        table = http.post("/v1/points/places", json={"model_url": SMALL, "answer": text, "format": "csv"})
        wrong = http.post("/v1/points/places", json={"model_url": {**SMALL, "up": "q"}, "answer": text})
    whole, place = found["things"]
    assert whole["label"] == "all"
    assert whole["box"]["size"][:2] == pytest.approx([2, 1], abs=0.1)  # its height, a view from above does not show
    assert place["center"] == pytest.approx([0, 0, 1.05], abs=0.03)
    assert len(found["views"]) == 2
    assert [row["views"] for row in csv.DictReader(io.StringIO(table.text))] == ["1", "1"]
    assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "model_url.up")
