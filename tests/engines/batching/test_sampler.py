"""Batched sampling against the one-sequence reference and against the probabilities themselves."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from qwen_demo.engines.batching.sampler import Sampler
from qwen_demo.engines.sampling import processors
from qwen_demo.types import Sampling

CPU = torch.device("cpu")
PROMPT = torch.tensor([3, 5, 5, 7])

samplings = st.builds(
    Sampling,
    temperature=st.sampled_from([0.0, 0.3, 1.0, 1.7]),
    top_p=st.sampled_from([1.0, 0.9, 0.4]),
    top_k=st.sampled_from([0, 1, 5, 40]),
    min_p=st.sampled_from([0.0, 0.05, 0.5]),
    repetition_penalty=st.sampled_from([1.0, 1.3]),
    presence_penalty=st.sampled_from([0.0, 1.0]),
    frequency_penalty=st.sampled_from([0.0, 0.5]),
    seed=st.integers(0, 2**64),
)


def reference(sampling: Sampling, logits: torch.Tensor) -> list[int]:
    """One sequence through transformers' processors; `logits` [steps, vocabulary]."""
    chain, ids = processors(sampling, len(PROMPT)), PROMPT[None]
    for row in logits:
        token = chain(ids, row[None].clone()).argmax(-1)
        ids = torch.cat([ids, token[None]], dim=1)
    return ids[0, len(PROMPT) :].tolist()


@settings(max_examples=40)
@given(st.lists(samplings, min_size=1, max_size=6), st.integers(0, 1000))
def test_a_batch_draws_what_each_sequence_draws_alone(asked, dice):
    steps, vocabulary = 5, 400
    logits = torch.randn(steps, len(asked), vocabulary, generator=torch.Generator().manual_seed(dice)) * 3
    sampler = Sampler(len(asked) + 1, vocabulary, CPU)
    for slot, sampling in enumerate(asked):
        sampler.start(slot, sampling, PROMPT)
    made = [sampler.choose(step.clone(), range(len(asked)))[1].read().tokens for step in logits]
    for slot, sampling in enumerate(asked):
        assert [tokens[slot] for tokens in made] == reference(sampling, logits[:, slot])


def test_draws_have_the_probabilities_of_the_softmax():
    logits = torch.tensor([2.0, 1.0, 0.0, -1.0, -2.0])
    rows = 4000
    sampler = Sampler(rows, 5, CPU)
    for slot in range(rows):
        sampler.start(slot, Sampling(temperature=1.5, seed=slot), PROMPT[:1])
    tokens = torch.tensor(sampler.choose(logits.repeat(rows, 1), range(rows))[1].read().tokens)
    for token, probability in enumerate(torch.softmax(logits / 1.5, -1).tolist()):
        share = (tokens == token).float().mean().item()
        assert math.isclose(share, probability, abs_tol=4 * math.sqrt(probability / rows))


def test_steps_of_one_seed_are_independent_draws():
    sampler = Sampler(1, 2, CPU)
    sampler.start(0, Sampling(temperature=1.0, seed=1), PROMPT[:0])
    tokens = [sampler.choose(torch.zeros(1, 2), range(1))[1].read().tokens[0] for _ in range(2000)]
    assert abs(sum(tokens) / 2000 - 0.5) < 0.05
    pairs = sum(a == b for a, b in itertools.pairwise(tokens))
    assert abs(pairs / 1999 - 0.5) < 0.05


def test_moving_to_another_slot_changes_no_draw():
    torch.manual_seed(0)
    logits, sampling = torch.randn(6, 300), Sampling(temperature=1.0, frequency_penalty=1.0, seed=9)
    sampler = Sampler(3, 300, CPU)
    sampler.start(2, sampling, PROMPT)
    made = []
    for step, row in enumerate(logits):
        if step == 3:
            sampler.swap(2, 0)
        slot = 0 if step >= 3 else 2
        made += sampler.choose(row[None].clone(), range(slot, slot + 1))[1].read().tokens
    assert made == reference(sampling, logits)


@pytest.mark.parametrize("top", [0, 3])
def test_logprobs_are_those_of_the_model_before_any_filter(top):
    logits = torch.randn(2, 50, generator=torch.Generator().manual_seed(1))
    sampler = Sampler(2, 50, CPU)
    sampler.start(0, Sampling(), PROMPT)
    sampler.start(1, Sampling(temperature=1.0, top_k=1, repetition_penalty=2.0, top_logprobs=top), PROMPT)
    expected = logits[1].log_softmax(-1)
    chosen = sampler.choose(logits.clone(), range(2))[1].read()
    own, ids, values = chosen.logprobs[1]
    assert list(chosen.logprobs) == [1]
    assert math.isclose(own, expected[chosen.tokens[1]], rel_tol=1e-5)
    assert ids == expected.topk(top).indices.tolist() and len(values) == top
