"""A corpus made by seed on which words alone fail: questions in other words or another language, twins, tables.

Each kind makes pages that differ from each other in what is asked for alone. Of every page there is one question, and no
other page answers it.
"""

import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchmarks.knowledge_corpus import FILLER as LONG_FILLER
from benchmarks.knowledge_corpus import FILLER_ZH as LONG_FILLER_ZH
from qwen_demo.media import PageText, Passage

# (as the page has it, as the question asks)
THINGS = (
    ("car", "automobile"), ("bicycle", "two-wheeler"), ("refrigerator", "fridge"), ("sofa", "couch"),
    ("laptop", "portable computer"), ("ladder", "steps for climbing"), ("lawn", "grass in the garden"),
    ("roof", "top of the house"), ("boiler", "heating"), ("television", "TV set"), ("boat", "vessel"),
    ("telephone", "phone"),
)  # fmt: skip
PEOPLE = (
    ("physician", "doctor"), ("solicitor", "lawyer"), ("teacher", "schoolmaster"), ("tenant", "person who rents"),
    ("janitor", "caretaker"), ("baker", "man who makes the bread"), ("pilot", "man who flies planes"),
    ("nurse", "hospital sister"), ("mayor", "head of the town"), ("farmer", "man who grows crops"),
    ("author", "writer"), ("infant", "baby"),
)  # fmt: skip
DEEDS = (
    ("was repaired in", "fixed"), ("was purchased in", "bought"), ("was stolen in", "taken by thieves"),
    ("was photographed in", "taken a picture of"), ("was insured in", "covered against damage"),
    ("was painted in", "given a new colour"),
)  # fmt: skip
TOWNS = ("Aachen", "Bergen", "Calais", "Dublin", "Essen", "Florence", "Geneva", "Hamburg", "Izmir", "Jena", "Krakow")
THINGS_ZH = (
    ("汽车", "轿车"),
    ("自行车", "单车"),
    ("冰箱", "冷藏柜"),
    ("电脑", "计算机"),
    ("房屋", "住宅"),
    ("电视", "电视机"),
)
PEOPLE_ZH = (
    ("医生", "大夫"),
    ("律师", "法律顾问"),
    ("教师", "老师"),
    ("租客", "承租人"),
    ("农民", "种地的人"),
    ("作家", "写书的人"),
)
DEEDS_ZH = (("维修", "修理"), ("购买", "买下"), ("失窃", "被偷走"), ("投保", "买保险"))
CITIES_ZH = ("上海", "北京", "广州", "深圳", "杭州", "成都", "武汉", "南京")
# English pages, Chinese questions.
ACROSS_THINGS = (
    ("piano", "钢琴"), ("camera", "照相机"), ("watch", "手表"), ("tractor", "拖拉机"), ("painting", "画"), ("tent", "帐篷"),
)  # fmt: skip
ACROSS_PEOPLE = (
    ("king", "国王"), ("monk", "僧人"), ("soldier", "士兵"), ("cook", "厨师"), ("singer", "歌手"), ("fisherman", "渔夫"),
)  # fmt: skip
ACROSS_DEEDS = (("cleaned", "清洗"), ("lost", "丢失"), ("sold", "卖掉"), ("hidden", "藏起来"))
# Facts that stand late on a long page; of other things than those above.
LATE_THINGS = (
    ("violin", "fiddle"), ("wallet", "purse for money"), ("umbrella", "brolly"), ("ring", "piece of jewellery"),
    ("rifle", "gun"), ("carpet", "rug"), ("clock", "timepiece"), ("stove", "cooker"),
)  # fmt: skip
LATE_PEOPLE = (
    ("sailor", "seaman"), ("priest", "clergyman"), ("surgeon", "man who operates on patients"),
    ("constable", "policeman"), ("butcher", "man who sells meat"), ("grocer", "shopkeeper"),
)  # fmt: skip
LATE_DEEDS = (
    ("was auctioned in", "sold to the highest bidder"),
    ("was burnt in", "destroyed by fire"),
    ("was pawned in", "handed over for a loan"),
)
LATE_THINGS_ZH = (
    ("钱包", "皮夹"),
    ("雨伞", "遮雨的伞"),
    ("戒指", "首饰"),
    ("地毯", "毯子"),
    ("手机", "移动电话"),
    ("钢笔", "自来水笔"),
)
LATE_PEOPLE_ZH = (("警察", "民警"), ("船员", "水手"), ("屠夫", "卖肉的人"), ("牧师", "神职人员"))
LATE_DEEDS_ZH = (("拍卖", "竞价卖出"), ("烧毁", "被火烧掉"), ("典当", "抵押借款"))
FIRST = ("Anna", "Ben", "Clara", "David", "Emma", "Felix", "Greta", "Hugo", "Ida", "Jonas", "Karla", "Leo")
LAST = ("Abel", "Berg", "Claus", "Dorn", "Ebert", "Falk", "Graf", "Hahn", "Imhof", "Jung", "Kern", "Lang")
MONTHS = tuple("January February March April May June July August September October November December".split())  # noqa: SIM905
GOODS = ("bolts", "gaskets", "lamps", "hinges", "filters", "valves", "brackets", "springs", "cables", "switches")
DEPOTS = tuple(
    itertools.product(
        ("red", "green", "blue", "amber", "ivory", "violet"), ("harbor", "meadow", "canyon", "forest", "valley")
    )
)
FILLER = (
    "Please keep this note with your records.",
    "It was written down on the same day by the office.",
    "Copies went to both sides.",
    "Nothing else was agreed.",
)
FILLER_ZH = ("请妥善保存本页。", "当天由办公室记录。", "双方各执一份。")


@dataclass(frozen=True, slots=True)
class HardPage:
    """A page and the question that it alone answers."""

    kind: str
    file: str
    page: PageText
    question: str


def other_words(made: random.Random) -> Iterator[tuple[str, list[str]]]:
    for (thing, asked_thing), (who, asked_who), (deed, asked_deed) in itertools.product(THINGS, PEOPLE, DEEDS):
        text = f"The {thing} of the {who} {deed} {made.choice(TOWNS)}."
        yield f"In which town was the {asked_who}'s {asked_thing} {asked_deed}?", [text, made.choice(FILLER)]


def other_words_chinese(made: random.Random) -> Iterator[tuple[str, list[str]]]:
    for (thing, asked_thing), (who, asked_who), (deed, asked_deed) in itertools.product(THINGS_ZH, PEOPLE_ZH, DEEDS_ZH):
        text = f"{who}的{thing}在{made.choice(CITIES_ZH)}{deed}。"
        yield f"{asked_who}的{asked_thing}在哪个城市{asked_deed}？", [text, made.choice(FILLER_ZH)]


def other_language(made: random.Random) -> Iterator[tuple[str, list[str]]]:
    for (thing, asked_thing), (who, asked_who), (deed, asked_deed) in itertools.product(
        ACROSS_THINGS, ACROSS_PEOPLE, ACROSS_DEEDS
    ):
        text = f"Note: the {who} had a {thing} {deed} in {made.choice(TOWNS)}."
        yield f"{asked_who}的{asked_thing}在哪里{asked_deed}？", [text, made.choice(FILLER)]


def twins(made: random.Random) -> Iterator[tuple[str, list[str]]]:
    """Statements that differ in month, year or name alone."""
    for first, last in zip(FIRST, LAST, strict=True):
        for year, month in itertools.product(range(2021, 2025), MONTHS):
            text = [
                f"Statement of account for {first} {last}",
                f"Period: {month} {year}. Rent {made.randint(300, 900)}.00, heating {made.randint(20, 90)}.50.",
                f"Brought forward from {MONTHS[MONTHS.index(month) - 1]} {year - (month == 'January')}.",
            ]
            yield f"What rent did {first} {last} pay for the period of {month} {year}?", text


def tables(made: random.Random) -> Iterator[tuple[str, list[str]]]:
    """A cell of a table whose headings and rows all depots have."""
    for (colour, place), year in itertools.product(DEPOTS, range(2015, 2025)):
        goods = made.sample(GOODS, 8)
        rows = [f"{each} | {made.randint(1, 40)} | {made.randint(1, 5000)}" for each in goods]
        text = [f"Depot {colour} {place}, stock of {year}", "item | aisle | pieces", *rows]
        yield f"Which aisle holds the {goods[4]} of the {colour} {place} depot in {year}?", text


def late(made: random.Random) -> Iterator[tuple[str, list[str]]]:
    """In other words, after some 2,600 letters that all these pages have."""
    for (thing, asked_thing), (who, asked_who), (deed, asked_deed) in itertools.product(
        LATE_THINGS, LATE_PEOPLE, LATE_DEEDS
    ):
        text = f"The {thing} of the {who} {deed} {made.choice(TOWNS)}."
        question = f"In which town was the {asked_who}'s {asked_thing} {asked_deed}?"
        yield question, [*_padding(made, LONG_FILLER, 4), text, made.choice(FILLER)]


def late_chinese(made: random.Random) -> Iterator[tuple[str, list[str]]]:
    for (thing, asked_thing), (who, asked_who), (deed, asked_deed) in itertools.product(
        LATE_THINGS_ZH, LATE_PEOPLE_ZH, LATE_DEEDS_ZH
    ):
        text = f"{who}的{thing}在{made.choice(CITIES_ZH)}{deed}。"
        question = f"{asked_who}的{asked_thing}在哪个城市{asked_deed}？"
        yield question, [*_padding(made, LONG_FILLER_ZH, 12), text, made.choice(FILLER_ZH)]


def _padding(made: random.Random, sentences: tuple[str, ...], times: int) -> Iterator[str]:
    """Paragraphs, each of all sentences in an order of its own."""
    return (" ".join(made.sample(sentences, len(sentences))) for _ in range(times))


KINDS: tuple[Callable[[random.Random], Iterator[tuple[str, list[str]]]], ...] = (
    other_words,
    other_words_chinese,
    other_language,
    twins,
    tables,
    late,
    late_chinese,
)


def hard_pages(each: int, seed: int = 17) -> list[HardPage]:
    """At most `each` pages of each kind, ten to a file, drawn from all that there are."""
    found = []
    for kind in KINDS:
        made = random.Random(f"{seed} {kind.__name__}")
        whole = list(kind(made))
        for index, (question, texts) in enumerate(made.sample(whole, min(each, len(whole)))):
            page = PageText(index % 10 + 1, tuple(map(Passage, texts)))
            found.append(HardPage(kind.__name__, f"notes {kind.__name__} {index // 10:04d}.pdf", page, question))
    return found


def not_there(count: int, seed: int = 19) -> list[str]:
    """Questions of the same kinds, in other words too, about what is on no page."""
    made = random.Random(seed)
    kinds = (
        lambda: f"Who sang at the {made.choice(['wedding', 'funeral', 'coronation'])} of the {made.choice(PEOPLE)[1]}?",
        lambda: f"What rent did Quentin Zweig pay for the period of {made.choice(MONTHS)} 1987?",
        lambda: (
            f"How deep is the {made.choice(['ocean', 'lake', 'well'])} near {made.choice(['Lima', 'Oslo', 'Perth'])}?"
        ),
        lambda: f"{made.choice(['长城', '月亮', '鲸鱼', '珠穆朗玛峰'])}有多重？",
        lambda: f"Which vaccine was given to the {made.choice(['elephant', 'parrot', 'astronaut'])} last spring?",
        lambda: f"谁在{made.choice(['音乐会', '婚礼', '奥运会'])}上唱歌？",
    )
    return [made.choice(kinds)() for _ in range(count)]
