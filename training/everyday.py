"""The held-out rows for images as people send them: useful answers, honest refusals, wrong ones, wrong ones without doubt.

Looks, fonts, names, words and wordings are those that training never used, and the kinds under "never drawn" are wholly
out of it.  An answer is useful if it holds what was asked, honest if it is a refusal that names rightly what is seen (or
nothing), else wrong.
"""

import json
import random
import re
from dataclasses import dataclass

from training.metrics import best_overlaps
from training.questions import Question, Task
from training.world import chat, documents, drawings, everyday, plots, screens, signs
from training.world.sample import Sample, plain
from training.world.sheets import UNKNOWN
from training.world.world import World

SEED = 880_000
CHARTS = ("value", "which_value", "highest", "lowest", "compare", "list_values", "describe_chart", "trend")
REFUSES = re.compile(r"^I see (?P<noun>.+?)(?:,? (?:but|and cannot)) ")
PLAIN_REFUSALS = (chat.PHOTO, chat.ZH_PHOTO, chat.OFF_TOPIC_PICTURE)


@dataclass(frozen=True)
class Row:
    """maker: draws an image for a world; kinds: the questions that count, () for all; never: training never drew it."""

    name: str
    maker: object
    kinds: tuple = ()
    never: bool = False
    printed: bool | None = None  # of charts: whether values stand at their marks


def _one_of(*makers):
    def make(world):
        picture, seen = world.rng.choice(makers)(world)
        return [picture], everyday.turns_about(world, seen, picture)

    return make


def _plot(world):
    picture, turns = everyday.plot_sample(world)
    return [picture], turns


PAPERS = _one_of(*everyday.KINDS["document"])
SCREENS = _one_of(*everyday.KINDS["screen"])
ROWS = [
    Row("letters", _one_of(documents.letter)),
    Row("invoices", _one_of(documents.invoice)),
    Row("long receipts", _one_of(documents.receipt)),
    Row("tables", _one_of(documents.table)),
    Row("forms and tickets", _one_of(documents.form)),
    Row("pages of text", _one_of(documents.notice)),
    Row("documents: readable fields", PAPERS, ("field",)),
    Row("documents: too small to read", PAPERS, ("small",)),
    Row("documents: what is not there", PAPERS, ("absent",)),
    Row(
        "documents and screens: JSON with given keys",
        _one_of(*everyday.KINDS["document"], screens.chat_window),
        ("json",),
    ),
    Row("dialogs", _one_of(screens.dialog)),
    Row("app windows", _one_of(screens.window)),
    Row("chats", _one_of(screens.chat_window)),
    Row("web pages", _one_of(screens.web_page)),
    Row("program code", _one_of(screens.code)),
    Row("user interface: box of an element", SCREENS, ("box",)),
    Row("charts in libraries' looks, printed values", _plot, CHARTS, printed=True),
    Row("charts in libraries' looks, no values", _plot, CHARTS, printed=False),
    Row("charts of several series", _one_of(plots.several_series)),
    Row("road and safety signs", _one_of(signs.sign)),
    Row("drawn objects, silhouettes", _one_of(drawings.drawn_object)),
    Row("handwriting", _one_of(drawings.handwriting)),
    Row(
        "codes, boards, scores, plans, comics, sketches",
        _one_of(
            drawings.qr_code,
            drawings.barcode,
            drawings.calendar,
            drawings.board,
            drawings.score,
            drawings.floor_plan,
            drawings.comic,
            drawings.sketch,
        ),
    ),
    Row("several images: box in one of them", everyday.pair_sample, ("box_in",)),
    Row("several images: what each is", everyday.pair_sample, ("each",)),
    *(Row(f"never drawn: {name}", _one_of(maker), never=True) for name, maker in everyday.UNSEEN.items()),
]


def questions(row, count, assets):
    """`count` questions of a row, at most two of one image.  assets: of training.assets."""
    index = ROWS.index(row)
    world = World(SEED + index, assets, split="test", chinese=0.0)
    pick, out = random.Random(index), []
    while len(out) < count:
        pictures, turns = row.maker(world)
        sample = Sample("", pictures, [[turn] for turn in turns])
        found = [t for t in turns if (not row.kinds or t.kind in row.kinds) and _counts(row, t)]
        out += [Question(Task(row.name, ()), sample, [t]) for t in pick.sample(found, min(2, len(found)))]
    return out[:count]


def _counts(row, turn):
    if turn.kind == "picture_off_topic":
        return False
    return row.printed is None or (turn.kind in CHARTS and (turn.chart_printed is row.printed))


def verdict(turn, answer):
    """ "useful", "honest" or "wrong"."""
    answer = answer.strip()
    if turn.boxes:
        good = all(overlap > 0.5 for overlap in best_overlaps(turn.boxes, answer))
        return "useful" if good else "honest" if refuses(turn, answer) else "wrong"
    if turn.kind == "json":
        return _verdict_json(json.loads(turn.wanted), answer)
    if refuses(turn, answer):
        return "honest"
    if turn.wanted is None:
        return "wrong"
    if turn.kind in ("what", "describe"):
        return "useful" if _names(turn, answer) and _quotes(turn, answer) else "wrong"
    if turn.kind in ("field", "read"):
        return "useful" if _even(turn.wanted) in _even(answer) else "wrong"
    return (
        "useful"
        if _even(answer) == _even(turn.wanted) or (turn.kind == "each" and _even(turn.wanted) in _even(answer))
        else "wrong"
    )


def refuses(turn, answer):
    """Whether the answer is a refusal that says nothing wrong about what is seen."""
    if answer in PLAIN_REFUSALS:
        return True
    if answer in (everyday.NO_VALUES, chat.NO_TEXT, chat.NO_CHART):
        return answer == plain(turn.answer)
    found = REFUSES.match(answer)
    return bool(found) and (turn.seen is None or found["noun"].lower() in (*_nouns(turn), UNKNOWN.lower()))


def _nouns(turn):
    return [turn.seen.noun.lower(), *(name.lower() for name in turn.seen.accepted)]


def _names(turn, answer):
    return any(re.search(rf"\b{re.escape(noun)}\b", answer.lower()) for noun in _nouns(turn))


def _quotes(turn, answer):
    """Whether everything that the answer quotes is printed there."""
    quoted = re.findall(r'"([^"]+)"', answer)
    right = _even(plain(turn.answer)) + " ".join(_even(f.value) for f in turn.seen.fields)
    return all(_even(text) in right for text in quoted)


def _even(text):
    return re.sub(r"\s+", " ", plain(text)).strip().casefold().rstrip(".")


def _verdict_json(wanted, answer):
    try:
        given = json.loads(answer)
    except ValueError:
        return "wrong"
    if not isinstance(given, dict) or set(given) != set(wanted):
        return "wrong"
    said = {key: value for key, value in given.items() if value is not None}
    if any(wanted[key] is None or _even(str(value)) != _even(wanted[key]) for key, value in said.items()):
        return "wrong"
    return "useful" if given == wanted or len(said) == sum(v is not None for v in wanted.values()) else "honest"


def summary(answers):
    """answers: [{"verdict", "sure"}] -> the row's shares.  sure: not under the threshold of doubt."""
    count = len(answers)
    share = {name: sum(a["verdict"] == name for a in answers) / count for name in ("useful", "honest", "wrong")}
    return {"n": count, **share, "undoubted": sum(a["verdict"] == "wrong" and a["sure"] for a in answers) / count}


def table(rows):
    """Markdown.  rows: name -> summary"""
    lines = ["| images | n | useful | honest | wrong | wrong without doubt |", "|---|---|---|---|---|---|"]
    keys = ("useful", "honest", "wrong", "undoubted")
    lines += [
        f"| {name} | {row['n']} | " + " | ".join(f"{row[key]:.2f}" for key in keys) + " |" for name, row in rows.items()
    ]
    return "\n".join(lines)
