"""A whole run, killed in the middle: it goes on, and the adapter appears whole."""

import json
import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from qwen_demo.errors import InvalidRequest, ModelLoadError, SettingsError
from qwen_demo.models.adapters import check_base, look
from qwen_demo.server.cli import main
from qwen_demo.server.finetune import parser_of
from tests.conftest import ROOT

COLOURS = {"red": "It means Borvik.", "blue": "It means Talune."}


@pytest.fixture
def data(draw, write):
    rows = [
        {
            "image": draw(f"{colour}-{at}.png", colour, at, (224, 224)),
            "question": "What does it mean?",
            "answer": answer,
            "split": "test" if at > 60 else "train",
        }
        for colour, answer in COLOURS.items()
        for at in range(10, 80, 15)
    ]
    return write("data.jsonl", *rows)


def command(data, out, *more):
    words = ["finetune", str(data), "--base", "embedded", "--out", str(out), "--threads", "1", *more]
    return [sys.executable, "-m", "qwen_demo", *words]


def run(words, **how):
    return subprocess.Popen(words, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, text=True, **how)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_run_that_is_killed_goes_on_and_ends_with_a_whole_adapter(data, tmp_path, base):
    out = tmp_path / "signs"
    words = command(
        data, out, "--epochs", "6", "--batch", "4", "--patience", "0", "--learning-rate", "0.002", "--remember", "4"
    )
    first = run(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while first.poll() is None and not list(tmp_path.glob("signs.unfinished/checkpoints/*/complete")):
        time.sleep(0.05)
    assert first.poll() is None
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert not out.exists()
    half = tmp_path / "signs.unfinished" / "checkpoints" / "checkpoint-999"
    half.mkdir()  # as one that was being written when the power went

    second = run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    written, said = second.communicate()
    assert second.returncode == 0, said
    assert "Going on from update" in said and "update 999" not in said
    assert "exact matches: 0.000 before" in said and written.strip() == str(out)
    assert not (tmp_path / "signs.unfinished").exists()
    adapter = look(out)
    check_base(adapter, base.name, lambda: base.fingerprint)
    assert len(adapter.shapes) == 8 * 7 and adapter.base == "embedded"
    report = json.loads((out / "report.json").read_text())
    assert 0 < report["remembered"] <= 4 and report["after"]["rows"] == 2
    assert report["updates"] == 6 * 8 // 4 and 0.5 <= report["share"] <= 1
    assert report["after"]["character_errors"] < report["before"]["character_errors"]
    assert "It means Borvik." in (out / "report.html").read_text()
    assert {path.name for path in out.iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
        "base.json",
        "README.md",
        "report.html",
        "report.json",
    }


def test_a_key_that_was_learnt_and_not_saved_is_an_error(base, tmp_path):
    import torch
    from safetensors.torch import save_file

    from qwen_demo.finetune.run import check_whole

    layer = "base_model.model.model.language_model.layers.0.self_attn.q_proj"
    a, b = f"{layer}.lora_A.weight", f"{layer}.lora_B.weight"
    save_file({a: torch.zeros(4, 8), b: torch.zeros(6, 4)}, tmp_path / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["q_proj"], "bias": "none"}
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    whole = {a: (4, 8), b: (6, 4)}
    check_whole(tmp_path, whole)
    with pytest.raises(ModelLoadError, match=r"1 keys are missing and 0 are too many, base_model\.more first"):
        check_whole(tmp_path, whole | {"base_model.more": (1,)})
    with pytest.raises(ModelLoadError, match="1 are too many"):
        check_whole(tmp_path, {a: (4, 8)})


def test_a_run_with_other_settings_does_not_go_on_with_what_is_there(data, tmp_path, capsys):
    work = tmp_path / "signs.unfinished"
    work.mkdir()
    (work / "order.json").write_text("{}")
    # Nothing was learnt so far, as after a plan: it begins anew.
    assert main([*command(data, tmp_path / "signs")[3:], "--rank", "0"]) == 2
    assert "--rank 0: from 1 to 64" in capsys.readouterr().err
    (work / "checkpoints" / "checkpoint-1").mkdir(parents=True)
    assert main(command(data, tmp_path / "signs")[3:]) == 1
    assert "of a run with other data, base or settings" in capsys.readouterr().err
    (tmp_path / "signs").mkdir()
    assert main(command(data, tmp_path / "signs")[3:]) == 1
    assert "is there already" in capsys.readouterr().err


async def test_a_run_that_was_cut_does_not_go_on_with_other_rows(data, tmp_path, base, monkeypatch):
    """Some of what it has learnt would be held out."""
    from qwen_demo.finetune import run as teaching
    from qwen_demo.finetune.data import Asked

    def cut_off(order, *_):
        (order.work / "checkpoints" / "checkpoint-1").mkdir(parents=True, exist_ok=True)
        raise InvalidRequest("cut off")

    monkeypatch.setattr(teaching, "_taught", cut_off)
    order = teaching.Order(Asked(data), tmp_path / "signs", {}, remember=0)
    whole = data.read_text()
    for text, said in ((whole, "cut off"), (whole, "cut off"), (whole.partition("\n")[2], "data has changed")):
        data.write_text(text)
        with pytest.raises(InvalidRequest, match=said):
            await teaching.finetune(order, base, lambda _: None)


@pytest.mark.slow
async def test_a_run_that_had_learnt_enough_learns_no_more_when_it_is_taken_up_again(base, taught):
    from qwen_demo.finetune.base import trainable
    from qwen_demo.finetune.batches import Features
    from qwen_demo.finetune.data import Gathered
    from qwen_demo.finetune.recipe import recipe_for
    from qwen_demo.finetune.training import train, with_adapter

    rows, store = taught
    given = {"rank": 4, "epochs": 20, "patience": 1, "learning_rate": 0.5, "batch": 3}
    recipe, ends = recipe_for(Gathered(train=rows), given, small=True), []
    for _ in range(3):
        model = with_adapter(trainable(base), recipe)
        features = Features(model.get_base_model(), store)
        ends.append(train(model, (rows, rows[:1]), recipe, store, features, lambda _: None))
    assert {end["updates"] for end in ends} == {ends[0]["updates"]} and 0 < ends[0]["updates"] < 20
    assert [end["updates_of_this_run"] for end in ends] == [ends[0]["updates"], 0, 0]


async def test_a_plan_leaves_nothing_that_stands_against_another_choice(data, tmp_path, base, monkeypatch):
    from qwen_demo.finetune import run as teaching
    from qwen_demo.finetune.data import Asked

    monkeypatch.setattr(teaching, "_taught", lambda *_: {})
    out = tmp_path / "signs"
    for given in ({"epochs": 2}, {"epochs": 3}):
        await teaching.finetune(
            teaching.Order(Asked(data), out, given, plan_only=True, remember=0), base, lambda _: None
        )
        assert not (tmp_path / "signs.unfinished").exists()


def test_check_tells_and_gives_1_where_a_line_is_refused(data, capsys, tmp_path):
    words = ["finetune", "check", str(data), "--base", "embedded", "--decoders", "1"]
    assert main(words) == 0
    assert "10 lines: 8 to learn, 2 held out, 0 refused" in capsys.readouterr().out
    data.write_text(data.read_text() + "{\n")
    assert main(words) == 1
    said = capsys.readouterr().out
    assert "data.jsonl:11: is not JSON" in said and "8 to learn, 2 held out, 1 refused" in said


@pytest.mark.parametrize(
    ("words", "error", "said"),
    [
        (["finetune"], InvalidRequest, "takes one file or folder"),
        (["finetune", "a", "b"], InvalidRequest, "takes one file or folder"),
        (["finetune", "a"], InvalidRequest, "Give --out"),
        (["finetune", "a", "--out", "b", "--held-out", "1"], InvalidRequest, "a share from 0"),
        (["finetune", "a", "--boxes", "metres"], SettingsError, "invalid choice"),
        (["distill", "a", "--student", "embedded"], SettingsError, "--teacher"),
    ],
    ids=range(6),
)
def test_what_cannot_be_asked_is_said_at_once(words, error, said, capsys):
    assert main(words) == (2 if error is SettingsError else 1)
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("longest", [330, 400, 600, 700])
@pytest.mark.parametrize("processes", [1, 2, 4])
def test_an_update_has_as_many_rows_as_is_said(longest, processes):
    from qwen_demo.finetune.data import Gathered
    from qwen_demo.finetune.recipe import recipe_for

    rows = [SimpleNamespace(ids=range(longest))] * 40
    for small in (False, True):
        made = recipe_for(Gathered(train=rows), {}, small=small, processes=processes)
        assert made.batch == 8 and made.batch % (made.micro_batch * processes) == 0
    assert recipe_for(Gathered(train=rows), {"batch": 8, "micro_batch": 16}, small=False).batch == 16


def test_every_value_of_a_recipe_can_be_given(base):
    from qwen_demo.finetune.data import Gathered
    from qwen_demo.finetune.recipe import recipe_for
    from qwen_demo.server.finetune import RECIPE

    words = [part for name in RECIPE for part in (f"--{name.replace('_', '-')}", "3")]
    _, options = parser_of("finetune").read([*words, "--vision", "--packing", "--no-checkpointing"])
    given = {name: getattr(options, name) for name in (*RECIPE, "packed", "checkpointing", "vision")}
    rows = [SimpleNamespace(ids=range(9))] * 4
    made = recipe_for(Gathered(train=rows), given, small=False)
    assert {getattr(made, name) for name in RECIPE} == {3}
    assert made.packed and made.vision and not made.checkpointing
    with pytest.raises(SettingsError, match="--rank 65"):
        recipe_for(Gathered(), {"rank": 65}, small=False)
