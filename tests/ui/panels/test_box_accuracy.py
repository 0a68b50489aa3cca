"""What `python -m benchmarks.boxes` measures on a hundred scenes, on a few."""

import pytest

from benchmarks import boxes


@pytest.mark.slow
async def test_drawn_boxes_are_as_good_as_the_raw_answers(monkeypatch, tmp_path):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    rows = {row["scenes"]: row for row in boxes.summary(await boxes.run(4))}
    assert rows["all"]["raw"] > 0.6
    assert rows["several images"]["n"] == 1
    assert rows["turned by EXIF"]["n"] >= 3
    for row in rows.values():
        assert abs(row["lost"]) <= boxes.TOLERANCE, row
