"""The output layer in four bits: the likeliest words have the logits of the whole weights."""

import pytest
import torch

from qwen_demo.models.cpu import head, nf4
from qwen_demo.models.cpu.head import RescoredHead
from qwen_demo.models.cpu.int4 import Int4Linear
from qwen_demo.models.cpu.nf4 import Nf4Linear

WORDS, WIDTH = 4096, 128
KINDS = [Int4Linear, *([Nf4Linear] if nf4.has_fused_product() else [])]


@pytest.fixture(scope="module")
def rows():
    return torch.randn(WORDS, WIDTH, generator=torch.Generator().manual_seed(0)).bfloat16()


@pytest.fixture(scope="module")
def hidden():
    return torch.randn(40, WIDTH, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("kind", KINDS)
@torch.inference_mode()
def test_the_choice_of_a_word_is_that_of_the_whole_weights(rows, hidden, kind):
    made = RescoredHead(kind.of(rows, None), rows)(hidden)
    exact = hidden @ rows.float().T
    assert made.dtype == torch.float32
    assert torch.equal(made.argmax(-1), exact.argmax(-1))
    best = exact.topk(16).indices
    assert torch.allclose(made.gather(1, best), exact.gather(1, best), rtol=1e-4, atol=1e-4)
    assert (made - exact).norm() < 0.12 * exact.norm()
    coarse = kind.of(rows, None)(hidden)
    assert not torch.equal(coarse.argmax(-1), exact.argmax(-1)), "four bits alone would choose other words"


@torch.inference_mode()
def test_a_row_is_the_same_alone_and_among_others(rows, hidden):
    layer = RescoredHead(KINDS[-1].of(rows, None), rows)
    together = layer(hidden[:20].bfloat16())
    assert all(torch.equal(layer(row[None]), together[n : n + 1]) for n, row in enumerate(hidden[:20].bfloat16()))


@torch.inference_mode()
def test_a_vocabulary_smaller_than_the_candidates_is_exact(hidden):
    rows = torch.randn(64, WIDTH)
    made = RescoredHead(Int4Linear.of(rows, None), rows)(hidden.view(2, 20, WIDTH))
    assert head.CANDIDATES > 64 and made.shape == (2, 20, 64)
    assert torch.allclose(made.view(40, 64), hidden @ rows.T, atol=1e-4)
