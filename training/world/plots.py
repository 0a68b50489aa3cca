"""Charts in the looks of the common libraries, with and without printed values; scatter charts are for evaluation alone.

A look is colours, frame, grid and ticks.  What can be asked is what can be read: values only where they are printed.
"""

import math

from training.world.charts import LABELS, TITLES, Chart
from training.world.sheets import TOO_SMALL_X_PX, Seen, Sheet, told, x_height

TAB = [(31, 119, 180), (255, 127, 14), (44, 160, 44), (214, 39, 40), (148, 103, 189), (140, 86, 75), (227, 119, 194)]
DEEP = [(76, 114, 176), (221, 132, 82), (85, 168, 104), (196, 78, 82), (129, 114, 179), (147, 120, 96)]
PLOTLY = [(99, 110, 250), (239, 85, 59), (0, 204, 150), (171, 99, 250), (255, 161, 90), (25, 211, 243)]
OFFICE = [(68, 114, 196), (237, 125, 49), (165, 165, 165), (255, 192, 0), (91, 155, 213), (112, 173, 71)]
BOOTSTRAP = [(54, 162, 235), (255, 99, 132), (255, 205, 86), (75, 192, 192), (153, 102, 255), (255, 159, 64)]
GGPLOT = [(226, 74, 51), (52, 138, 189), (152, 142, 213), (119, 119, 119), (251, 193, 94), (142, 186, 66)]
WARM = [(230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0)]
# colours, plot's ground, grid (None, "y", "both"), frame ("box", "axes", "none"), a size for the words
LOOKS = {
    "matplotlib": (TAB, (255, 255, 255), None, "box"),
    "seaborn": (DEEP, (234, 234, 242), "both", "none"),
    "plotly": (PLOTLY, (229, 236, 246), "both", "none"),
    "office": (OFFICE, (255, 255, 255), "y", "none"),
    "chartjs": (BOOTSTRAP, (255, 255, 255), "both", "axes"),
    "ggplot": (GGPLOT, (229, 229, 229), "both", "none"),
}
LOOKS_TEST = {
    "matplotlib": (WARM, (255, 255, 255), None, "box"),
    "despined": (DEEP, (255, 255, 255), "y", "axes"),
    "gray": (OFFICE, (245, 245, 245), "both", "box"),
}
NOUNS = {"bar": "a bar chart", "hbar": "a horizontal bar chart", "pie": "a pie chart", "line": "a line chart"}


def nice_step(high):
    """A round distance between ticks."""
    raw = high / 5
    base = 10 ** math.floor(math.log10(raw))
    return next(base * m for m in (1, 2, 2.5, 5, 10) if base * m >= raw)


class Plot:
    """One chart on a Sheet.  printed: values stand at their marks."""

    def __init__(self, world, kind=None):
        rng = world.rng
        self.sheet = sheet = Sheet(world, (1.0, 1.65), rng.choice([(255, 255, 255)] * 5 + [(248, 249, 250)]))
        self.rng, self.world = rng, world
        sheet.body, sheet.strong = sheet.fonts(("DejaVuSans.", "DejaVuSans-") if rng.random() < 0.3 else None)
        looks = LOOKS_TEST if sheet.test else LOOKS
        self.look = rng.choice(list(looks))
        self.colors, self.ground, self.grid, self.frame = looks[self.look]
        self.kind = kind or rng.choices(["bar", "hbar", "pie", "line"], [38, 14, 22, 26])[0]
        self.printed = rng.random() < (0.85 if self.kind == "pie" else 0.65)
        self.px = rng.choice([rng.uniform(7, 11), rng.uniform(14, 18), rng.uniform(14.5, 20)])
        self.fields, self.marks = [], []

    def mark(self, at, text, px, color=None, anchor="la"):
        """Prints a label or value."""
        self.marks.append(self.sheet.text(at, text, px, color, anchor))

    def data(self):
        rng = self.rng
        which = rng.randrange(len(LABELS))
        count = rng.randint(3, min(7 if self.kind == "line" else 6, len(LABELS[which])))
        start = rng.randint(0, len(LABELS[which]) - count)
        labels = LABELS[which][start : start + count]
        if self.kind == "pie":
            cuts = sorted(rng.sample(range(2, 39), count - 1))
            tenths = [25 * (b - a) for a, b in zip([0, *cuts], [*cuts, 40], strict=True)]
            exact = rng.random() < 0.5 and all(v % 10 == 0 for v in tenths)
            values = [v // 10 for v in tenths] if exact else [v / 10 for v in tenths]
        else:
            low, high = rng.choice([(1, 20), (5, 100), (10, 60), (100, 999), (1000, 9000), (0, 1)])
            if high == 1:
                values = [round(rng.uniform(0.5, 9.9), 1) for _ in range(count)]
            else:
                values = [rng.randint(low, high) for _ in range(count)]
                if high >= 1000:
                    values = [v // 100 * 100 for v in values]
        order = sorted(values)
        if order[-1] - order[-2] < 0.05 * order[-1] or order[1] - order[0] < 0.04 * order[-1]:
            return self.data()
        unit = "%" if self.kind == "pie" else rng.choice(["", "", "", "", "%", "k"])
        return Chart(self.kind, labels, values, unit, rng.choice(TITLES) if rng.random() < 0.75 else None)

    def plot(self):
        """(picture, Seen, chart); chart.values are printed or not as self.printed says."""
        sheet, w, h = self.sheet, self.sheet.width, self.sheet.height
        self.chart = chart = self.data()
        top = h * 0.04
        if chart.title:
            size = sheet.fitting(chart.title, self.px * self.rng.uniform(1.0, 1.5), w * 0.9)
            at, anchor = sheet.pick([(w / 2, "ma")] * 2 + [(w * 0.05, "la")], [(w / 2, "ma"), (w * 0.95, "ra")])
            self.fields.append(sheet.named("title", (at, top), chart.title, size, anchor=anchor))
            top += size * 1.6
        self.top = top
        if chart.kind == "pie":
            self._pie()
        elif chart.kind == "hbar":
            self._hbar()
        else:
            self._upright()
        seen = Seen("chart", NOUNS[chart.kind], ("a chart", "a graph", "a diagram", "a bar chart"), self.fields)
        return sheet.picture(), seen, chart

    # ---- parts
    def _room(self, room):
        """A size of words in which no label touches its neighbour."""
        words = [*self.chart.labels, *(self.chart.shown(i) for i in range(len(self.chart.values)))]
        widest = max(words, key=lambda t: self.sheet.length(t, self.px))
        return min(self.px, self.px * room / (self.sheet.length(widest, self.px) + 3))

    def _axes(self, left, right, bottom, high, turned=False):
        """The plot's ground, grid, frame and numbers at the ticks."""
        sheet, top, px = self.sheet, self.top, min(self.px, 13)
        line = (255, 255, 255) if sum(self.ground) < 720 else (215, 215, 215)
        sheet.box((left, top, right, bottom), self.ground)
        step, value = nice_step(high), 0.0
        font, s = sheet.font(sheet.body, px * 0.85), sheet.scale
        show = self.rng.random() < 0.8 and not (turned and x_height(font) / s > TOO_SMALL_X_PX + 4)
        while value <= high * 1.001:
            share = value / high
            y, x = bottom - (bottom - top) * share, left + (right - left) * share
            text = f"{value:g}"
            if turned:
                if self.grid:
                    sheet.line([(x, top), (x, bottom)], line)
                if show:
                    sheet.text((x, bottom + 3), text, px * 0.85, (80, 80, 80), "ma")
            else:
                if self.grid:
                    sheet.line([(left, y), (right, y)], line)
                if show:
                    sheet.text((left - 4, y), text, px * 0.85, (80, 80, 80), "rm")
                    if self.frame == "box":
                        sheet.line([(left - 3, y), (left, y)], sheet.ink)
            value += step
        if self.frame == "box":
            sheet.box((left, top, right, bottom), None, sheet.ink)
        elif self.frame == "axes":
            sheet.line([(left, top), (left, bottom), (right, bottom)], sheet.ink)

    def _upright(self):
        sheet, chart, rng = self.sheet, self.chart, self.rng
        values, count = chart.values, len(chart.values)
        left, right = sheet.width * rng.uniform(0.09, 0.14), sheet.width * rng.uniform(0.94, 0.98)
        bottom = sheet.height - self.px * rng.uniform(1.8, 3.2)
        step = (right - left) / count
        px = self._room(step)
        self.top += px * 0.6
        high = max(values) * rng.uniform(1.1, 1.25)
        self._axes(left, right, bottom, high)
        many = chart.kind == "bar" and rng.random() < 0.25
        color = rng.choice(self.colors)
        half, points = step * rng.uniform(0.25, 0.45), []
        for i, value in enumerate(values):
            x, y = left + step * (i + 0.5), bottom - (bottom - self.top) * value / high
            points.append((x, y))
            if chart.kind == "bar":
                fill = self.colors[i % len(self.colors)] if many else color
                sheet.box((x - half, y, x + half, bottom), fill)
            self.mark((x, bottom + 3), chart.labels[i], px, anchor="ma")
        if chart.kind == "line":
            sheet.line(points, color, rng.choice([1.5, 2, 3]))
            if rng.random() < 0.6:
                for x, y in points:
                    sheet.disc(x, y, rng.choice([2.5, 3.5]), color)
        if self.printed:
            for (x, y), i in zip(points, range(count), strict=True):
                self.mark((x, y - 3), chart.shown(i), px, anchor="mb")

    def _hbar(self):
        sheet, chart, rng = self.sheet, self.chart, self.rng
        px = min(self.px, sheet.width / 16)
        left = max(sheet.length(label, px) for label in chart.labels) + 12
        right, bottom = sheet.width * 0.95, sheet.height - px * 1.8
        step, high = (bottom - self.top) / len(chart.values), max(chart.values) * rng.uniform(1.12, 1.3)
        px = min(px, step * 0.8)
        self._axes(left, right, bottom, high, turned=True)
        color = rng.choice(self.colors)
        for i, value in enumerate(chart.values):
            y, end = self.top + step * (i + 0.5), left + (right - left) * value / high
            sheet.box((left, y - step * 0.33, end, y + step * 0.33), color)
            self.mark((left - 5, y), chart.labels[i], px, anchor="rm")
            if self.printed:
                self.mark((end + 4, y), chart.shown(i), px, anchor="lm")

    def _pie(self):
        sheet, chart, rng = self.sheet, self.chart, self.rng
        px, w, h, s = self.px, sheet.width, sheet.height, sheet.scale
        legend = rng.random() < 0.4
        side = max(sheet.length(label, px) for label in chart.labels) + 10
        if side > w * 0.3:
            px *= w * 0.3 / side
            side = w * 0.3
        radius = min((w - side * (1.3 if legend else 2) - 24) / 2, (h - self.top - px * 3) / 2)
        x, y = (radius + 14 if legend else w / 2), self.top + (h - self.top) / 2
        angle, hole = rng.choice([-90, 0, rng.randint(0, 359)]), rng.random() < 0.2
        for i, value in enumerate(chart.values):
            end, color = angle + 3.6 * value, self.colors[i % len(self.colors)]
            box = [v * s for v in (x - radius, y - radius, x + radius, y + radius)]
            sheet.draw.pieslice(box, angle, end, color, (255, 255, 255) if rng.random() < 0.5 else None)
            middle = math.radians((angle + end) / 2)
            if not legend:
                cos, sin = math.cos(middle), math.sin(middle)
                at = (x + radius * 1.07 * cos, y + radius * 1.07 * sin)
                anchor = ("lm" if cos > 0 else "rm") if abs(cos) > 0.25 else "ms" if sin < 0 else "ma"
                self.mark(at, chart.labels[i], px, anchor=anchor)
            else:
                top = y - len(chart.values) * px * 0.8 + i * px * 1.6
                sheet.box((w - side - px, top, w - side - px * 0.2, top + px * 0.8), color)
                self.mark((w - side, top + px * 0.4), chart.labels[i], px, anchor="lm")
            angle = end
        if hole:
            sheet.disc(x, y, radius * 0.5, sheet.ground)
        if self.printed:
            angle = angle - 360
            for i, value in enumerate(chart.values):
                middle = math.radians(angle + 1.8 * value)
                far = radius * (0.75 if hole else 0.62)
                at = (x + far * math.cos(middle), y + far * math.sin(middle))
                color = self.colors[i % len(self.colors)]
                ink = (255, 255, 255) if sum(color) < 430 else (20, 20, 20)
                room = 2 * far * math.sin(math.radians(min(90, 1.8 * value)))
                self.mark(at, chart.shown(i), sheet.fitting(chart.shown(i), px, max(8, room * 1.3)), ink, "mm")
                angle += 3.6 * value


def several_series(world):
    """(picture, Seen) of lines or bars of several series: told, not read."""
    plot = Plot(world, world.rng.choice(["bar", "line"]))
    sheet, rng = plot.sheet, world.rng
    names, count = (
        rng.sample(["2022", "2023", "2024", "North", "South", "A", "B", "Men", "Women", "Plan", "Real"], 2),
        6,
    )
    left, right, bottom = sheet.width * 0.12, sheet.width * 0.96, sheet.height - plot.px * 2.2
    title = rng.choice(TITLES)
    plot.fields.append(sheet.named("title", (sheet.width / 2, 5), title, plot.px * 1.1, anchor="ma"))
    plot.top = plot.px * 2.2
    plot._axes(left, right, bottom, 100)
    step = (right - left) / count
    for s in range(len(names)):
        color, points, value = plot.colors[s], [], rng.randint(20, 80)
        for i in range(count):
            value = max(5, min(95, value + rng.randint(-25, 25)))
            x, y = left + step * (i + 0.5), bottom - (bottom - plot.top) * value / 100
            points.append((x, y))
            if plot.kind == "bar":
                x += step * 0.3 * (s - 0.5) * 1.1
                sheet.box((x - step * 0.16, y, x + step * 0.16, bottom), color)
        if plot.kind == "line":
            sheet.line(points, color, 2)
        sheet.box((right - 70, plot.top + 6 + s * plot.px * 1.4, right - 60, plot.top + 14 + s * plot.px * 1.4), color)
        sheet.text((right - 56, plot.top + 10 + s * plot.px * 1.4), names[s], min(plot.px, 14), anchor="lm")
    for i in range(count):
        sheet.text((left + step * (i + 0.5), bottom + 3), str(i + 1), min(plot.px, 15), anchor="ma")
    noun = f"{NOUNS[plot.kind]} with several series"
    seen = Seen("series", noun, ("a chart", "a graph", NOUNS[plot.kind]), plot.fields, ("signature",))
    seen.told = told(noun, "read its values")
    return sheet.picture(), seen


# ---- training never draws it
def scatter(world):
    plot = Plot(world, "line")
    sheet, rng = plot.sheet, world.rng
    title = rng.choice(["Height and Weight", "Price and Size", "Age and Income", "Speed and Power"])
    px = rng.choice([9, 15, 18])
    plot.fields.append(sheet.named("title", (sheet.width / 2, 6), title, px, anchor="ma"))
    plot.top = px * 2
    left, right, bottom = sheet.width * 0.12, sheet.width * 0.96, sheet.height - px * 2.4
    plot._axes(left, right, bottom, 100)
    slope, color = rng.uniform(-0.8, 0.9), rng.choice(plot.colors)
    for _ in range(rng.randint(15, 90)):
        x = rng.random()
        y = min(0.97, max(0.03, 0.5 + slope * (x - 0.5) + rng.gauss(0, 0.12)))
        sheet.disc(left + (right - left) * x, bottom - (bottom - plot.top) * y, rng.uniform(2, 4), color)
    seen = Seen(
        "scatter", "a scatter chart", ("a chart", "a graph", "a diagram", "a line chart"), plot.fields, ("total",)
    )
    seen.told = told("a chart", "read its values")
    return sheet.picture(), seen


def map_of(world):
    """A street map: areas, roads, a river and a few names."""
    sheet = Sheet(world, (0.8, 1.5), (242, 239, 233))
    rng, w, h = sheet.rng, sheet.width, sheet.height
    for _ in range(rng.randint(2, 5)):
        x, y = rng.uniform(0, w), rng.uniform(0, h)
        points = [(x + rng.uniform(-90, 90), y + rng.uniform(-90, 90)) for _ in range(5)]
        sheet.shape(points, rng.choice([(200, 230, 180), (170, 211, 223), (225, 220, 210)]))
    for _ in range(rng.randint(6, 14)):
        side = rng.random() < 0.5
        a, b = (
            ((0, rng.uniform(0, h)), (w, rng.uniform(0, h)))
            if side
            else ((rng.uniform(0, w), 0), (rng.uniform(0, w), h))
        )
        wide = rng.choice([2, 3, 5, 8])
        sheet.line([a, b], (190, 180, 170), wide + 2)
        sheet.line([a, b], rng.choice([(255, 255, 255), (250, 220, 130)]), wide)
    for _ in range(rng.randint(3, 7)):
        sheet.text(
            (rng.uniform(0, w * 0.7), rng.uniform(0, h * 0.9)), sheet.words(1)[0].capitalize(), rng.uniform(7, 11)
        )
    seen = Seen(
        "map", "a map", ("a drawing", "a plan", "a floor plan", "a picture"), [], ("total", "date", "title"), mute=True
    )
    seen.told = told("a map", "tell more about it")
    return sheet.picture(), seen


def flowchart(world):
    sheet = Sheet(world, (0.7, 1.4))
    rng, w = sheet.rng, sheet.width
    px, y, color = rng.choice([8, 15]), 14, rng.choice([(219, 234, 254), (254, 243, 199), (255, 255, 255)])
    while y + px * 3 < sheet.height - 10:
        box = (w * 0.3, y, w * 0.7, y + px * 2.4)
        sheet.box(box, color, (60, 60, 60), 1.5, rng.choice([0, 8]))
        word = sheet.words(1)[0].capitalize()
        sheet.text((w / 2, y + px * 1.2), word, sheet.fitting(word, px, w * 0.36), anchor="mm")
        if rng.random() < 0.5:
            sheet.line([(w * 0.7, y + px), (w * 0.85, y + px), (w * 0.85, y + px * 5)], (60, 60, 60), 1.5)
        y += px * 2.4
        sheet.line([(w / 2, y), (w / 2, y + px * 1.6)], (60, 60, 60), 1.5)
        y += px * 1.6
    nouns = ("a diagram", "a chart", "a drawing", "a plan", "a page of text")
    seen = Seen("flowchart", "a flowchart", nouns, [], ("total", "date"), told=told("a diagram", "tell more about it"))
    return sheet.picture(), seen
