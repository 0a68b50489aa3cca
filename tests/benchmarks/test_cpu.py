"""The measurement of full-size models on a CPU joins its parts into one table."""

import json

from benchmarks import cpu, random_checkpoint
from benchmarks.cpu_ways import Task


def rows(architecture: str, way: str, seconds: float, capability: str = "own") -> list[dict]:
    part = {"architecture": architecture, "capability": capability, "way": way}
    made = {"ready_s": seconds, "rows": [{"image": "448 x 448", "users": users} for users in (1, 4)]}
    return cpu.rows_of(made, part, 32)


def test_a_part_that_is_measured_again_takes_the_place_of_its_old_figures_alone():
    before = cpu.joined(rows("7b", "ours", 60.0), rows("3b", "llama.cpp q4_0", 5.0))
    made = cpu.joined(before, [*rows("7b", "ours", 50.0), *rows("3b", "ours", 20.0, "avx2")])
    assert [(row["architecture"], row["capability"], row["way"], row["ready_s"]) for row in made[::2]] == [
        ("7b", "own", "ours", 50.0),
        ("3b", "own", "llama.cpp q4_0", 5.0),
        ("3b", "avx2", "ours", 20.0),
    ]
    (again,) = cpu.rows_of(
        {"ready_s": 1.0, "rows": [{"image": "448 x 448", "users": 4}]},
        dict(zip(cpu.PART, ("7b", "own", "ours"), strict=True)),
        32,
    )
    assert [row["ready_s"] for row in cpu.joined(made, [again])[:3]] == [50.0, 1.0, 5.0], "a number of users alone"
    assert all(row["tokens"] == 32 for row in made) and [row["users"] for row in made] == [1, 4] * 3


def test_a_task_travels_as_json():
    task = Task.of(json.dumps({"checkpoint": "x", "sizes": [[56, 28]], "users": [2], "tokens": 3}))
    assert (task.sizes, task.users, task.tokens, task.quantization) == ([[56, 28]], [2], 3, "auto")
    assert next(task.seeds) == 0


def test_random_weights_have_the_published_names_in_shards_with_an_index(tmp_path, monkeypatch):
    monkeypatch.setattr(random_checkpoint, "SHARD_BYTES", 4 << 20)
    parameters = random_checkpoint.write("tiny", tmp_path)
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    assert index["metadata"]["total_size"] == 2 * parameters
    assert len(set(index["weight_map"].values())) > 1
    assert all((tmp_path / file).exists() for file in index["weight_map"].values())
    assert "visual.blocks.0.attn.qkv.weight" in index["weight_map"]
    assert "model.layers.0.mlp.up_proj.weight" in index["weight_map"]
