import math

import torch

from qwen_demo.engines.sampling import processors
from qwen_demo.types import Sampling

LOGITS = torch.tensor([[2.0, 1.0, 0.0, -1.0, -2.0]])


def draw(sampling: Sampling, ids=((0,),), logits=LOGITS) -> torch.Tensor:
    return processors(sampling, prompt_length=1)(torch.tensor(ids), logits.clone())


def shares(sampling: Sampling, draws: int = 4000) -> list[float]:
    chain = processors(sampling, 1)
    ids = torch.zeros(draws, 1, dtype=torch.long)
    chosen = chain(ids, LOGITS.repeat(draws, 1)).argmax(-1)
    return [(chosen == token).float().mean().item() for token in range(5)]


def test_greedy_leaves_the_logits_alone():
    assert torch.equal(draw(Sampling()), LOGITS)


def test_temperature_draws_from_the_softmax():
    expected = torch.softmax(LOGITS[0] / 1.5, -1).tolist()
    for share, probability in zip(shares(Sampling(temperature=1.5, seed=3)), expected, strict=True):
        assert math.isclose(share, probability, abs_tol=0.03)


def test_filters_leave_only_what_they_keep():
    assert shares(Sampling(temperature=1.0, top_k=2, seed=1))[2:] == [0, 0, 0]
    assert shares(Sampling(temperature=1.0, top_p=0.5, seed=1)) == [1, 0, 0, 0, 0]
    assert shares(Sampling(temperature=1.0, min_p=0.3, seed=1))[2:] == [0, 0, 0]


def test_a_seed_repeats_and_none_does_not():
    seeded = Sampling(temperature=1.0, seed=5)
    assert torch.equal(draw(seeded), draw(seeded))
    assert not torch.equal(draw(Sampling(temperature=1.0)), draw(Sampling(temperature=1.0)))


def test_penalties_count_the_answer_and_not_the_prompt():
    penalised = draw(Sampling(presence_penalty=1.0, frequency_penalty=0.5), ids=[[0, 1, 1, 3]])
    assert torch.allclose(penalised, LOGITS - torch.tensor([[0, 1 + 2 * 0.5, 0, 1 + 0.5, 0]]))


def test_the_repetition_penalty_counts_the_prompt_too():
    penalised = draw(Sampling(repetition_penalty=2.0), ids=[[0, 3]])
    assert torch.allclose(penalised, torch.tensor([[1.0, 1.0, 0.0, -2.0, -2.0]]))
