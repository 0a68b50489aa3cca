"""The corpus of the benchmark: each fact stands on one page, and what is said to be on none is."""

from benchmarks.knowledge_corpus import beside, sheets, unanswerable


def test_no_two_pages_answer_one_question():
    # Beyond the period of any list of words, a name would come again and two pages would be right.
    made = [sheet.fact.question for sheet in sheets(40_000)]
    assert len(set(made)) == len(made)


def test_what_is_on_no_page_is_asked_of_no_page():
    made = {sheet.fact.question for sheet in sheets(5_000)}
    assert not made & {*unanswerable(100), *beside(100, 5_000)}


def test_the_same_seed_makes_the_same_pages_at_any_size():
    assert list(sheets(50)) == list(sheets(500))[:50]
