"""Formulas between dollars are told from prices, and come back as the model wrote them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_demo.ui import maths

FORMULA = "$\u2060{}\u2060$".format


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("$x^2$", FORMULA("x^2")),
        ("so ($a_1$, $b$).", f"so ({FORMULA('a_1')}, {FORMULA('b')})."),
        (r"$5\%$ more", FORMULA(r"5\%") + " more"),
        ("from $5 to $6", "from $5 to $6"),
        ("$5, $6 and $7", "$5, $6 and $7"),
        ("US$5 or A$6", "US$5 or A$6"),
        (r"\$x$ and $y\$", r"\$x$ and $y\$"),
        ("`$x$` and $y$", f"`$x$` and {FORMULA('y')}"),
        ("```sh\necho $HOME$\n```\n$z$", f"```sh\necho $HOME$\n```\n{FORMULA('z')}"),
        ("```\n$unended$", "```\n$unended$"),
        ("$$\\sum x$$ and $y$", f"$$\\sum x$$ and {FORMULA('y')}"),
        ("$ x $", "$ x $"),
        ("$over\nlines$", "$over\nlines$"),
    ],
)
def test_only_formulas_are_marked(written, shown):
    assert maths.marked(written) == shown


@pytest.mark.timeout(60)  # in time with its square it would take the better part of an hour
def test_a_strangers_backticks_hold_up_nobody():
    text = "$a " + "`" * 500_000 + " " + "x" * 500_000
    assert maths.marked(text) == text
    distinct = " x ".join("`" * length for length in range(1, 1000))
    assert maths.marked(f"{distinct} $x$") == f"{distinct} {FORMULA('x')}"


@given(st.text(alphabet="$x 5\\`\n"))
def test_what_is_marked_comes_back(text):
    assert maths.unmarked(maths.marked(text)) == text
