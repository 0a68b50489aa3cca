"""benchmarks/servers.py: what is compared is the same, and each server's median is its own."""

import json

from benchmarks import servers
from benchmarks.peer import body
from benchmarks.transformers_serve import decode_image


def test_the_endless_checkpoint_differs_in_the_end_alone(tmp_path):
    servers.endless(tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {file.name for file in servers.CHECKPOINT.iterdir()}
    made, shipped = (
        json.loads((folder / "generation_config.json").read_text()) for folder in (tmp_path, servers.CHECKPOINT)
    )
    assert made["eos_token_id"] != shipped["eos_token_id"]
    assert {**made, "eos_token_id": 0} == {**shipped, "eos_token_id": 0}


def test_only_who_knows_it_is_told_to_go_on():
    from types import SimpleNamespace

    from benchmarks.engine import question

    request = question(SimpleNamespace(words=8, image="56x28", images="own", tokens=4), 1, 1)
    assert body(request, "m", 4)["ignore_eos"]
    assert "ignore_eos" not in body(request, "m", 4, endless=False)


def test_medians_are_of_one_server_and_level():
    numbers = [key for key in servers.COLUMNS if key not in ("server", "users")]
    rows = [
        {"server": name, "users": users, **dict.fromkeys(numbers, value)}
        for name, users, value in [("a", 1, 1), ("a", 1, 5), ("a", 1, 3), ("a", 8, 7), ("b", 1, 9)]
    ]
    assert [(row["server"], row["users"], row["tokens_per_s"]) for row in servers.medians(rows)] == [
        ("a", 1, 3), ("a", 8, 7), ("b", 1, 9)
    ]  # fmt: skip


def test_pillow_decodes_for_torchvision():
    import io

    import PIL.Image
    import torch

    png = io.BytesIO()
    PIL.Image.new("RGB", (3, 2), (10, 20, 30)).save(png, "PNG")
    decoded = decode_image(torch.frombuffer(bytearray(png.getvalue()), dtype=torch.uint8))
    assert decoded.shape == (3, 2, 3)
    assert decoded[:, 1, 2].tolist() == [10, 20, 30]
