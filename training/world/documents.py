"""Documents: letters, invoices, receipts, forms, tables, menus; and, for evaluation alone, slides, business cards and newspapers.

Each function draws on a Sheet and tells what there is to ask about.
"""

from training.world.made_up import GOODS
from training.world.sheets import Field, Seen, Sheet

PAGE = ("a page of text", "a document", "a page")
CURRENCIES = ["$", "€", "£", "", "EUR", "$"]


def body_px(rng):
    """Size of the running text in the model's pixels: small print more often than not."""
    return rng.choice([rng.uniform(5, 9), rng.uniform(8, 14), rng.uniform(14, 20), rng.uniform(16, 24)])


def paper_color(rng):
    return rng.choice([(255, 255, 255)] * 3 + [(250, 247, 238), (244, 244, 244), (255, 252, 230)])


def heading_px(sheet, px, text, room):
    size = min(44, max(px * sheet.rng.uniform(1.2, 2.4), 11))
    return sheet.fitting(text, size, room, sheet.strong)


def letter(world):
    sheet = Sheet(world, ground=paper_color(world.rng), paper=True)
    rng, made, w = sheet.rng, world.made, sheet.width
    px, left, fields = body_px(rng), w * rng.uniform(0.06, 0.12), []
    right, y, look = w - left, sheet.height * rng.uniform(0.03, 0.07), sheet.pick("abc", "d")
    company, person, date, subject = made.company(), made.person(), made.date(), made.topic(sheet.words(2))
    if look != "c":
        at, anchor = {"a": (left, "la"), "b": (w / 2, "ma"), "d": (right, "ra")}[look]
        size = heading_px(sheet, px, company, right - left)
        fields.append(sheet.named("sender", (at, y), company, size, anchor=anchor, font=sheet.strong))
        y += size * 1.5
    if rng.random() < 0.5:
        y = sheet.paragraph(left, y, (right - left) * 0.4, 2, px * 0.9)
    side, anchor = rng.choice([(right, "ra"), (left, "la")])
    size = sheet.fitting(date, px, right - left)
    fields.append(sheet.named("date", (side, y), date, size, anchor=anchor))
    y += px * 2
    if rng.random() < 0.6:
        size = sheet.fitting(subject, px * rng.uniform(1.0, 1.5), right - left, sheet.strong)
        fields.append(sheet.named("title", (left, y), subject, size, font=sheet.strong))
        y += size * 1.8
    reader = rng.choice(["Dear Sir or Madam,", f"Dear {made.first()},", f"Dear Ms. {made.person().split()[1]},"])
    sheet.text((left, y), reader, sheet.fitting(reader, px, right - left))
    y += px * 2
    end = sheet.height - px * 5
    while y < end - px * 2.8:
        rows = min(rng.randint(2, 6), int((end - y) / (px * 1.4)))
        y = sheet.paragraph(left, y, right - left, rows, px) + px * 0.6
        if rng.random() < 0.25:
            break
    sheet.text((left, y + px * 0.3), rng.choice(["Sincerely,", "Kind regards,", "Best wishes,"]), px)
    fields.append(sheet.named("signature", (left, y + px * 2), person, sheet.fitting(person, px, right - left)))
    seen = Seen("letter", "a letter", PAGE, fields, ("total", "phone number", "chart"))
    return sheet.picture(), seen


def invoice(world):
    sheet = Sheet(world, ground=paper_color(world.rng), paper=True)
    rng, made, w = sheet.rng, world.made, sheet.width
    px, left = body_px(rng), w * rng.uniform(0.05, 0.1)
    right, y, look = w - left, sheet.height * 0.05, sheet.pick("abc", "d")
    currency, fields = rng.choice(CURRENCIES), []
    title, company = rng.choice(["INVOICE", "Invoice", "BILL", "Quotation"]), made.company()
    accent = rng.choice([(30, 60, 120), (120, 30, 30), (20, 90, 60), sheet.ink, sheet.ink])
    size = heading_px(sheet, px * 1.3, title, (right - left) * 0.5)
    if look == "b":
        sheet.box((0, 0, w, y + size * 1.6), accent)
    title_ink = (255, 255, 255) if look == "b" else accent
    at, anchor = (right, "ra") if look in "ad" else (left, "la")
    fields.append(sheet.named("title", (at, y), title, size, anchor=anchor, font=sheet.strong, color=title_ink))
    y += size * 1.9
    small = sheet.fitting(company, px * 1.2, right - left, sheet.strong)
    fields.append(sheet.named("sender", (left, y), company, small, font=sheet.strong))
    y += small * 1.5
    number, date = made.number(), made.date()
    for name, label, value in (("number", "Invoice no.", number), ("date", "Date", date)):
        line = f"{label}: {value}"
        fields.append(sheet.named(name, (left, y), line, sheet.fitting(line, px, right - left), value))
        y += px * 1.5
    y += px
    count = max(1, min(rng.randint(2, 6), int((sheet.height - y) / (px * 1.9)) - 3))
    items = rng.sample(GOODS, count)
    prices = [made.amount() for _ in items]
    sheet.line([(left, y), (right, y)], accent, 1.5)
    y += px * 0.4
    for item, price in zip(items, prices, strict=True):
        shown = made.money(price, currency)
        room = right - left - sheet.length(shown, px) - px
        line = sheet.text((left, y), item, sheet.fitting(item, px, room))
        sheet.text((right, y), shown, px, anchor="ra")
        y += px * 1.6
        if look == "c":
            sheet.line([(left, y - px * 0.2), (right, y - px * 0.2)], (190, 190, 190))
        line.name, line.value = f"price of {item.lower()}", shown
        fields.append(line)
    total, word = made.money(sum(prices), currency), rng.choice(["Total", "TOTAL", "Amount due", "Total due"])
    size = min(px * rng.uniform(1.0, 1.7), (right - left) / 12)
    sheet.line([(left, y), (right, y)], accent, 1.5)
    sheet.text((left if look != "d" else w / 2, y + px * 0.5), word, size, font=sheet.strong)
    fields.append(sheet.named("total", (right, y + px * 0.5), total, size, anchor="ra", font=sheet.strong))
    y += size * 2.4
    if y + px * 3 < sheet.height:
        sheet.paragraph(left, y, right - left, 2, px * 0.8)
    return sheet.picture(), Seen(
        "invoice", "an invoice", (*PAGE, "a receipt", "a bill"), fields, ("signature", "chart")
    )


def receipt(world):
    """A till receipt with more and smaller print than the world's own receipts."""
    sheet = Sheet(world, (0.45, 0.75), paper_color(world.rng), paper=True)
    rng, made, w = sheet.rng, world.made, sheet.width
    sheet.body, sheet.strong = sheet.fonts(MONO_PARTS if rng.random() < 0.5 else None)
    px, left = min(body_px(rng), w / 16), w * rng.uniform(0.05, 0.1)
    right, y, fields = w - left, sheet.height * 0.04, []
    shop, currency = made.company().upper(), rng.choice(CURRENCIES)
    size = sheet.fitting(shop, px * rng.uniform(1.1, 1.8), right - left, sheet.strong)
    fields.append(sheet.named("shop", (w / 2, y), shop, size, anchor="ma", font=sheet.strong))
    y += size * 1.5
    for line in (made.address(), made.phone())[: rng.randint(0, 2)]:
        sheet.text((w / 2, y), line, sheet.fitting(line, px * 0.9, right - left), anchor="ma")
        y += px * 1.4
    date = made.date()
    fields.append(sheet.named("date", (left, y), date, sheet.fitting(date, px, (right - left) * 0.7)))
    sheet.text((right, y), made.time(), px * 0.9, anchor="ra")
    y += px * 1.8
    prices = []
    for _ in range(max(1, min(rng.randint(3, 10), int((sheet.height - y) / (px * 1.35)) - 3))):
        prices.append(made.amount(40))
        item = " ".join(sheet.words(rng.choice([1, 1, 2])))[:16]
        sheet.text((left, y), item.upper(), sheet.fitting(item.upper(), px, (right - left) * 0.65))
        sheet.text((right, y), made.money(prices[-1], currency), px, anchor="ra")
        y += px * 1.35
    total = made.money(sum(prices), currency)
    size = min(px * rng.uniform(1.0, 1.6), (right - left) / 11)
    sheet.text((left, y + px * 0.5), rng.choice(["TOTAL", "Total", "SUM"]), size, font=sheet.strong)
    fields.append(sheet.named("total", (right, y + px * 0.5), total, size, anchor="ra", font=sheet.strong))
    seen = Seen("receipt", "a receipt", ("an invoice", "a bill", *PAGE), fields, ("signature", "chart"))
    return sheet.picture(), seen


MONO_PARTS = ("Mono", "mono", "Courier", "cursor", "cmuntt", "Inconsolata")


def table(world):
    sheet = Sheet(world, (0.8, 1.7), paper_color(world.rng), paper=world.rng.random() < 0.5)
    rng, made, w = sheet.rng, world.made, sheet.width
    columns, rows, look = rng.randint(2, 4), rng.randint(3, 9), sheet.pick("abc", "d")
    left, fields, y = w * 0.05, [], sheet.height * 0.05
    wide = (w - 2 * left) / columns
    if rng.random() < 0.7:
        title = made.topic(sheet.words(2))
        size = heading_px(sheet, rng.uniform(8, 18), title, w * 0.9)
        fields.append(sheet.named("title", (left, y), title, size, font=sheet.strong))
        y += size * 1.8
    high = min((sheet.height * 0.97 - y) / (rows + 1), 60)
    px = min(high * rng.uniform(0.4, 0.65), wide / 6)
    heads = rng.sample(["Name", "Price", "Date", "City", "Points", "Time", "Amount", "Year", "Team", "Size"], columns)
    accent = rng.choice([(60, 90, 150), (200, 210, 230), (70, 70, 70), (200, 230, 210)])
    for row in range(rows + 1):
        top = y + row * high
        if (row == 0 and look in "ad") or (look in "bd" and row % 2 == 0 and row):
            sheet.box((left, top, w - left, top + high), accent if row == 0 else (232, 236, 240))
        key = made.first() if row else ""
        for column, head in enumerate(heads):
            value = head if row == 0 else key if column == 0 else _cell(rng, made, head)
            dark = row == 0 and look in "ad" and sum(accent) < 400
            at = (left + column * wide + 4, top + high / 2)
            name = sheet.strong if row == 0 else sheet.body
            line = sheet.text(
                at, value, sheet.fitting(value, px, wide - 8, name), (255, 255, 255) if dark else None, "lm", name
            )
            if row and column:
                fields.append(line)
                line.name, line.value = f"{head.lower()} of {key}", value
        if look in "ac":
            sheet.line([(left, top + high), (w - left, top + high)], (150, 150, 150))
    if look == "c":
        for column in range(columns + 1):
            x = left + column * wide
            sheet.line([(x, y), (x, y + high * (rows + 1))], (150, 150, 150))
    seen = Seen("table", "a table", ("a page of text", "a spreadsheet", "a document"), fields, ("signature", "total"))
    seen.fields = _single(seen.fields)
    return sheet.picture(), seen


def _cell(rng, made, head):
    if head in ("Price", "Amount"):
        return f"{made.amount(99):.2f}"
    if head == "Date":
        return made.date()[:10]
    if head == "Time":
        return made.time()
    if head in ("City", "Team", "Name"):
        return rng.choice(["Oslo", "Graz", "Leeds", "Porto", "Lyon", "Kiel", "Turin", "Cork", "Dover"])
    return str(rng.randint(1, 2030) if head == "Year" else rng.randint(1, 500))


def _single(fields):
    """Fields whose name stands for one of them alone."""
    names = [f.name for f in fields]
    return [f for f in fields if names.count(f.name) == 1]


def form(world):
    """A form, an entry ticket or a certificate: labels with values."""
    sheet = Sheet(world, (0.7, 1.6), paper_color(world.rng), paper=True)
    rng, made, w = sheet.rng, world.made, sheet.width
    px, left, fields, y = body_px(rng), w * rng.uniform(0.06, 0.12), [], sheet.height * 0.06
    px = min(px, sheet.height / 16)
    title, look = made.topic(sheet.words(2)), sheet.pick("ab", "c")
    size = heading_px(sheet, px, title, w - 2 * left)
    fields.append(sheet.named("title", (w / 2, y), title, size, anchor="ma", font=sheet.strong))
    y += size * 2.0
    person = made.person()
    rows = {
        "name": ("Name", person),
        "date": ("Date", made.date()),
        "phone number": ("Phone", made.phone()),
        "email": ("Email", made.mail(person)),
        "number": ("Number", made.number()),
        "time": ("Time", made.time()),
        "address": ("Address", made.address()),
    }
    chosen = rng.sample(list(rows), rng.randint(2, 5))
    for name in chosen:
        label, value = rows[name]
        if y + px * 3 > sheet.height:
            chosen = chosen[: chosen.index(name)]
            break
        start = left if look == "b" else left + max(sheet.length("Address:", px), w * 0.2) + px
        sheet.text((left, y), label + ":", px)
        y += px * 1.4 if look == "b" else 0
        room = w - left - start
        fields.append(sheet.named(name, (start, y), value, sheet.fitting(value, px, room)))
        if look == "a":
            sheet.line([(start, y + px * 1.3), (w - left, y + px * 1.3)], (120, 120, 120))
        elif look == "b":
            sheet.box((start - 3, y - 2, w - left, y + px * 1.35), None, (120, 120, 120))
        y += px * 2.1
    if rng.random() < 0.5 and y + px * 4 < sheet.height:
        sheet.paragraph(left, y, w - 2 * left, rng.randint(1, 3), px * 0.8)
    absent = tuple(n for n in ("total", "date", "phone number", "email") if n not in chosen)
    return sheet.picture(), Seen("form", "a form", (*PAGE, "a ticket"), fields, absent)


def notice(world):
    """A page with a heading and running text: notices, articles, recipes."""
    sheet = Sheet(world, (0.65, 1.1), paper_color(world.rng), paper=True)
    rng, made, w = sheet.rng, world.made, sheet.width
    px, left, y = body_px(rng), w * rng.uniform(0.05, 0.12), sheet.height * 0.05
    title, fields = made.topic(sheet.words(rng.randint(1, 3))), []
    if rng.random() < 0.8:
        size = heading_px(sheet, px, title, w - 2 * left)
        at, anchor = sheet.pick([(left, "la"), (w / 2, "ma")], [(w - left, "ra")])
        fields.append(sheet.named("title", (at, y), title, size, anchor=anchor, font=sheet.strong))
        y += size * 1.8
    columns = rng.choice([1, 1, 2]) if px < 12 else 1
    room, top = (w - 2 * left - (columns - 1) * px * 2) / columns, y
    for column in range(columns):
        y = top
        while y < sheet.height - px * 4:
            rows = min(rng.randint(2, 7), int((sheet.height - px - y) / (px * 1.4)))
            y = sheet.paragraph(left + column * (room + px * 2), y, room, rows, px) + px * 0.7
            if columns == 1 and rng.random() < 0.2:
                break
    if not fields:
        line = sheet.lines[0]
        fields.append(Field("first line", line.value, line.x_px))
    return sheet.picture(), Seen("page", "a page of text", PAGE, fields, ("total", "chart", "signature"))


# ---- kinds that training never draws
def slide(world):
    sheet = Sheet(world, (1.3, 1.78), world.rng.choice([(255, 255, 255), (24, 32, 60), (245, 245, 240)]))
    rng, made, w, h = sheet.rng, world.made, sheet.width, sheet.height
    title, px = made.topic(sheet.words(2)), rng.choice([rng.uniform(7, 11), rng.uniform(14, 20)])
    size = sheet.fitting(title, rng.uniform(22, 40), w * 0.85, sheet.strong)
    fields = [sheet.named("title", (w * 0.07, h * 0.08), title, size, font=sheet.strong)]
    sheet.line([(w * 0.07, h * 0.1 + size * 1.3), (w * 0.5, h * 0.1 + size * 1.3)], (200, 90, 40), 3)
    y = h * 0.16 + size * 1.5
    for _ in range(rng.randint(3, 5)):
        if y + px * 2 < h * 0.92:
            text = sheet.sentence(rng.randint(2, 4))[:34]
            sheet.disc(w * 0.09, y + px * 0.6, px * 0.18, sheet.ink)
            sheet.text((w * 0.12, y), text, sheet.fitting(text, px, w * 0.8))
            y += px * 1.9
    sheet.text((w * 0.95, h * 0.93), str(rng.randint(2, 40)), 8, anchor="ra")
    seen = Seen("slide", "a slide", ("a presentation", "a poster", *PAGE), fields, ("total", "signature"))
    return sheet.picture(), seen


def business_card(world):
    ground = world.rng.choice([(255, 255, 255), (30, 40, 50), (235, 240, 245)])
    sheet = Sheet(world, (1.55, 1.8), ground, paper=True)
    rng, made, w, h = sheet.rng, world.made, sheet.width, sheet.height
    person, px = made.person(), rng.choice([rng.uniform(9, 12), rng.uniform(15, 22)])
    size = sheet.fitting(person, px * rng.uniform(1.3, 2), w * 0.8, sheet.strong)
    x, anchor, y = *rng.choice([(w * 0.08, "la"), (w / 2, "ma")]), h * 0.15
    fields = [sheet.named("name", (x, y), person, size, anchor=anchor, font=sheet.strong)]
    y += size * 1.5
    role = rng.choice(["Sales Manager", "Architect", "Engineer", "Photographer", "Head of Marketing"])
    sheet.text((x, y), role, sheet.fitting(role, px, w * 0.8), anchor=anchor)
    y += px * 2.6
    for name, value in (("phone number", made.phone()), ("email", made.mail(person)), ("sender", made.company())):
        if y + px < h * 0.97:
            size = sheet.fitting(value, px, w * 0.84)
            fields.append(sheet.named(name, (x, y), value, size, anchor=anchor))
            y += px * 1.6
    seen = Seen("business card", "a business card", ("a card", "a form", "a ticket", *PAGE), fields, ("total", "date"))
    return sheet.picture(), seen


def newspaper(world):
    sheet = Sheet(world, (0.62, 0.85), (248, 246, 238), paper=True)
    rng, w, h = sheet.rng, sheet.width, sheet.height
    name = "The " + rng.choice(["Morning", "Evening", "Daily", "Valley"]) + " " + rng.choice(["Post", "Herald", "Echo"])
    size = sheet.fitting(name, 40, w * 0.9, sheet.strong)
    fields = [sheet.named("title", (w / 2, h * 0.03), name, size, anchor="ma", font=sheet.strong)]
    y = h * 0.05 + size * 1.3
    sheet.line([(w * 0.04, y), (w * 0.96, y)], sheet.ink, 2)
    headline = " ".join(x.capitalize() for x in sheet.words(4))
    size = sheet.fitting(headline, 26, w * 0.9, sheet.strong)
    sheet.text((w * 0.04, y + 6), headline, size, font=sheet.strong)
    y += 10 + size * 1.5
    for column in range(3):
        x, top = w * (0.04 + 0.315 * column), y
        if column == 1:
            sheet.box((x, top, x + w * 0.29, top + h * 0.2), (150, 150, 150))
            sheet.disc(x + w * 0.15, top + h * 0.1, w * 0.07, (90, 90, 90))
            top += h * 0.22
        sheet.paragraph(x, top, w * 0.29, int((h * 0.97 - top) / 8), 5.7)
    return sheet.picture(), Seen("newspaper", "a newspaper", ("a magazine", *PAGE), fields, ("total", "signature"))
