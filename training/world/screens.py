"""Screens: code, chats, dialogs, windows, web pages; terminals are for evaluation alone.

Parts that can be pointed at come with their boxes.
"""

from training.phrases.lists import listed
from training.world.documents import MONO_PARTS
from training.world.sheets import Seen, Sheet

SCREEN = ("a screenshot", "a window", "an app")
LIGHT = [(255, 255, 255), (246, 247, 249), (250, 250, 252)]
DARK = [(30, 32, 38), (22, 27, 34), (40, 44, 52)]
BLUES = [(37, 99, 235), (22, 163, 74), (79, 70, 229), (220, 38, 38), (2, 132, 199), (234, 88, 12)]
BUTTONS = listed(
    """
Save|Cancel|OK|Open|Close|Delete|Next|Back|Submit|Search|Send|Print|Edit|Share|Help|Login|Download|Upload|Apply
Retry|Yes|No|Accept|Decline|Continue|Skip|Add|Remove|Copy|Paste|Undo|Refresh
"""
)
BUTTONS_TEST = listed(
    """
Export|Import|Start|Stop|Sign in|Finish|Reset|Install|Update|Filter|Reply|Archive
"""
)
KEYWORDS = {"def", "return", "if", "else", "for", "in", "import", "class", "while", "let", "const", "function", "int"}
QUESTIONS = [
    "Delete this file",
    "Save changes",
    "Close the window",
    "Update now",
    "Leave this page",
    "Empty the trash",
    "Allow access",
]
QUESTIONS_TEST = ["Discard the draft", "Restart the computer", "Remove this user", "Send the report"]


def ui_px(rng):
    return rng.choice([rng.uniform(6, 10), rng.uniform(13, 18), rng.uniform(15, 22)])


def _ground(rng):
    return rng.choice(LIGHT if rng.random() < 0.7 else DARK)


def _soft(ground, step=18):
    return tuple(v - step if sum(ground) > 380 else v + step for v in ground)


def _button(sheet, left, top, label, px, fill, wide=None):
    """Draws a button; returns its box."""
    wide = wide or sheet.length(label, px) + px * 1.8
    box = (left, top, left + wide, top + px * 2)
    radius = sheet.pick([0, 4, px], [7])
    if fill:
        sheet.box(box, fill, radius=radius)
    else:
        sheet.box(box, None, _soft(sheet.ground, 70), 1, radius)
    ink = (255, 255, 255) if fill and sum(fill) < 450 else (20, 20, 20) if fill else None
    sheet.text((left + wide / 2, top + px), label, px, ink, "mm")
    return tuple(int(v) for v in box)


def _labels(sheet, count):
    return sheet.rng.sample(BUTTONS_TEST if sheet.test else BUTTONS, count)


def dialog(world):
    ground = _ground(world.rng)
    sheet = Sheet(world, (1.1, 1.9), _soft(ground, 40))
    rng, w, h = sheet.rng, sheet.width, sheet.height
    px = min(ui_px(rng), w / 22)
    box = (
        w * rng.uniform(0.05, 0.2),
        h * rng.uniform(0.1, 0.25),
        w * rng.uniform(0.8, 0.95),
        h * rng.uniform(0.75, 0.9),
    )
    sheet.ground, sheet.ink = ground, (20, 20, 20) if sum(ground) > 380 else (235, 235, 235)
    sheet.box(box, ground, _soft(ground, 60), 1, sheet.pick([0, 6, 12], [20]))
    title = rng.choice(QUESTIONS_TEST if sheet.test else QUESTIONS) + rng.choice(["?", "?", ""])
    if rng.random() < 0.3:
        title = rng.choice(["Error", "Warning", "Connection lost", "File not found", "Disk full", "Update available"])
    room, x, y = box[2] - box[0] - px * 2, box[0] + px, box[1] + px
    size = sheet.fitting(title, px * rng.uniform(1.1, 1.6), room, sheet.strong)
    fields = [sheet.named("title", (x, y), title, size, font=sheet.strong)]
    y += size * 1.9
    if rng.random() < 0.7 and y + px * 4 < box[3]:
        sheet.paragraph(x, y, room, rng.randint(1, 2), px * 0.85)
    labels, parts, right = _labels(sheet, rng.randint(1, 3)), [], box[2] - px
    for i, label in enumerate(labels):
        wide = sheet.length(label, px) + px * 1.8
        if right - wide < box[0]:
            break
        accent = rng.choice(BLUES) if i == 0 else None
        parts.append((_button(sheet, right - wide, box[3] - px * 3, label, px, accent, wide), label + " button"))
        right -= wide + px * 0.8
    seen = Seen("dialog", "a dialog window", ("a dialog", "a message", *SCREEN), fields, ("total", "date"), parts)
    return sheet.picture(), _with_buttons(sheet, seen)


def _with_buttons(sheet, seen):
    """The buttons' labels as fields: their print is as large as the last line's."""
    for line in sheet.lines:
        if any(label == f"{line.value} button" for _, label in seen.parts):
            seen.parts = seen.parts if line.readable else [p for p in seen.parts if p[1] != f"{line.value} button"]
    return seen


def window(world):
    """A program's window or an app's settings: bars, fields, switches, buttons."""
    ground = _ground(world.rng)
    sheet = Sheet(world, (0.55, 1.6), ground)
    rng, w, h = sheet.rng, sheet.width, sheet.height
    px, accent = min(ui_px(rng), w / 18), rng.choice(BLUES)
    title = rng.choice(
        ["Settings", "Profile", "notes.txt", "Inbox", "My Files", "Calendar", "Editor", "Player", "Account"]
    )
    if sheet.test:
        title = rng.choice(["Preferences", "Downloads", "Contacts", "Backup"])
    bar = px * 2.4
    look = sheet.pick("ab", "c")
    sheet.box((0, 0, w, bar), accent if look == "a" else _soft(ground))
    ink = (255, 255, 255) if look == "a" else None
    at, anchor = ((px, bar / 2), "lm") if look != "c" else ((w / 2, bar / 2), "mm")
    fields = [sheet.named("title", at, title, px * 1.1, color=ink, anchor=anchor, font=sheet.strong)]
    if w > px * 20:
        for i, color in enumerate([(255, 95, 86), (255, 189, 46), (39, 201, 63)]):
            sheet.disc(w - px * (1 + i * 1.3), bar / 2, px * 0.4, color)
    y, parts = bar + px, []
    for _ in range(rng.randint(2, 6)):
        if y + px * 6 > h:
            break
        y = _control(sheet, rng.choice(["switch", "field", "check", "row"]), px, y, accent, parts)
    x = px
    for i, label in enumerate(_labels(sheet, rng.randint(1, 3))):
        if x + sheet.length(label, px) + px * 3 < w and y + px * 2.2 < h:
            box = _button(sheet, x, y, label, px, accent if i == 0 else None)
            parts.append((box, label + " button"))
            x = box[2] + px * 0.8
    seen = Seen("window", "an app window", SCREEN, fields, ("total", "signature", "chart"), parts)
    return sheet.picture(), _with_buttons(sheet, seen)


def _control(sheet, kind, px, y, accent, parts):
    rng, w = sheet.rng, sheet.width
    label = " ".join(sheet.words(rng.choice([1, 2]))).capitalize()
    line = sheet.text((px, y + px * 0.4), label, sheet.fitting(label, px, w * 0.55))
    if kind == "switch":
        on, left = rng.random() < 0.5, w - px * 4
        sheet.box((left, y, left + px * 3, y + px * 1.6), accent if on else (160, 160, 160), radius=px * 0.8)
        sheet.disc(left + px * (2.2 if on else 0.8), y + px * 0.8, px * 0.6, (255, 255, 255))
        box, part = (left, y, left + px * 3, y + px * 1.6), "switch"
    elif kind == "field":
        y += px * 1.8
        box, part = (px, y, w - px, y + px * 2), "field"
        sheet.box(box, None, _soft(sheet.ground, 70))
    elif kind == "check":
        box, part = (w - px * 3, y, w - px * 1.4, y + px * 1.6), "checkbox"
        sheet.box(box, None, _soft(sheet.ground, 90), 1.5)
        if rng.random() < 0.5:
            sheet.line([(box[0] + 2, y + px * 0.8), (box[0] + px * 0.7, y + px * 1.3), (box[2] - 1, y + 2)], accent, 2)
    else:
        sheet.line([(px, y + px * 2), (w - px, y + px * 2)], _soft(sheet.ground, 30))
        return y + px * 2.6
    if line.readable:
        parts.append((tuple(int(v) for v in box), f"{label} {part}"))
    return y + px * 2.8


def chat_window(world):
    ground = world.rng.choice([*LIGHT, (229, 221, 213), (24, 30, 36)])
    sheet = Sheet(world, (0.5, 0.85), ground)
    rng, made, w, h = sheet.rng, world.made, sheet.width, sheet.height
    px, person = min(ui_px(rng), w / 14), made.person()
    look, accent = sheet.pick("ab", "c"), rng.choice(BLUES)
    sheet.box((0, 0, w, px * 3), accent if look == "a" else _soft(ground))
    sheet.disc(px * 2, px * 1.5, px, (190, 190, 190))
    size = sheet.fitting(person, px * 1.15, w - px * 5, sheet.strong)
    ink = (255, 255, 255) if look == "a" else None
    fields = [sheet.named("name", (px * 3.6, px * 1.5), person, size, color=ink, anchor="lm", font=sheet.strong)]
    y, said, mine = px * 4, [], rng.random() < 0.5
    while y + px * 3.4 < h - px * 2:
        text = " ".join(sheet.words(rng.randint(1, 4))) + rng.choice(["", "?", "!", "."])
        while sheet.length(text, px) > w * 0.72 and " " in text:
            text = text.rpartition(" ")[0]
        size = sheet.fitting(text, px, w * 0.72)
        wide = sheet.length(text, size) + px * 1.2
        left = w - wide - px * 0.7 if mine else px * 0.7
        fill = ((220, 248, 198) if look == "b" else accent) if mine else (255, 255, 255)
        sheet.box(
            (left, y, left + wide, y + px * 2.1), fill, _soft(ground, 25), 1, sheet.pick([px * 0.5, px], [px * 0.2])
        )
        ink = (255, 255, 255) if sum(fill) < 450 else (20, 20, 20)
        said.append((mine, sheet.text((left + px * 0.6, y + px * 1.05), text, size, ink, "lm")))
        y += px * rng.uniform(2.5, 3.2)
        mine = not mine if rng.random() < 0.7 else mine
        if rng.random() < 0.1:
            break
    for name, line in (("first message", said[:1]), ("last message", said[-1:])):
        for _, field in line:
            fields.append(type(field)(name, field.value, field.x_px))
    sheet.box((px * 0.6, h - px * 1.9, w - px * 0.6, h - px * 0.4), (255, 255, 255), _soft(ground, 30), 1, px * 0.7)
    return sheet.picture(), Seen(
        "chat", "a chat", ("a conversation", "messages", *SCREEN), fields, ("total", "signature")
    )


def web_page(world):
    sheet = Sheet(world, (0.8, 1.7), world.rng.choice(LIGHT))
    rng, made, w, h = sheet.rng, world.made, sheet.width, sheet.height
    px, accent, look = min(ui_px(rng), w / 22), rng.choice(BLUES), sheet.pick("ab", "c")
    y, fields, parts = 0, [], []
    if rng.random() < 0.5:  # the browser's own bar
        sheet.box((0, 0, w, px * 2.2), (222, 225, 230))
        sheet.box((px * 4, px * 0.4, w - px, px * 1.8), (255, 255, 255), radius=px * 0.6)
        sheet.text(
            (px * 4.6, px * 1.1), "www." + rng.choice(["example.com", "shop.net", "news.org"]), px * 0.8, anchor="lm"
        )
        y = px * 2.2
    sheet.box((0, y, w, y + px * 2.6), accent if look == "a" else _soft(sheet.ground, 12))
    ink, x = (255, 255, 255) if look == "a" else None, px
    for item in rng.sample(
        ["Home", "Shop", "News", "About", "Contact", "Blog", "Cart", "Team", "Docs"], rng.randint(3, 5)
    ):
        if x + sheet.length(item, px) < w - px:
            sheet.text((x, y + px * 1.3), item, px, ink, "lm")
            x += sheet.length(item, px) + px * 1.5
    y += px * 4
    title = made.topic(sheet.words(2))
    size = sheet.fitting(title, px * rng.uniform(1.6, 2.6), w - 2 * px, sheet.strong)
    at, anchor = ((px, y), "la") if look != "c" else ((w / 2, y), "ma")
    fields.append(sheet.named("title", at, title, size, anchor=anchor, font=sheet.strong))
    y += size * 1.7
    if rng.random() < 0.4 and y + h * 0.35 < h:
        sheet.box((px, y, w - px, y + h * 0.25), tuple(rng.randint(90, 220) for _ in range(3)))
        y += h * 0.25 + px
    if y + px * 5 < h:
        y = (
            sheet.paragraph(px, y, w - 2 * px, min(4, max(1, int((h - y) / px / 1.4) - 4)), px * rng.uniform(0.7, 1))
            + px
        )
    if y + px * 2.2 < h:
        label = _labels(sheet, 1)[0]
        parts.append((_button(sheet, px, y, label, px, accent), label + " button"))
    seen = Seen("web page", "a web page", ("a website", *SCREEN), fields, ("total", "signature"), parts)
    return sheet.picture(), _with_buttons(sheet, seen)


def _code_line(rng, words, depth):
    name, other = words
    call = f"{name}({other})"
    return "    " * depth + rng.choice(
        [
            f"{name} = {rng.randint(0, 99)}",
            f"return {name}",
            f"if {name} > {rng.randint(0, 9)}:",
            f"for {name[0]} in {other}:",
            call,
            f"{other} = {call}",
            f"print({name})",
            f"{name}.append({other})",
            f'{name} = "{other}"',
            f"# {name} {other}",
        ]
    )


def code(world):
    ground = world.rng.choice(DARK + LIGHT)
    sheet = Sheet(world, (0.8, 1.8), ground)
    rng, w, h = sheet.rng, sheet.width, sheet.height
    sheet.body, _ = sheet.fonts(MONO_PARTS)
    px, fields, y = rng.choice([rng.uniform(6, 10), rng.uniform(9, 14), rng.uniform(15, 20)]), [], 6
    name = "_".join(sheet.words(rng.choice([1, 2])))[:18]
    file = sheet.words(1)[0][:10] + rng.choice([".py", ".js", ".c", ".java"])
    if rng.random() < 0.5:
        sheet.box((0, 0, w, px * 2), _soft(ground))
        fields.append(sheet.named("file name", (px, px), file, px, anchor="lm"))
        y = px * 2.6
    head = rng.choice(
        [f"def {name}(x):", f"function {name}(a) {{", f"class {name.capitalize()}:", f"int {name}(int n) {{"]
    )
    left = px * 2.8 if sheet.pick([True, False], [True]) else px * 0.7
    number, depth = 1, 0
    dark, light = [(198, 120, 221), (152, 195, 121), (97, 175, 239)], [(170, 30, 140), (20, 120, 60), (30, 60, 200)]
    colors = light if sum(ground) > 380 else dark
    while y + px * 1.5 < h:
        text = head if number == 1 else _code_line(rng, [v[:9] for v in sheet.words(2)], depth)
        color = colors[0] if text.split(" ")[0] in KEYWORDS else rng.choice([None, None, *colors[1:]])
        if left > px:
            sheet.draw.text(
                (px * 0.5 * sheet.scale, y * sheet.scale),
                str(number),
                (130, 130, 130),
                sheet.font(sheet.body, px * 0.9),
            )
        while sheet.length(text, px) > w - left - 4 and len(text) > 8:
            text = text[:-2]
        line = sheet.text((left, y), text, px, color)
        if number == 1 and text == head:
            fields.append(type(line)("function", name if "class" not in head else name.capitalize(), line.x_px))
        depth = 1 if number == 1 or text.rstrip().endswith(":") else rng.choice([1, 1, 1, 2])
        y += px * 1.45
        number += 1
    seen = Seen(
        "code", "program code", ("code", "source code", "a program", "an editor", *SCREEN), fields, ("total", "date")
    )
    return sheet.picture(), seen


# ---- training never draws it
def terminal(world):
    sheet = Sheet(world, (1.1, 1.8), world.rng.choice([(0, 0, 0), (48, 10, 36), (12, 12, 12)]))
    rng, w, h = sheet.rng, sheet.width, sheet.height
    sheet.body, _ = sheet.fonts(MONO_PARTS)
    px, y, green = rng.choice([rng.uniform(6, 9), rng.uniform(14, 18)]), 6, (80, 220, 100)
    first = None
    while y + px * 1.5 < h:
        command = rng.choice(
            ["ls -la", "cd src", "git status", "make test", "python main.py", "cat notes.txt", "df -h", "top"]
        )
        line = sheet.text(
            (6, y), f"user@host:~$ {command}", sheet.fitting(f"user@host:~$ {command}", px, w - 12), green
        )
        first = first or type(line)("first command", command, line.x_px)
        y += px * 1.4
        for _ in range(rng.randint(1, 4)):
            text = " ".join(sheet.words(rng.randint(2, 5)))
            if y + px * 1.5 < h:
                sheet.text((6, y), text, sheet.fitting(text, px, w - 12), (220, 220, 220))
                y += px * 1.4
    seen = Seen(
        "terminal",
        "a terminal",
        ("program code", "code", "a console", *SCREEN, "a page of text"),
        [first],
        ("total", "chart"),
    )
    return sheet.picture(), seen
