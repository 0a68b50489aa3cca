"""A corpus made by seed: letters, invoices, stock lists and manuals, English and Chinese, with near twins of each.

Each page holds a fact that stands on no other page, among words that stand on many. Its twin has the same words, other
numbers and another name. Questions ask in other words than the page has, where a person would.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from qwen_demo.media import PageText, Passage


def _words(text: str) -> list[str]:
    return text.split()


FIRST = _words(
    "Anna Ben Clara David Emma Felix Greta Hugo Ida Jonas Karla Leo Mara Nils Olga Paul Rosa Simon Tina Viktor"
)
LAST = _words(
    "Abel Berg Claus Dorn Ebert Falk Graf Hahn Imhof Jung Kern Lang Moser Nagel Otto Pohl Roth Stein Thal Weber"
)
TOWNS = _words(
    "Aachen Bergen Calais Dublin Essen Florence Geneva Hamburg Izmir Jena Krakow Lyon Malmo Nantes Oslo Porto"
)
ITEMS = _words("bolts gaskets lamps hinges filters valves brackets springs cables switches screws clamps rollers seals")
MONTHS = _words("January February March April May June July August September October November December")
COLOURS = _words("red green blue amber ivory violet silver golden scarlet azure copper olive crimson pearl")
ANIMALS = _words("otter falcon badger heron lynx marten raven beaver weasel ibex stork hare pike adder")
PLACES = _words("harbor meadow canyon island forest glacier valley delta summit lagoon prairie marsh cliff dune")
THINGS = _words("lantern anchor mirror compass saddle ladder violin kettle hammer feather basket candle rocket helmet")
FAMILIES, GIVEN, CITIES = (
    "王李张刘陈杨赵黄周吴徐孙",
    "芳伟娜敏静丽强磊军洋勇艳杰涛明超",
    _words("上海 北京 广州 深圳 杭州 成都 武汉 南京"),
)
FILLER = (
    "We thank you for your trust and remain at your disposal for any further question.",
    "Please keep this page with your records, as it may be asked for during an inspection.",
    "The terms on the reverse apply unless something else was agreed in writing.",
    "All values were checked twice by the department before this page was printed.",
    "If anything is unclear, call the number below between nine and five on working days.",
    "Changes are announced four weeks ahead and need the consent of both sides.",
    "Store in a dry place, away from heat, and out of the reach of children.",
    "This copy replaces all earlier ones; those should be returned or destroyed.",
)
FILLER_ZH = (
    "感谢您的信任，如有任何疑问请随时与我们联系。",
    "请妥善保存本页，检查时可能需要出示。",
    "除非另有书面约定，背面条款适用于本文件。",
    "如有变更，将提前四周通知双方并征得同意。",
)


@dataclass(frozen=True, slots=True)
class Fact:
    """A question that one page answers."""

    question: str
    file: str
    page: int


@dataclass(frozen=True, slots=True)
class Sheet:
    """A page of the corpus and what may be asked about it."""

    file: str
    page: PageText
    fact: Fact


def sheets(count: int, seed: int = 7) -> Iterator[Sheet]:
    """`count` pages, ten to a file; of any count the first ones are the same."""
    made = random.Random(seed)
    for index in range(count):
        kind = KINDS[index % len(KINDS)]
        file, number = f"{kind.__name__[1:]}s {index // 10:05d}.pdf", index % 10 + 1
        question, passages = kind(made, index)
        page = PageText(number, tuple(Passage(text) for text in passages))
        yield Sheet(file, page, Fact(question, file, number))


def _filler(made: random.Random, sentences: tuple[str, ...] = FILLER) -> str:
    return " ".join(made.sample(sentences, min(len(sentences), made.randint(3, 5))))


def _invoice(made: random.Random, index: int) -> tuple[str, list[str]]:
    number, total = f"INV-{20_000 + index * 3}", made.randint(1000, 99_999) / 100
    who = f"{made.choice(FIRST)} {made.choice(LAST)}"
    lines = [f"{made.randint(1, 40)} {item} at {made.randint(100, 999) / 100:.2f}" for item in made.sample(ITEMS, 4)]
    text = [f"Invoice {number} for {who}, {made.choice(TOWNS)}", "; ".join(lines), f"Total due: {total:.2f} EUR"]
    return f"What is the total of invoice {number}?", [*text, _filler(made)]


def _letter(made: random.Random, index: int) -> tuple[str, list[str]]:
    who, street = f"{made.choice(FIRST)} {made.choice(LAST)}", f"{made.choice(LAST)}allee {index}"
    day = f"{made.randint(1, 28)} {made.choice(MONTHS)} {made.randint(2019, 2026)}"
    text = [f"Dear {who},", f"the keys of your flat in {street} are handed over on {day}.", _filler(made)]
    return f"When are the keys for the flat at {street} given to {who}?", text


def _manual(made: random.Random, index: int) -> tuple[str, list[str]]:
    name = f"{made.choice('ABCDEFGHKLMNPRST')}{made.choice('ABCDEFGHKLMNPRST')}-{100 + index}"
    part = made.choice(["pump", "boiler", "compressor", "fan", "press"])
    text = [
        f"Operating manual of the {part} {name}",
        f"The maximum working pressure is {made.randint(10, 990) / 10} bar at {made.randint(20, 90)} degrees.",
        f"Replace the {made.choice(ITEMS)} every {made.randint(2, 36)} months.",
        _filler(made),
    ]
    return f"How high may the pressure of the {part} {name} be at most?", text


def _stock(made: random.Random, index: int) -> tuple[str, list[str]]:
    town, month, year = made.choice(TOWNS), made.choice(MONTHS), 1900 + index % 120
    code = f"W{index:05d}"
    rows = [f"{item} | {made.randint(1, 5000)}" for item in made.sample(ITEMS, 8)]
    asked = rows[3].split(" ")[0]
    return (
        f"How many {asked} were in warehouse {code} in {town}?",
        [f"Stock list of warehouse {code}, {town}, {month} {year}", "item | pieces", *rows, _filler(made)],
    )


def _contract(made: random.Random, index: int) -> tuple[str, list[str]]:
    number, city = f"HT{30_000 + index}", made.choice(CITIES)
    who = made.choice(FAMILIES) + made.choice(GIVEN) + made.choice(GIVEN)
    text = [
        f"合同编号：{number}",
        f"甲方代表：{who}，签订地点：{city}。",
        f"合同金额为人民币{made.randint(1, 999)}万元。",
    ]
    return f"编号为{number}的合同金额是多少？", [*text, _filler(made, FILLER_ZH)]


def _booking(made: random.Random, index: int) -> tuple[str, list[str]]:
    who = made.choice(FAMILIES) + made.choice(GIVEN) + made.choice(GIVEN)
    room = f"{100 + index}"
    text = [
        f"{who}先生／女士：",
        f"您预订的会议室{room}位于{made.randint(1, 60)}层，靠近电梯。",
        _filler(made, FILLER_ZH),
    ]
    return f"{who}预订的会议室{room}在几层？", text


def _minutes(made: random.Random, index: int) -> tuple[str, list[str]]:
    """Known by no number: four words, each of them on many pages, together on one."""
    name = _project(index // len(KINDS))
    text = [
        f"Minutes of the project {name}",
        f"Present: {made.choice(FIRST)}, {made.choice(FIRST)}. A budget of {made.randint(10, 999)} thousand was approved.",
        f"The next meeting is in {made.choice(TOWNS)} in {made.choice(MONTHS)}.",
        _filler(made),
    ]
    return f"Which budget did they approve for {name}?", text


def _project(index: int) -> str:
    return " ".join(words[index // 14**place % 14] for place, words in enumerate((COLOURS, ANIMALS, PLACES, THINGS)))


KINDS = (_invoice, _letter, _manual, _stock, _contract, _booking, _minutes)


def beside(count: int, pages: int, seed: int = 13) -> list[str]:
    """Questions whose subject is there and whose answer is not, and projects one word beside those that are there."""
    made, found = random.Random(seed), []
    corpus = list(sheets(min(pages, 2000)))
    for _ in range(count):
        sheet = made.choice(corpus)
        subject = sheet.page.passages[0].text.rstrip(",:")
        colour = f"What colour and weight does the {subject} have?"
        found.append(
            made.choice([colour, f"Which budget did they approve for {_project(14**4 - 1 - made.randrange(50))}?"])
        )
    return found


def unanswerable(count: int, seed: int = 11) -> list[str]:
    """Questions of the same kinds about what is on no page, and about other things altogether."""
    made = random.Random(seed)
    kinds = (
        lambda: f"What is the total of invoice INV-{made.randint(900_000_000, 999_999_999)}?",
        lambda: (
            f"How high may the pressure of the {made.choice(['turbine', 'kettle'])} QX-{made.randint(10**7, 10**8)} be?"
        ),
        lambda: f"Who won the chess tournament of {made.choice(['Reykjavik', 'Tbilisi', 'Havana'])}?",
        lambda: f"编号为HT{made.randint(10**8, 10**9)}的合同金额是多少？",
        lambda: f"{made.choice(['长城', '珠穆朗玛峰', '鲸鱼'])}有多高多长多重？",
        lambda: f"Which vaccine did doctor {made.choice(['Okonkwo', 'Yamada', 'Silva'])} recommend against malaria?",
    )
    return [made.choice(kinds)() for _ in range(count)]
