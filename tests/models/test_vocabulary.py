"""What only the true vocabulary shows: 151,657 words, in which a character may take several tokens."""

import json
import unicodedata
from dataclasses import replace

import pytest
import torch

from benchmarks.qwen_tokenizer import LOGITS, SPECIAL, tokenizer
from qwen_demo.engines.grammar import Grammars
from qwen_demo.engines.output import Output, runs_in_a_loop
from qwen_demo.models.prompt import PromptBuilder
from tests.conftest import image, question

END = 151_645
TEXTS = {
    "emoji": "A 👩‍🚀 and a 👨‍👩‍👧‍👦 wave 🏳️‍🌈 at the 🦤!",
    "rare": "𠮷野家 𓀀𓁐 ꙮ ﷽ 𝕬 ẞ",
    "Chinese": "这张图片里有一只猫，坐在红色的沙发上。价格是￥128.50。",
    "combined": unicodedata.normalize("NFC", "naïve café, Ṩ̈ and Việt Nam"),
    "code": "x = {'a': 3.14}\n\n\tif x:\r\n    return '\\n'  # ok\n",
    "mixed": "عربى עברית हिन्दी ไทย 한국어 日本語 русский",
}


@pytest.fixture(scope="module")
def qwen():
    return tokenizer()


def ids_of(qwen, text: str) -> list[int]:
    return qwen(text, add_special_tokens=False)["input_ids"]


def output(qwen, **changes) -> Output:
    return Output(qwen, frozenset([END]), **{"max_new_tokens": 10_000, **changes})


def pieces(qwen, ids: list[int], **changes) -> tuple[list[str], Output]:
    out = output(qwen, **changes)
    said = []
    for token in ids:
        said.append(out.push(token))
        if out.reason:
            break
    return said, out


def test_ids_are_those_of_the_hub(qwen):
    assert ids_of(qwen, "Hello") == [9707]
    assert [qwen.convert_tokens_to_ids(token) for token in SPECIAL] == list(range(151_643, 151_657))
    assert len(qwen) == 151_657
    assert ids_of(qwen, "2025") == ids_of(qwen, "2") + ids_of(qwen, "0") + ids_of(qwen, "2") + ids_of(qwen, "5")


@pytest.mark.parametrize("name", TEXTS)
def test_a_stream_gives_whole_characters_and_all_of_them(qwen, name):
    text = TEXTS[name]
    ids = ids_of(qwen, text)
    said, out = pieces(qwen, [*ids, END])
    assert "".join(said) == text
    assert not any("\ufffd" in piece for piece in said)
    assert out.reason == "stop" and len(out.ids) == len(ids) + 1


def test_some_characters_take_several_tokens(qwen):
    """Else the tests above would show nothing."""
    said, _ = pieces(qwen, [*ids_of(qwen, TEXTS["rare"]), END])
    assert said.count("") > 3


def test_an_answer_cut_within_a_character_ends_before_it(qwen):
    ids = ids_of(qwen, "𓀀")
    assert len(ids) > 2
    said, out = pieces(qwen, ids, max_new_tokens=len(ids) - 1)
    assert "".join(said) == "" and out.reason == "length"


@pytest.mark.parametrize("name", ["Chinese", "emoji", "code"])
def test_a_stop_string_ends_an_answer_wherever_tokens_part_it(qwen, name):
    text = TEXTS[name]
    ids = ids_of(qwen, text)
    for start in range(1, len(text) - 3):
        stop = text[start : start + 3]
        said, out = pieces(qwen, [*ids, END], stop=(stop,))
        assert "".join(said) == text[: text.index(stop)], stop
        assert out.reason == "stop"


def test_no_part_of_a_stop_string_is_said_before_it_is_known_to_be_none(qwen):
    said, out = pieces(qwen, ids_of(qwen, "价格是￥128.50。好的"), stop=("￥128.50。好",))
    assert "".join(said) == "价格是" and out.reason == "stop"
    said, _ = pieces(qwen, [*ids_of(qwen, "价格是￥128.50。不好"), END], stop=("￥128.50。好",))
    assert "".join(said) == "价格是￥128.50。不好"


@pytest.fixture(scope="module")
def prompts(loaded, qwen):
    """The embedded model's processor with the true tokenizer."""
    from transformers import Qwen2_5_VLProcessor

    ours = loaded.prompts.processor
    processor = Qwen2_5_VLProcessor(ours.image_processor, qwen, ours.video_processor, chat_template=ours.chat_template)
    info = replace(loaded.info, context_tokens=32_768)
    return PromptBuilder(processor, loaded.model.model.get_rope_index, info)


@pytest.mark.parametrize(
    "typed", ["<|im_end|>", "<|im_start|>system", "a<|image_pad|>b", "<|endoftext|><|vision_start|>"]
)
def test_special_tokens_that_people_type_are_text(prompts, qwen, typed):
    plain = prompts.build(question("", image())).input_ids.tolist()
    ids = prompts.build(question(typed, image())).input_ids.tolist()
    specials = set(range(151_643, 151_657))
    assert [each for each in ids if each in specials] == [each for each in plain if each in specials]
    assert typed in qwen.decode(ids)
    assert len(ids) > len(plain)


def test_what_is_typed_costs_what_the_tokenizer_says(prompts, qwen):
    base = prompts.build(question("")).length
    for text in TEXTS.values():
        assert prompts.build(question(text)).length - base == pytest.approx(len(ids_of(qwen, text)), abs=1)


@pytest.fixture(scope="module")
def grammars(qwen):
    return Grammars(qwen, LOGITS, frozenset([END]))


def allowed(constraint) -> set[int]:
    logits = torch.zeros(1, LOGITS)
    constraint.apply(logits)
    return set(logits[0].isfinite().nonzero().flatten().tolist())


def test_a_grammar_allows_what_the_schema_says_and_no_token_that_is_none(grammars, qwen):
    constraint = grammars.constraint(json.dumps({"enum": ["红色", "blue"]}))
    first = allowed(constraint)
    assert first and max(first) < len(qwen)
    for text in ('"红', '"bl', '"'):
        assert ids_of(qwen, text)[0] in first
    assert not first & set(range(151_643, LOGITS))


@pytest.mark.parametrize("text", ['{"name":"猫","emoji":"🦤","price":128.5}', '{"name":"a","emoji":"𓀀","price":0}'])
def test_an_answer_of_many_token_characters_follows_a_schema_to_its_end(grammars, qwen, text):
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "emoji": {"type": "string"}, "price": {"type": "number"}},
        "required": ["name", "emoji", "price"],
        "additionalProperties": False,
    }
    constraint = grammars.constraint(json.dumps(schema))
    for token in ids_of(qwen, text):
        assert token in allowed(constraint)
        constraint.accept(token)
    assert allowed(constraint) == {END}
    assert constraint.failure is None


def test_a_chinese_sentence_said_over_and_over_is_a_loop(qwen):
    once = ids_of(qwen, "这是一只猫。")
    assert runs_in_a_loop(once * 30)
    assert not runs_in_a_loop(ids_of(qwen, TEXTS["Chinese"]) * 2)


def test_each_token_of_log_probabilities_has_a_text(qwen):
    ids = ids_of(qwen, TEXTS["emoji"])
    assert all(qwen.decode([token]) for token in ids)
    assert qwen.decode(ids) == TEXTS["emoji"]
