"""Images as people send them: what is asked about them, the answer where the text can be read, the refusal where not.

A refusal is one sentence that names what is seen.  Kinds in UNSEEN are drawn for evaluation alone.
"""

import json

from training.phrases import everyday as phrases
from training.world import chart_talk, chat, documents, drawings, plots, screens, signs, unseen
from training.world.catalog import article, join
from training.world.grounding import boxes_json
from training.world.groups import NTH
from training.world.sample import Turn, spelled
from training.world.scenes import draw_scene, still
from training.world.sheets import READABLE_X_PX, TOO_SMALL_X_PX

KINDS = {
    "document": {
        documents.letter: 6,
        documents.invoice: 7,
        documents.receipt: 4,
        documents.table: 6,
        documents.form: 6,
        documents.notice: 6,
    },
    "screen": {
        screens.dialog: 6,
        screens.window: 6,
        screens.chat_window: 5,
        screens.web_page: 5,
        screens.code: 5,
    },
    "sign": {signs.sign: 1},
    "drawing": {
        drawings.drawn_object: 7,
        drawings.qr_code: 1,
        drawings.barcode: 1,
        drawings.calendar: 1.5,
        drawings.board: 1.5,
        drawings.score: 1,
        drawings.floor_plan: 1,
        drawings.comic: 1.5,
        drawings.handwriting: 3,
        drawings.sketch: 1.5,
        plots.several_series: 3,
    },
}
UNSEEN = {
    "slide": documents.slide,
    "business card": documents.business_card,
    "newspaper": documents.newspaper,
    "terminal": screens.terminal,
    "scatter chart": plots.scatter,
    "map": plots.map_of,
    "flow chart": plots.flowchart,
    "meme": drawings.meme,
    "keyboard": unseen.keyboard,
    "playing cards": unseen.playing_cards,
    "video game": unseen.video_game,
    "boarding pass": unseen.boarding_pass,
}
SENTENCES = {
    "title": 'The title is "{}".',
    "sender": "It is from {}.",
    "shop": "The shop is {}.",
    "signature": "It is signed by {}.",
    "sign": "The sign says {}.",
}
ALONE = ("first line", "last line", "first message", "last message")  # the answer is what is printed, and nothing else


CHART_TOO_SMALL_X_PX = 5.0  # in training: the world's own charts are read down to such labels
NOUNS_ZH = {"document": "一页文字", "screen": "一张屏幕截图", "sign": "一个标志", "series": "一张图表"}


def type_of(seen):
    """ "document", "screen", "sign" or the kind itself."""
    if seen.noun in ("a dialog window", "an app window", "a chat", "a web page", "program code"):
        return "screen"
    return "document" if "a page of text" in (seen.noun, *seen.accepted) else seen.kind


def too_small(noun):
    return f"I see {noun}, but its text is too small for me."


def lacking(noun, name):
    return f"I see {noun}, but no {name} in it."


def sheet_sample(world, family):
    """(picture, turns)"""
    kinds = KINDS[family]
    picture, seen = world.rng.choices(list(kinds), kinds.values())[0](world)
    return picture, turns_about(world, seen, picture)


def unseen_sample(world, name):
    """(picture, turns) of a kind that training never draws."""
    picture, seen = UNSEEN[name](world)
    return picture, turns_about(world, seen, picture)


def turns_about(world, seen, picture):
    """Three to six questions about one image."""
    rng, talk = world.rng, Talk(world, seen)
    turns = [talk.what() if rng.random() < 0.5 else talk.describe()]
    asked = [f for f in seen.fields if f.readable or f.too_small]
    turns += [talk.field(f) for f in rng.sample(asked, min(len(asked), 3))]
    if seen.absent and rng.random() < 0.5:
        turns.append(talk.absent(rng.choice(seen.absent)))
    if rng.random() < 0.4 and not (seen.kind == "object" or seen.told):
        turns.append(talk.read(picture.text))
    if seen.parts and rng.random() < 0.8:
        turns.append(talk.box(*rng.choice(seen.parts)))
    if len(seen.fields) > 1 and rng.random() < 0.35:
        turns.append(talk.json())
    if rng.random() < world.chinese:
        turns.append(talk.chinese())
    if rng.random() < 0.05:
        question, answer = world.chat.ask("picture_off_topic")
        turns.append(Turn(question, answer, "picture_off_topic"))
    turns = [t for t in turns if t]
    rng.shuffle(turns)
    return turns


class Talk:
    """Asks about one image.  seen: of training.world.sheets."""

    def __init__(self, world, seen):
        self.world, self.rng, self.seen = world, world.rng, seen

    def _turn(self, question, answer, kind, wanted=None):
        question = self.world.speaker.vary(question)
        return Turn(question, answer, kind, wanted=wanted, seen=self.seen)

    def _ask(self, kind, **slots):
        return phrases.of(self.rng, self.world.wordings, kind, **slots)

    def what(self):
        seen = self.seen
        return self._turn(self._ask("what"), seen.told or f"This is {seen.noun}.", "what", seen.noun)

    def describe(self):
        seen, heading = self.seen, self.seen.heading
        if seen.told:
            answer = seen.told
        elif heading and heading.readable:
            answer = f'The image shows {seen.noun} with the title "{spelled(heading.value)}".'
        elif heading and not heading.too_small:
            return self.what()
        elif seen.fields and all(f.too_small for f in seen.fields):
            answer = too_small(seen.noun)
        else:
            answer = f"The image shows {seen.noun}."
        return self._turn(self._ask("describe"), answer, "describe", seen.noun)

    def field(self, field):
        question = phrases.about(self.rng, self.world.wordings, field.name)
        if field.too_small:
            return self._turn(question, too_small(self.seen.noun), "small")
        if field.name in ALONE:
            answer = spelled(field.value)
        else:
            sentence = SENTENCES.get(field.name, f"The {field.name} is {{}}.")
            answer = sentence.format(spelled(field.value))
        return self._turn(question, answer, "field", field.value)

    def absent(self, name):
        if name == "chart":
            return self._turn(self.world.speaker.ask("chart_type"), chat.NO_CHART, "absent")
        question = phrases.about(self.rng, self.world.wordings, name)
        return self._turn(question, lacking(self.seen.noun, name), "absent")

    def read(self, text):
        """text: all that is printed, or None where it is too much to read."""
        seen, question = self.seen, self._ask("read")
        if text:
            return self._turn(question, spelled(text), "read", text)
        readable = [f for f in seen.fields if f.readable]
        if seen.mute:
            return self._turn(question, chat.NO_TEXT, "absent")
        if seen.kind == "sign":
            return self._turn(question, spelled(readable[0].value), "field", readable[0].value) if readable else None
        if not readable:
            small = all(f.too_small for f in seen.fields)
            return self._turn(question, too_small(seen.noun), "small") if small else None
        first = seen.heading if seen.heading in readable else readable[0]
        answer = f'I see {seen.noun}. I can read "{spelled(first.value)}", not all of it.'
        return self._turn(question, answer, "read", first.value)

    def chinese(self):
        seen, say = self.seen, self.world.speaker.ask
        noun = NOUNS_ZH.get(type_of(seen), "一幅图")
        readable = [f for f in seen.fields if f.readable]
        if self.rng.random() < 0.5 or seen.mute or seen.told or not seen.fields:
            return Turn(say("zh_describe"), f"图片中是{noun}。", "zh_describe")
        first = seen.heading if seen.heading in readable else (readable or [None])[0]
        answer = f"我看到{noun}，能读出“{spelled(first.value)}”。" if first else f"我看到{noun}，但字太小，我看不清。"
        return Turn(say("zh_read"), answer, "zh_read")

    def box(self, box, label):
        turn = self._turn(self._ask("box", it=label), boxes_json([(box, label)]), "box")
        turn.boxes = [(box, label)]
        return turn

    def json(self):
        """An object with given keys; null for what is not there or cannot be read."""
        rng, seen = self.rng, self.seen
        fields = [f for f in seen.fields if (f.readable or f.too_small) and " of " not in f.name]
        if len(fields) < 2:
            return None
        chosen = rng.sample(fields, min(len(fields), rng.choice([2, 2, 3])))
        pairs = [(f.name.replace(" ", "_"), f.value if f.readable else None) for f in chosen]
        if seen.absent and rng.random() < 0.3:
            pairs.append((rng.choice(seen.absent).replace(" ", "_"), None))
        rng.shuffle(pairs)
        return self._turn(*json_turn(self._ask, pairs), "json", json.dumps(dict(pairs), ensure_ascii=False))


def json_turn(ask, pairs):
    """(question, answer)"""
    keys = join([f'"{key}"' for key, _ in pairs])
    properties = {key: {"type": ["string", "null"]} for key, _ in pairs}
    schema = json.dumps({"type": "object", "properties": properties, "required": list(properties)})
    empty = json.dumps(dict.fromkeys((key for key, _ in pairs), "..."))
    values = [f'"{key}": ' + ("null" if value is None else f'"{spelled(value)}"') for key, value in pairs]
    return ask("json", keys=keys, schema=schema, empty=empty), "{" + ", ".join(values) + "}"


def plot_sample(world):
    """(picture, turns) of a chart in some library's look."""
    rng, plot = world.rng, plots.Plot(world)
    picture, seen, chart = plot.plot()
    talk = Talk(world, seen)
    least = min(mark.x_px for mark in plot.marks)
    title_known = not chart.title or seen.heading.readable
    if least >= READABLE_X_PX:
        turns = _plot_turns(world, talk, chart, plot.printed, title_known)
    elif least < (TOO_SMALL_X_PX if world.split == "test" else CHART_TOO_SMALL_X_PX):
        turns = _small_plot(world, talk, chart)
    else:
        turns = [talk.what()]
    if rng.random() < 0.3:
        turns.append(talk.what())
    if seen.heading and (seen.heading.readable or seen.heading.too_small) and rng.random() < 0.3:
        turns.append(talk.field(seen.heading))
    if rng.random() < 0.1:
        turns.append(talk.absent(rng.choice(["signature", "phone number", "date"])))
    return picture, turns


def _plot_turns(world, talk, chart, printed, title_known):
    rng, say = world.rng, world.speaker.ask
    skipped = () if title_known else ("title", "describe_chart")
    pool = [(w, t) for w, t in chart_talk.turns_of(rng, say, chart) if t.kind not in skipped]
    if not printed:
        pool = [(w, _unprinted(t, chart)) for w, t in pool if t.kind in UNPRINTED]
    if printed and rng.random() < world.chinese * 3:
        pool += chart_talk.turns_zh(rng, say, chart)
    turns = []
    for _ in range(rng.choice([3, 4, 5])):
        if pool:
            i = rng.choices(range(len(pool)), [w for w, _ in pool])[0]
            turns.append(pool.pop(i)[1])
    for turn in turns:
        turn.seen, turn.chart_printed = talk.seen, printed
        turn.wanted = turn.wanted or (None if turn.answer == NO_VALUES else turn.answer)
    return turns


NO_VALUES = "The chart prints no values."
UNPRINTED = ("describe_chart", "highest", "lowest", "value", "list_values", "chart_type", "n_parts", "labels", "title")


def _unprinted(turn, chart):
    """The same question where no value stands at the marks."""
    values, labels = chart.values, chart.labels
    if turn.kind in ("value", "list_values"):
        turn.answer = NO_VALUES
    elif turn.kind in ("highest", "lowest"):
        best = (max if turn.kind == "highest" else min)(range(len(values)), key=values.__getitem__)
        turn.answer = f"{labels[best]} is the {turn.kind}."
    elif turn.kind == "describe_chart":
        head = turn.answer.partition(":")[0]
        turn.answer = f"{head}: {', '.join(labels)}. {NO_VALUES}"
    return turn


def _small_plot(world, talk, chart):
    rng, say = world.rng, world.speaker.ask
    noun, turns = talk.seen.noun, []
    pool = chart_talk.turns_of(rng, say, chart)
    for _, turn in rng.sample(pool, min(len(pool), 4)):
        if turn.kind == "title" and chart.title is not None and not talk.seen.heading.too_small:
            continue
        turn.seen = talk.seen
        if turn.kind == "chart_type" or (turn.kind == "title" and not chart.title):
            turn.wanted = turn.answer
        else:
            turn.answer, turn.kind = too_small(noun), "small"
        turns.append(turn)
    return turns


def pair_sample(world):
    """(pictures, turns): boxes in one of several images, or what two unlike images are."""
    rng, brush = world.rng, world.brush
    if rng.random() < 0.4:
        return _unlike_pair(world)
    pictures, scenes, turns = [], [], []
    for _ in range(rng.choice([2, 2, 3])):
        size = brush.small_size() if rng.random() < 0.7 else brush.size()
        image, things, _ = draw_scene(brush, rng.choice(["shapes", "pictograms"]), rng.choice([1, 2, 2, 3]), size, 0.8)
        pictures.append(still(brush.camera(image), things))
        scenes.append(things)
    for _ in range(rng.choice([2, 3])):
        n = rng.randrange(len(scenes))
        names = [t.full for t in scenes[n]]
        thing = rng.choice(scenes[n])
        if names.count(thing.full) > 1:
            continue
        question = phrases.of(rng, world.wordings, "box_in", it=thing.full, nth=NTH[n], n=str(n + 1))
        turn = Turn(world.speaker.vary(question), boxes_json([(thing.box, thing.full)]), "box_in")
        turn.boxes = [(thing.box, thing.full)]
        turns.append(turn)
    if not turns:
        return pair_sample(world)
    return pictures, turns


def _unlike_pair(world):
    rng, pictures, nouns = world.rng, [], []
    for _ in range(2):
        if rng.random() < 0.3:
            image, things, _ = draw_scene(world.brush, "pictograms", 1, world.brush.small_size(), 0.8)
            pictures.append(still(image, things))
            nouns.append(article(things[0].full))
        else:
            family = rng.choice(["document", "screen", "sign"])
            kinds = KINDS[family]
            picture, seen = rng.choices(list(kinds), kinds.values())[0](world)
            pictures.append(picture)
            nouns.append(seen.noun)
    answer = f"The first image shows {nouns[0]}. The second image shows {nouns[1]}."
    turns = [Turn(world.speaker.vary(phrases.of(rng, world.wordings, "each")), answer, "each", wanted=answer)]
    n = rng.randrange(2)
    ask = world.speaker.ask("nth", nth=NTH[n], n=n + 1)
    turns.append(Turn(ask, f"The {NTH[n]} image shows {nouns[n]}.", "each", wanted=nouns[n]))
    return pictures, turns
