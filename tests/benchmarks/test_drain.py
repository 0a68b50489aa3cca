"""The benchmark of taking replicas out counts what a crowd loses by it."""

import asyncio

from benchmarks import drain
from qwen_demo.engines.replicas.engine import ReplicatedEngine
from qwen_demo.engines.scripted import Script, ScriptedEngine
from qwen_demo.http.credentials import new_key
from qwen_demo.settings import Settings
from tests.api.conftest import PLAIN, App

SCRIPT = Script(["one ", "two ", "three "], gap_s=0.01)


def test_a_crowd_loses_nothing(tmp_path):
    options, _ = drain.arguments(["--users", "4", "--column", "56x56,3", "--steady-s", "0.05"])
    key, hashed = new_key()
    (tmp_path / "operators").write_text(f"operator:{hashed}\n")
    engine = ReplicatedEngine([ScriptedEngine(SCRIPT) for _ in range(2)], anew=lambda number: ScriptedEngine(SCRIPT))
    app = App(Settings(**PLAIN, operator_keys_file=tmp_path / "operators", replicas=2), Script(), engine=engine)
    found = asyncio.run(drain.rounds(app.url, key, options))
    app.stop()
    assert found["lost"] == 0 and found["answered"] >= 2 * 4 and found["why"] == {}
    assert [row["replica"] for row in found["rows"]] == [0, 1]
