"""Charts: bars (upright and lying), pies and lines, every value printed beside its mark."""

import math
from dataclasses import dataclass

from PIL import Image, ImageDraw

LABELS = [
    line.split(",")
    for line in """Jan,Feb,Mar,Apr,May,Jun,Jul,Aug,Sep,Oct,Nov,Dec
Mon,Tue,Wed,Thu,Fri,Sat,Sun
Q1,Q2,Q3,Q4
A,B,C,D,E,F
2018,2019,2020,2021,2022,2023,2024,2025
Spring,Summer,Autumn,Winter
Apples,Pears,Plums,Grapes,Lemons,Cherries,Mangos,Kiwis,Bananas,Oranges
Berlin,Paris,London,Rome,Madrid,Vienna,Oslo,Tokyo,Beijing,Delhi,Cairo,Lima,Boston,Sydney
Anna,Ben,Clara,David,Emma,Felix,Grace,Henry,Ivan,Julia,Li,Maria,Noah,Olga,Peter,Sara
Dogs,Cats,Birds,Fish,Horses,Rabbits,Cows,Sheep
Cars,Buses,Trains,Bikes,Planes,Ships,Trucks
Red,Blue,Green,Yellow,Orange,Purple,Black,White
North,South,East,West
Team 1,Team 2,Team 3,Team 4,Team 5
Math,Art,Music,Sports,History,Biology,Physics
Tea,Coffee,Milk,Juice,Water,Beer,Wine
USA,China,India,Brazil,France,Germany,Japan,Italy,Spain,Canada
Phone,Laptop,Tablet,Watch,Camera,Printer""".splitlines()
]
IN_ORDER = 6  # the first sets are sequences: neighbours are shown together
TITLES = """Sales|Visitors|Rainfall|Votes|Budget|Score|Revenue|Profit|Users|Orders|Temperature|Points|Population|Costs|Downloads
Survey Results|Monthly Sales|Test Scores|Favorite Items|Units Sold|Energy Use|Website Traffic|Market Share
Library Visits|Production
Sales 2024|Visitors per Day|Annual Report""".replace("\n", "|").split("|")
PALETTE = [
    (66, 133, 244),
    (219, 68, 55),
    (244, 180, 0),
    (15, 157, 88),
    (171, 71, 188),
    (0, 172, 193),
    (255, 112, 67),
    (158, 157, 36),
    (92, 107, 192),
    (240, 98, 146),
    (121, 85, 72),
    (96, 125, 139),
]
KINDS = {"bar": 42, "hbar": 16, "pie": 20, "line": 22}


@dataclass
class Chart:
    kind: str
    labels: list
    values: list
    unit: str
    title: str | None

    def shown(self, i):
        return f"{self.values[i]}{self.unit}"


class Plotter:
    """Draws one chart; `picture` and `letters` are its result."""

    def __init__(self, world):
        self.world, self.rng, self.brush = world, world.rng, world.brush
        rng = self.rng
        while True:
            self.width, self.height = self.brush.size(low=80_000, high=160_000)
            if 0.55 < self.width / self.height < 2.0:
                break
        self.dark = rng.random() < 0.1
        self.ground = (
            (30, 32, 40)
            if self.dark
            else (255, 255, 255)
            if rng.random() < 0.7
            else self.brush.jitter((245, 243, 238), 8)
        )
        self.ink = (235, 235, 235) if self.dark else (20, 20, 20)
        self.grid = (80, 80, 80) if self.dark else (205, 205, 205)
        self.letters = []

    def plot(self):
        """(image, chart, letters)"""
        rng = self.rng
        while True:
            self.letters = []
            self.chart = chart = self._data()
            self.image = Image.new("RGB", (self.width, self.height), self.ground)
            self.draw = ImageDraw.Draw(self.image)
            count = len(chart.values)
            self.font_name = rng.choice(self.world.assets.font_names)
            size = max(15, min(22, int(self.width / (count * 4.4)), int(self.height / 12)))
            self.set_font(size)
            top = 6
            if chart.title:
                large = self.world.assets.font(self.font_name, int(size * 1.2))
                self.text((self.width / 2, 5), chart.title, "ma", font=large)
                top = 5 + int(size * 1.65)
            colors = rng.sample(PALETTE, count)
            self.colors = colors if chart.kind == "pie" or rng.random() < 0.5 else colors[:1] * count
            if getattr(self, "_" + chart.kind)(top):
                return self.image, chart, self.letters

    def set_font(self, size):
        self.font = self.world.assets.font(self.font_name, size)

    def text(self, at, text, anchor="la", color=None, font=None):
        self.letters += self.brush.write(self.draw, at, text, font or self.font, color or self.ink, anchor)

    def _data(self):
        rng = self.rng
        kind = rng.choices(list(KINDS), KINDS.values())[0]
        which = rng.randrange(len(LABELS))
        labels = LABELS[which]
        count = rng.randint(3, min(6, len(labels)))
        start = rng.randint(0, len(labels) - count)
        labels = labels[start : start + count] if which < IN_ORDER else rng.sample(labels, count)
        values = self._shares(count) if kind == "pie" else self._amounts(count)
        unit = "%" if kind == "pie" or rng.random() < 0.08 else ""
        return Chart(kind, labels, values, unit, rng.choice(TITLES) if rng.random() < 0.65 else None)

    def _amounts(self, count):
        rng = self.rng
        low, high = rng.choice([(1, 20), (5, 100), (5, 100), (10, 100), (100, 999), (1, 60)])
        while True:
            values = [rng.randint(low, high) for _ in range(count)]
            if high >= 100 and rng.random() < 0.3:
                values = [max(5, v // 10 * 10) if high > 100 else max(5, v // 5 * 5) for v in values]
            order = sorted(values)
            gap = max(1, 0.04 * order[-1])
            if order[-1] - order[-2] >= gap and order[1] - order[0] >= gap:
                return values

    def _shares(self, count):
        rng = self.rng
        while True:
            cuts = sorted(rng.sample(range(1, 20), count - 1))
            values = [5 * (b - a) for a, b in zip([0, *cuts], [*cuts, 20], strict=True)]
            if rng.random() < 0.5:
                i, j = rng.sample(range(count), 2)
                shift = rng.randint(1, 4)
                values[i] += shift
                values[j] -= shift
            order = sorted(values)
            if order[0] >= 5 and order[-1] > order[-2] and order[0] < order[1]:
                return values

    def _lines_behind(self, left, right, top, bottom):
        if self.rng.random() < 0.45:
            for i in range(1, 5):
                y = bottom - (bottom - top) * i / 4
                self.draw.line((left, y, right, y), fill=self.grid)

    def _shrink_labels(self, room):
        """A smaller font where the widest label would touch its neighbour; False where none would do."""
        chart = self.chart
        widest = max([*chart.labels, *(chart.shown(i) for i in range(len(chart.values)))], key=self.font.getlength)
        if self.font.getlength(widest) + 3 > room:
            size = int(self.font.size * room / (self.font.getlength(widest) + 5))
            if size < 12:
                return False
            self.set_font(size)
        return True

    def _bar(self, top):
        rng, chart = self.rng, self.chart
        left, right, bottom = rng.randint(12, 36), self.width - 10, self.height - int(self.font.size * 1.6) - 4
        top += int(self.font.size * 1.4)
        step = (right - left) / len(chart.values)
        if not self._shrink_labels(step):
            return False
        half = step * rng.uniform(0.22, 0.4)
        self._lines_behind(left, right, top, bottom)
        self.draw.line((left, bottom, right, bottom), fill=self.ink)
        if rng.random() < 0.6:
            self.draw.line((left, top, left, bottom), fill=self.ink)
        for i, (label, value) in enumerate(zip(chart.labels, chart.values, strict=True)):
            x, y = left + step * (i + 0.5), bottom - (bottom - top) * value / max(chart.values)
            self.draw.rectangle((x - half, y, x + half, bottom), fill=self.colors[i])
            self.text((x, y - 2), chart.shown(i), "mb")
            self.text((x, bottom + 3), label, "ma")
        return True

    def _hbar(self, top):
        chart, size = self.chart, self.font.size
        left = int(max(self.font.getlength(label) for label in chart.labels) + 14)
        right = self.width - int(self.font.getlength("9999")) - 8
        step = (self.height - top - 10) / len(chart.values)
        if right - left < 60 or step < size * 1.15:
            return False
        half = step * self.rng.uniform(0.22, 0.37)
        self.draw.line((left, top, left, self.height - 8), fill=self.ink)
        for i, (label, value) in enumerate(zip(chart.labels, chart.values, strict=True)):
            y, end = top + step * (i + 0.5), left + (right - left) * value / max(chart.values)
            self.draw.rectangle((left, y - half, max(left + 1, end), y + half), fill=self.colors[i])
            self.text((end + 4, y), chart.shown(i), "lm")
            self.text((left - 5, y), label, "rm")
        return True

    def _pie(self, top):
        rng, chart, size = self.rng, self.chart, self.font.size
        legend = rng.random() < 0.5
        if legend:
            side = (
                max(
                    self.font.getlength(f"{label} {value}%")
                    for label, value in zip(chart.labels, chart.values, strict=True)
                )
                + size
                + 16
            )
            radius = min((self.width - side - 20) / 2, (self.height - top - 12) / 2)
        else:
            side = max(self.font.getlength(label) for label in chart.labels)
            radius = min(self.width / 2 - side - 14, (self.height - top) / 2 - size * 1.7)
        if radius < 48 or (legend and len(chart.values) * size * 1.6 > self.height - top):
            return False
        x, y = (12 + radius if legend else self.width / 2), top + (self.height - top) / 2
        angle = rng.choice([-90, 0, rng.randint(0, 359)])
        for i, value in enumerate(chart.values):
            end = angle + 3.6 * value
            self.draw.pieslice(
                (x - radius, y - radius, x + radius, y + radius),
                angle,
                end,
                fill=self.colors[i],
                outline=self.ground,
                width=2,
            )
            if legend:
                self._legend_entry(i, x + radius + 14, y)
            else:
                self._slice_label(i, math.radians((angle + end) / 2), x, y, radius)
            angle = end
        return True

    def _legend_entry(self, i, x, middle):
        chart, size = self.chart, self.font.size
        y = middle - len(chart.values) * size * 0.8 + i * size * 1.6
        self.draw.rectangle((x, y, x + size * 0.8, y + size * 0.8), fill=self.colors[i])
        self.text((x + size * 1.1, y - 2), f"{chart.labels[i]} {chart.shown(i)}")

    def _slice_label(self, i, angle, x, y, radius):
        cos, sin = math.cos(angle), math.sin(angle)
        anchor = (
            ("lm" if cos > 0 else "rm") if abs(cos) > 0.3 else "ms" if sin < -0.75 else "mm" if sin < 0.75 else "ma"
        )
        self.text((x + radius * 1.08 * cos, y + radius * 1.08 * sin), self.chart.labels[i], anchor)
        color = (255, 255, 255) if sum(self.colors[i]) < 480 else (20, 20, 20)
        self.text((x + radius * 0.68 * cos, y + radius * 0.68 * sin), self.chart.shown(i), "mm", color)

    def _line(self, top):
        rng, chart, values = self.rng, self.chart, self.chart.values
        left, right, bottom = rng.randint(28, 42), self.width - 30, self.height - int(self.font.size * 1.6) - 6
        top += int(self.font.size * 1.5)
        if not self._shrink_labels((right - left) / (len(values) - 1)):
            return False
        self._lines_behind(left - 8, right + 8, top, bottom)
        self.draw.line((left - 10, bottom + 2, right + 10, bottom + 2), fill=self.ink)
        self.draw.line((left - 10, top - 6, left - 10, bottom + 2), fill=self.ink)
        high, low = max(values), min(values) if rng.random() < 0.5 else 0
        low -= (high - low) * 0.08 if low else 0
        points = [
            (left + (right - left) * i / (len(values) - 1), bottom - (bottom - top) * (v - low) / (high - low))
            for i, v in enumerate(values)
        ]
        self.draw.line(points, fill=self.colors[0], width=rng.choice([2, 3, 3, 4]), joint="curve")
        for i, (x, y) in enumerate(points):
            self.draw.ellipse((x - 3, y - 3, x + 3, y + 3), fill=self.colors[0])
            self.text((x, y - 5), chart.shown(i), "mb")
            self.text((x, bottom + 4), chart.labels[i], "ma")
        return True
