"""`qwen-demo ask` about a point cloud or 3D model, and what its answer marks as a file."""

import csv
import json

import pytest

from qwen_demo.errors import InvalidRequest
from qwen_demo.server.ask import ask
from tests.media import models3d

# The scripted engine says the question's words again.
MARKED = '[{"view": 1, "bbox_2d": [0, 0, 448, 448], "label": "box"}]'


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "box.glb"
    path.write_bytes(models3d.exported("glb"))
    return str(path)


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["json", "csv"])
def test_what_an_answer_marks_is_written(model, tmp_path, capsys, ending):
    file = tmp_path / f"found.{ending}"
    assert ask([model, MARKED, "--engine", "scripted", "--up", "z", "--places", str(file)], "qwen-demo ask") == 0
    assert "1 place written" in capsys.readouterr().err
    if ending == "json":
        assert json.loads(file.read_text("utf-8"))["things"][0]["label"] == "box"
    else:
        with file.open(encoding="utf-8", newline="") as table:
            assert [row["label"] for row in csv.DictReader(table)] == ["box"]


def test_places_go_with_a_model(tmp_path):
    with pytest.raises(InvalidRequest, match="3D model"):
        ask(["where?", "--engine", "scripted", "--places", str(tmp_path / "a.json")], "qwen-demo ask")
