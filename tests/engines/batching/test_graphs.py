"""Which recorded step serves a batch, and what its spare rows touch."""

from types import SimpleNamespace

import pytest
import torch

from qwen_demo.engines.batching.graphs import RecordedStep, StepGraphs, decode_batches
from qwen_demo.engines.batching.kv_cache import KVCache


@pytest.mark.parametrize(
    ("batch", "longest", "expected"), [(1, 1, (1, 512)), (3, 513, (4, 1024)), (20, 5000, (20, 5000))]
)
def test_a_recorded_step_is_never_too_small(monkeypatch, batch, longest, expected):
    graphs = StepGraphs(None, decode_batches(20), length=5000)
    used = []
    graphs._record = lambda *size: used.append(size) or SimpleNamespace(replay=lambda: None)
    graphs._results = torch.zeros(20, 3)
    for _ in range(2):
        assert graphs(batch, longest).shape == (batch, 3)
    assert used == [expected]


def test_a_recorded_pass_has_spare_rows_that_touch_nothing():
    cache = KVCache([torch.device("cpu")], slots=2, length=9, kv_heads=1, head_dim=4, dtype=torch.float32)
    seen = []

    def decode(x, positions, slots, places):
        seen.append((positions.tolist(), slots.tolist(), places.tolist()))
        return 2 * x

    recorded = RecordedStep(SimpleNamespace(decode=decode, adapters=None), cache, width=3, sizes=[2, 4])
    recorded.graphs._results = torch.zeros(4, 3)

    def record(batch, keys):
        return SimpleNamespace(replay=lambda: recorded.graphs._results[:batch].copy_(recorded._step(batch, keys)))

    recorded.graphs._record = record
    for rows in (4, 3):
        x, numbers = torch.randn(rows, 3), torch.arange(rows)
        assert torch.equal(recorded.decode(x, numbers.expand(3, -1), numbers % 2, numbers), 2 * x)
    assert seen[1] == ([[0, 1, 2, 3]] * 3, [0, 1, 0, 1], [0, 1, 2, 9])
    recorded.graphs = None
    x, numbers = torch.randn(6, 3), torch.arange(6)
    assert torch.equal(recorded.decode(x, numbers.expand(3, -1), numbers % 2, numbers), 2 * x)  # more than was recorded
