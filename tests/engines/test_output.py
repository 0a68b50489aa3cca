import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_demo.engines.output import Output, runs_in_a_loop


def spell(output: Output, ids) -> str:
    text = ""
    for token in ids:
        text += output.push(token)
        if output.reason:
            break
    return text


@pytest.fixture(scope="session")
def tokenizer(loaded):
    return loaded.prompts.tokenizer


def output(tokenizer, **options) -> Output:
    return Output(tokenizer, frozenset({tokenizer.eos_token_id}), **{"max_new_tokens": 10_000, **options})


@pytest.mark.parametrize("text", ["plain words", "漢字とかな", "😀 👩‍👩‍👧 flags 🇨🇳", "  indent\n\tcode", "é à ü"])
def test_the_pieces_are_the_text_and_each_is_whole(tokenizer, text):
    made = output(tokenizer)
    pieces = [made.push(token) for token in tokenizer(text)["input_ids"]]
    assert "".join(pieces) == text
    assert not any("�" in piece for piece in pieces)


def test_the_end_token_ends_it_and_is_not_text(tokenizer):
    made = output(tokenizer)
    assert spell(made, [*tokenizer("done")["input_ids"], tokenizer.eos_token_id]) == "done"
    assert made.reason == "stop"


@pytest.mark.parametrize(("stop", "expected"), [("wor", "hello "), ("o w", "hell"), ("never", "hello world again")])
def test_a_stop_string_across_tokens_is_cut_off(tokenizer, stop, expected):
    made = output(tokenizer, stop=(stop,))
    ids = [*tokenizer("hello world again")["input_ids"], tokenizer.eos_token_id]
    assert spell(made, ids) == expected
    assert made.reason == "stop"


def test_text_held_back_for_a_stop_string_is_given_at_the_end(tokenizer):
    ids = tokenizer("hello wo")["input_ids"]
    made = output(tokenizer, stop=("world",), max_new_tokens=len(ids))
    assert spell(made, ids) == "hello wo"
    assert made.reason == "length"


def test_a_loop_is_noticed_and_can_be_let_be(tokenizer):
    ids = tokenizer("the cat sat on the mat. ")["input_ids"] * 60
    guarded, free = output(tokenizer), output(tokenizer, repetition_guard=False)
    spell(guarded, ids)
    assert guarded.reason == "repetition"
    assert len(guarded.ids) < 200
    spell(free, ids)
    assert free.reason is None


def test_a_table_is_no_loop():
    rows = [token for n in range(80) for token in (1, 2, 3, 4, 100 + n, 5, 200 + n % 7, 6)]
    assert not any(runs_in_a_loop(rows[:end]) for end in range(0, len(rows), 16))


@given(st.lists(st.integers(0, 3), max_size=60), st.lists(st.integers(0, 9), min_size=1, max_size=60))
def test_any_block_said_often_enough_is_a_loop(start, block):
    assert runs_in_a_loop([*start, *block * 200])


@given(st.lists(st.integers(), unique=True, max_size=400))
def test_tokens_that_all_differ_are_no_loop(ids):
    assert not runs_in_a_loop(ids)
