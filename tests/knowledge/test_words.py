"""What is indexed of a text: stems, numbers, pairs of Chinese characters; what of a question is searched for."""

import pytest

from qwen_demo.knowledge.words import asked_words, words_of


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("connections", "connected"),
        ("Grew GROWING", "grew growing"),
        ("Café naïve", "cafe naive"),
        ("ＡＢＣ１２３", "abc123"),
        ("合同金额", "合同金额"),
        ("ZX-19", "zx 19"),
    ],
)
def test_words_that_mean_the_same_are_indexed_the_same(one, other):
    assert words_of(one) == words_of(other)


def test_chinese_is_cut_into_pairs_beside_other_words():
    assert words_of("合同金额为300元") == ["合同", "同金", "金额", "额为", "300", "元"]
    assert words_of("東京タワー") == ["東京", "京タ", "タワ", "ワー"]


def test_numbers_are_not_stemmed_and_names_of_parts_stay_whole():
    assert words_of("1990s 4711 X7") == ["1990s", "4711", "x7"]


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("What is the boiler's pressure?", ["boiler", "pressur"]),
        ("合同的金额是多少？", ["合同", "金额"]),
        ("Who are you?", ["who", "are", "you"]),
        ("?!", []),
    ],
)
def test_of_a_question_what_it_is_about_is_searched_for(question, words):
    assert asked_words(question) == words
